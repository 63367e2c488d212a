"""Scores: the loss of each token, whatever it is batched with."""

import pytest
import torch

from sleepcycle.model.adapters import attach
from sleepcycle.model.encode import Encoded, collate
from sleepcycle.model.score import compare, each_nll, nll, token_losses
from tests.model.conftest import logits_of, some_examples


def test_each_token_is_scored_given_those_before_it(llama):
    batch = collate(some_examples(llama), pad=2)

    losses = token_losses(llama.model, batch)

    expected = llama.model(input_ids=batch.ids, labels=batch.ids).loss
    assert losses.shape == (4, 9)
    assert losses.mean().item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("size", [1, 3, 64])
def test_batching_does_not_change_the_score(llama, size):
    rows = [
        Encoded(row.ids[:length], row.weights[:length])
        for length, row in enumerate(some_examples(llama, count=9), start=2)
    ]

    nats, tokens = nll(llama, rows, size)

    alone = sum(nll(llama, [row], 1)[0] for row in rows)
    assert tokens == sum(range(1, 10))
    assert nats == pytest.approx(alone, rel=1e-6)


def test_a_light_token_is_scored_whole(llama):
    """
    Weights choose what is scored; the score itself is in plain nats.
    """
    heavy = Encoded((5, 6, 7), (0.0, 1.0, 1.0))
    light = Encoded((5, 6, 7), (0.0, 0.1, 0.3))

    assert nll(llama, [light], 1) == nll(llama, [heavy], 1)


def test_each_row_is_scored_alone_and_is_zero_where_nothing_is_learned(llama):
    [row] = some_examples(llama, count=1)
    empty = Encoded(row.ids, (0.0,) * len(row.ids))

    first, second = each_nll(llama, [row, empty], 2)

    nats, _ = nll(llama, [row], 1)
    assert first == pytest.approx(nats, rel=1e-5)
    assert second == 0


def test_a_failing_comparison_leaves_the_base_bare(llama, random_changes):
    bare = logits_of(llama.model)
    attach(llama, "live", random_changes(llama.targets))
    broken = [Encoded((5, 10**6), (0.0, 1.0))]

    with pytest.raises(IndexError, match="out of range"):
        compare(llama, broken, ["live"], [])

    assert torch.equal(logits_of(llama.model), bare)
