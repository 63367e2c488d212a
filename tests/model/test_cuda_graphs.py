"""Sizes that parts of a run are padded to; capturing itself takes a GPU."""

import pytest
import torch

from sleepcycle.model.cuda_graphs import (
    MOST_GRAPHS,
    PARTS_A_GRAPH,
    CudaGraphs,
    PartSize,
    few_sizes,
)
from sleepcycle.model.encode import Encoded
from sleepcycle.model.token_batch import learned_tokens, token_batch

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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there it captures")
def test_where_nothing_can_be_captured_parts_are_computed_as_they_come():
    rows = [Encoded((5, 6, 7), (0.0, 1.0, 1.0))]
    part = token_batch(rows, 0, packed=True), learned_tokens(rows), torch.tensor(0.5)
    gradient, computed = torch.zeros(3), []

    def compute(batch, tokens, share):
        computed.append(batch.inputs["input_ids"].shape[1])
        gradient.add_(share)
        return share * len(tokens)

    graphs = CudaGraphs(compute, [PartSize(16, 16, 16)], LONGEST, gradient)
    losses = [graphs.run(*part).item() for _ in range(2)]

    assert losses == [1.0, 1.0]
    assert computed == [2, 2]
    assert gradient.tolist() == [1.0, 1.0, 1.0]
