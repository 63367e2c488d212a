"""Scores: the loss of each token, whatever it is batched with."""

import pytest
import torch

from sleepcycle.model.encode import Encoded, collate
from sleepcycle.model.score import confidence, nll, surprise, token_losses
from tests.model.conftest import some_examples


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


def test_confidence_is_the_least_probability_of_what_is_learned(llama):
    """
    Against each row's own softmax; what is not learned, and padding, do not count.
    """
    rows = [
        Encoded(row.ids[:length], (0.0, 0.0, *row.weights[2:length]))
        for length, row in enumerate(some_examples(llama, count=5), start=4)
    ]

    found = confidence(llama, rows, 3)

    for row, least in zip(rows, found, strict=True):
        ids = torch.tensor([row.ids])
        shares = llama.model(input_ids=ids).logits[0, :-1].softmax(dim=1)
        own = shares.gather(1, ids[0, 1:, None])[1:, 0]
        assert least == pytest.approx(float(own.min().detach()), rel=1e-4)


def test_surprise_is_the_mean_loss_of_a_row_and_none_where_nothing_is_learned(llama):
    [row] = some_examples(llama, count=1)
    empty = Encoded(row.ids, (0.0,) * len(row.ids))

    first, second = surprise(llama, [row, empty], 2)

    nats, tokens = nll(llama, [row], 1)
    assert first == pytest.approx(nats / tokens, rel=1e-5)
    assert second == 0
    assert confidence(llama, [empty], 1) == [1.0]
