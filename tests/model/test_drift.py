"""Drift: the divergence from the bare base, over the whole vocabulary."""

from dataclasses import replace

import pytest
import torch

from sleepcycle.model import adapters
from sleepcycle.model.drift import divergence, drifts
from sleepcycle.model.encode import Encoded
from tests.model.conftest import logits_of, some_examples


def reference(base, rows, names):
    """Return the sum of p (log p - log q) over learned tokens, one row at a time."""
    nats = 0.0
    for row in rows:
        logs = []
        for active in ([], names):
            adapters.activate(base, active)
            ids = torch.tensor([row.ids])
            with torch.no_grad():
                scores = base.model(input_ids=ids).logits[0, :-1].double()
            logs.append(scores.log_softmax(dim=1))
        bare, moved = logs
        each = (bare.exp() * (bare - moved)).sum(dim=1)
        nats += float(each[torch.tensor(row.weights[1:]) > 0].sum())
    return nats


@pytest.fixture
def moved(llama, random_changes):
    """A random base with two adapters."""
    for name, size in (("near", 0.02), ("far", 0.1)):
        adapters.attach(llama, name, random_changes(llama.targets, size=size))
    return llama


def some_rows(base):
    """Return examples of different lengths, half of whose tokens are learned."""
    return [
        Encoded(row.ids[:length], tuple(place % 2 for place in range(length)))
        for length, row in enumerate(some_examples(base, count=9), start=2)
    ]


def test_it_is_the_sum_over_the_whole_vocabulary(moved):
    rows = some_rows(moved)

    nats, tokens = drifts(moved, rows, [["near"], ["far"]])

    assert tokens == sum(row.learned for row in rows)
    assert nats[0] == pytest.approx(reference(moved, rows, ["near"]), rel=1e-3)
    assert nats[1] == pytest.approx(reference(moved, rows, ["far"]), rel=1e-3)
    assert 0 < nats[0] < nats[1]


def test_the_bare_base_is_where_it_was(moved):
    nats, _ = drifts(moved, some_rows(moved), [[]])

    assert nats == [0.0]


def test_nothing_to_say_is_no_tokens(moved):
    assert drifts(moved, [], [["near"]]) == ([0.0], 0)


def test_batches_do_not_change_the_sum(moved):
    rows = some_rows(moved)

    [alone], _ = drifts(replace(moved, batch_tokens=1), rows, [["far"]])
    [together], _ = drifts(replace(moved, batch_tokens=1000), rows, [["far"]])

    assert alone == pytest.approx(together, rel=1e-4)


def test_slices_do_not_change_the_sum(rng):
    bare, side = torch.randn(2, 67, 7, generator=rng)

    whole = divergence(bare, side)

    each = [divergence(bare[n : n + 1], side[n : n + 1]) for n in range(len(bare))]
    assert whole == pytest.approx(sum(each), rel=1e-5)


@pytest.mark.parametrize("masked", ["both", "the base alone"])
def test_what_the_base_never_says_adds_nothing(rng, masked):
    """
    The sum is that over the rest of the vocabulary, by p (log p - log q).
    """
    bare, side = torch.randn(2, 5, 9, generator=rng)
    bare[:, 6:] = -torch.inf
    if masked == "both":
        side[:, 6:] = -torch.inf

    p, q = (scores.double().softmax(dim=1)[:, :6] for scores in (bare, side))
    expected = float((p * (p / q).log()).sum())
    assert divergence(bare, side) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("base", [0.0, -torch.inf])
def test_broken_scores_are_not_a_number(rng, base):
    bare, side = torch.randn(2, 4, 7, generator=rng)
    bare[1, 2] = base
    side[1, 2] = torch.nan

    assert torch.tensor(divergence(bare, side)).isnan()


def test_none_is_active_after_a_failure(moved):
    """
    What hears of a batch may stop the run.
    """
    bare = logits_of(moved.model)

    def stop():
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        drifts(moved, some_rows(moved), [["near"]], on_batch=stop)

    assert torch.equal(logits_of(moved.model), bare)
