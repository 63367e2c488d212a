"""Scores: the loss of each token, whatever it is batched with."""

import math
from dataclasses import replace

import pytest
import torch

from sleepcycle.model.adapters import attach
from sleepcycle.model.encode import Encoded
from sleepcycle.model.forward import token_nll
from sleepcycle.model.reading import Reader
from sleepcycle.model.score import compare, each_nll, least_confidence, nll, teach
from sleepcycle.model.token_batch import learned_tokens
from sleepcycle.records.progress import ignore_progress
from tests.model.conftest import logits_of, some_examples


def test_each_token_is_scored_given_those_before_it(llama):
    rows = some_examples(llama)
    tokens = learned_tokens(rows)

    said = Reader(llama).logits(rows, tokens)
    losses = torch.cat([token_nll(*part) for part in said])

    ids = torch.tensor([row.ids for row in rows])
    expected = llama.model(input_ids=ids, labels=ids).loss
    assert losses.shape == (4 * 9,)
    assert losses.mean().item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("most", [1, 12, 640])
def test_batching_does_not_change_the_score(llama, most):
    rows = [
        Encoded(row.ids[:length], row.weights[:length])
        for length, row in enumerate(some_examples(llama, count=9), start=2)
    ]

    nats, tokens = nll(replace(llama, batch_tokens=most), rows)

    alone = sum(nll(llama, [row])[0] for row in rows)
    assert tokens == sum(range(1, 10))
    assert nats == pytest.approx(alone, rel=1e-6)


def test_a_light_token_is_scored_whole(llama):
    """
    Weights choose what is scored; the score itself is in plain nats.
    """
    heavy = Encoded((5, 6, 7), (0.0, 1.0, 1.0))
    light = Encoded((5, 6, 7), (0.0, 0.1, 0.3))

    assert nll(llama, [light]) == nll(llama, [heavy])


def test_each_row_is_scored_alone_and_is_zero_where_nothing_is_learned(llama):
    [row] = some_examples(llama, count=1)
    empty = Encoded(row.ids, (0.0,) * len(row.ids))

    first, second = each_nll(llama, [row, empty])

    nats, _ = nll(llama, [row])
    assert first == pytest.approx(nats, rel=1e-5)
    assert second == 0


def test_a_failing_comparison_leaves_the_base_bare(llama, random_changes):
    bare = logits_of(llama.model)
    attach(llama, "live", random_changes(llama.targets))
    broken = [Encoded((5, 10**6, 7), (0.0, 1.0, 1.0))]

    with pytest.raises(IndexError, match="out of range"):
        compare(llama, broken, ["live"], [])

    assert torch.equal(logits_of(llama.model), bare)


def test_what_learns_nothing_is_taught_nothing(llama):
    """
    Alone in its batch, as well as beside what learns.
    """
    [row] = some_examples(llama, count=1)
    empty = Encoded(row.ids, (0.0,) * len(row.ids))

    for rows in ([empty], [empty, row]):
        scores = teach(llama, rows, k=5)

        assert [one.ids.shape for one in scores] == [(one.learned, 5) for one in rows]


class TestLeastConfidence:
    def test_it_is_that_of_the_worst_token_of_all(self, llama):
        """
        By each token's loss alone, scored as the only one of its example.
        """
        rows = some_examples(llama, count=3)
        apart = [
            replace(row, weights=tuple(float(i == place) for i in range(len(row.ids))))
            for row in rows
            for place in range(1, len(row.ids))
        ]
        expected = math.exp(-max(each_nll(llama, apart)))

        found = least_confidence(llama, rows, ignore_progress)()

        assert found == pytest.approx(expected, rel=1e-4)

    def test_without_anything_to_learn_it_is_sure(self, llama):
        assert least_confidence(llama, [], ignore_progress)() == 1.0
