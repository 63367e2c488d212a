"""Second moments against the dense layer inputs that a hook writes down."""

from dataclasses import replace

import pytest
import torch

from sleepcycle.model.adapters import attach, layers, only_active
from sleepcycle.model.encode import Encoded
from sleepcycle.model.moments import moments
from tests.model.conftest import logits_of, some_examples


@pytest.fixture
def examples(llama):
    """Examples of unlike length, so that batches are padded."""
    return [
        Encoded(example.ids[:length], example.weights[:length])
        for example, length in zip(some_examples(llama), (10, 3, 7, 5), strict=True)
    ]


def inputs_of(base, name, examples):
    """Return what each layer reads, (tokens, in), one example at a time, unpadded."""
    read = {path: [] for path, _ in layers(base, name)}
    hooks = [
        layer.register_forward_pre_hook(
            lambda module, inputs, path=path: read[path].append(inputs[0][0])
        )
        for path, layer in layers(base, name)
    ]
    with torch.no_grad(), only_active(base, [name]):
        for example in examples:
            base.model(input_ids=torch.tensor([example.ids]))
    for hook in hooks:
        hook.remove()
    return {path: torch.cat(rows).double() for path, rows in read.items()}


def test_they_are_the_dense_second_moments(llama, random_changes, examples):
    """
    E[(A x)(A x).T] = A E[x x.T] A.T, the mean over the tokens of all examples.
    """
    changes = random_changes(llama.targets)
    attach(llama, "read", changes)

    found = moments(replace(llama, batch_tokens=20), "read", examples)

    for path, rows in inputs_of(llama, "read", examples).items():
        down = changes[path].down.double()
        covariance = rows.T @ rows / 25  # 10 + 3 + 7 + 5 tokens
        expected = down @ covariance @ down.T
        torch.testing.assert_close(found[path], expected, rtol=1e-4, atol=1e-6)
    assert set(found) == set(llama.targets.shapes)


def test_batches_and_padding_change_nothing(llama, random_changes, examples):
    attach(llama, "read", random_changes(llama.targets))

    one, all_at_once = (
        moments(replace(llama, batch_tokens=most), "read", examples)
        for most in (1, 100)
    )

    for path, matrix in one.items():
        torch.testing.assert_close(matrix, all_at_once[path], rtol=1e-4, atol=1e-6)


def test_the_adapter_itself_is_active(llama, random_changes, examples):
    """
    What the second layer reads depends on what the first one wrote.
    """
    changes = random_changes(llama.targets, size=0.5)
    silent = {p: type(c)(torch.zeros_like(c.up), c.down) for p, c in changes.items()}
    attach(llama, "loud", changes)
    attach(llama, "silent", silent)

    loud, quiet = (moments(llama, n, examples) for n in ("loud", "silent"))

    last = list(llama.targets.shapes)[-1]
    assert not torch.allclose(loud[last], quiet[last], rtol=0.01)


def test_no_hook_is_left_behind(llama, random_changes, examples):
    attach(llama, "read", random_changes(llama.targets))
    found = moments(llama, "read", examples)
    kept = {path: matrix.clone() for path, matrix in found.items()}

    moments(llama, "read", examples[:1])

    assert all(torch.equal(found[path], matrix) for path, matrix in kept.items())
    assert not any(
        layer.lora_A["read"]._forward_hooks for _, layer in layers(llama, "read")
    )


def test_none_is_active_afterwards(llama, random_changes, examples):
    bare = logits_of(llama.model)
    attach(llama, "read", random_changes(llama.targets))

    moments(llama, "read", examples)

    assert torch.equal(logits_of(llama.model), bare)
