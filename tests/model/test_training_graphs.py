"""Sizes that parts of a run are padded to; capturing itself takes a GPU."""

import gc
import weakref

import pytest
import torch
from torch import nn

from sleepcycle.model.encode import Encoded
from sleepcycle.model.token_batch import learned_tokens, token_batch
from sleepcycle.model.training_graphs import (
    MOST_GRAPHS,
    PARTS_A_GRAPH,
    PartSize,
    TrainingGraphs,
    few_sizes,
)
from tests.model.fake_cuda import cuda as cuda

LONGEST = 20


@pytest.fixture
def parts(rng):
    """Sizes of the parts of a long run."""
    found = []
    for _ in range(40 * PARTS_A_GRAPH):
        lengths = torch.randint(1, LONGEST + 1, (8,), generator=rng)
        learned = int((lengths * torch.rand(8, generator=rng)).ceil().sum())
        found.append(PartSize(int(lengths.sum()), learned, 8))
    return found


class TestSizes:
    def test_every_part_can_be_padded_to_one(self, parts):
        sizes = few_sizes(parts, LONGEST)

        assert all(any(size.holds(part, LONGEST) for size in sizes) for part in parts)

    def test_there_are_few(self, parts):
        assert 1 < len(few_sizes(parts, LONGEST)) <= MOST_GRAPHS

    def test_the_smallest_comes_first(self, parts):
        sizes = few_sizes(parts, LONGEST)

        assert sizes == sorted(sizes)
        assert sizes[-1].tokens == max(part.tokens for part in parts)

    def test_a_short_run_has_none(self, parts):
        """
        Capturing would cost more than it saves.
        """
        assert few_sizes(parts[: PARTS_A_GRAPH - 1], LONGEST) == []

    def test_parts_that_are_alike_share_one(self):
        alike = [PartSize(80, 30, 8)] * 10 * PARTS_A_GRAPH

        assert few_sizes(alike, LONGEST) == [PartSize(80, 30, 8)]


class TestHolds:
    @pytest.mark.parametrize(
        ("tokens", "learned", "sequences", "held"),
        [
            (100, 50, 8, True),
            (101, 50, 8, False),
            (100, 51, 8, False),
            (100, 50, 9, False),
            (80, 50, 7, True),
            (80, 50, 8, False),
            (79, 50, 7, False),
            (79, 50, 6, True),
        ],
    )
    def test_padding_is_sequences_too(self, tokens, learned, sequences, held):
        """
        Twenty tokens of it are one more sequence, twenty-one are two.
        """
        size, part = PartSize(100, 50, 8), PartSize(tokens, learned, sequences)

        assert size.holds(part, LONGEST) is held


class Parts:
    """Computes parts as they come, and fails where they are padded."""

    def __init__(self, model, kind):
        self.gradient = torch.zeros(3)
        self.sizes = []
        self.held = []
        self._kind = kind
        self._made = []
        self._graphs = TrainingGraphs(
            model, self._compute, [PartSize(16, 16, 16)], LONGEST, self.gradient
        )

    def run(self):
        """Return the loss of a part of two tokens."""
        rows = [Encoded((5, 6, 7), (0.0, 1.0, 1.0))]
        batch = token_batch(rows, 0, packed=True)
        return self._graphs.run(batch, learned_tokens(rows), torch.tensor(0.5)).item()

    def _compute(self, batch, tokens, share):
        """Add to the gradient, with a tensor that nothing else holds."""
        self.held = [one for one in self._made if one() is not None]
        activation = torch.zeros(8)
        self._made.append(weakref.ref(activation))
        self.sizes.append(batch.inputs["input_ids"].shape[1])
        self.gradient.add_(share)
        if self.sizes[-1] > 2:
            raise self._kind("no")
        return share * len(tokens)


@pytest.mark.parametrize("kind", [RuntimeError, torch.OutOfMemoryError])
class TestFailed:
    def test_parts_are_computed_as_they_come(self, cuda, kind):
        parts = Parts(nn.Linear(1, 1), kind)

        losses = [parts.run() for _ in range(2)]

        assert losses == [1.0, 1.0]
        assert parts.sizes == [16, 2, 2]
        assert parts.gradient.tolist() == [1.0, 1.0, 1.0]

    def test_nothing_of_the_attempt_is_held_meanwhile(self, cuda, kind):
        """
        Its activations may be all the memory that there is.
        """
        parts = Parts(nn.Linear(1, 1), kind)
        gc.disable()

        try:
            parts.run()
        finally:
            gc.enable()

        assert parts.held == []

    def test_the_next_run_tries_again_only_where_memory_was_full(self, cuda, kind):
        model = nn.Linear(1, 1)
        Parts(model, kind).run()
        parts = Parts(model, kind)

        parts.run()

        tries = 1 if kind is torch.OutOfMemoryError else 0
        assert parts.sizes == [*[16] * tries, 2]
