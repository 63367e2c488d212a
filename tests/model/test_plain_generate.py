"""Models that keep a state of what they read: each row is what it is alone."""

import pytest
import torch
from transformers import (
    LlamaConfig,
    Mamba2Config,
    MambaConfig,
    RwkvConfig,
    xLSTMConfig,
)

from sleepcycle.model.generate import GREEDY, Sampling, generate
from sleepcycle.model.plain_generate import is_decoded, keeps_rows_apart
from tests.model.conftest import LLAMA_LIKE
from tests.model.test_generate import prompts_of

NARROW = {
    "vocab_size": 768,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "initializer_range": 0.1,  # at the usual 0.02 all logits are nearly alike
}
KINDS = {
    "rwkv": (RwkvConfig(**NARROW, rescale_every=0), False),
    "xlstm": (
        xLSTMConfig(**NARROW | {"hidden_size": 128}, num_blocks=2, num_heads=4),
        False,
    ),
    "mamba": (MambaConfig(**NARROW, state_size=8), True),
    "mamba2": (
        Mamba2Config(**NARROW, state_size=8, num_heads=4, head_dim=16, n_groups=1),
        True,
    ),
}
NEW = 6


@pytest.fixture(params=KINDS)
def kind(request):
    """Name of a kind whose layers keep states alone."""
    return request.param


@pytest.fixture
def stateful(kind, random_base):
    """A random base of the kind."""
    return random_base(KINDS[kind][0])


@torch.no_grad()
def one_by_one(base, prompt):
    """Return the likeliest tokens after a prompt, all of it read anew for each."""
    ids = list(prompt)
    for _ in range(NEW):
        logits = base.model(input_ids=torch.tensor([ids]), use_cache=False).logits
        ids.append(int(logits[0, -1].argmax()))
    return ids[len(prompt) :]


def test_rows_of_any_lengths_are_what_they_are_alone(stateful):
    prompts = prompts_of(stateful)

    said = generate(stateful, prompts, max_new_tokens=NEW, sampling=GREEDY)

    assert not is_decoded(stateful, 40)
    for prompt, one in zip(prompts, said, strict=True):
        expected = one_by_one(stateful, prompt)
        assert list(one.ids) == expected[: len(one.ids)]
        assert one.ended or len(one.ids) == NEW


def test_rows_of_one_length_are_too(stateful):
    prompts = [prompt[:4] for prompt in prompts_of(stateful)]

    said = generate(stateful, prompts, max_new_tokens=NEW, sampling=GREEDY)

    for prompt, one in zip(prompts, said, strict=True):
        assert list(one.ids) == one_by_one(stateful, prompt)[: len(one.ids)]


def test_rows_that_are_drawn_are_unlike(stateful):
    prompts = [prompts_of(stateful)[0]] * 8

    first, again = (
        generate(stateful, prompts, max_new_tokens=NEW, sampling=Sampling(1.0, 3))
        for _ in range(2)
    )

    assert len({one.ids for one in first}) > 4
    assert first == again


def test_what_mixes_rows_is_told_from_what_does_not(kind, stateful):
    assert keeps_rows_apart(stateful) is KINDS[kind][1]


def test_a_model_with_attention_keeps_rows_apart(random_base):
    assert keeps_rows_apart(random_base(LlamaConfig(**LLAMA_LIKE)))
