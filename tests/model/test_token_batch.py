"""Batches of tokens: what is read, where it stands, and what is learned of it."""

from itertools import pairwise

import pytest
import torch

from sleepcycle.model.encode import Encoded
from sleepcycle.model.token_batch import learned_tokens, token_batch, within

ROWS = [
    Encoded((5, 6, 7), (0.0, 0.5, 1.0)),
    Encoded((8, 9), (0.0, 2.0)),
    Encoded((10, 11, 12, 13, 14), (0.0, 0.0, 1.0, 0.0, 0.0)),
]


def slices(lengths, most, *, packed):
    """Return where slices begin and end."""
    return [(s.start, s.stop) for s in within(lengths, most, packed=packed)]


class TestLearnedTokens:
    def test_they_are_those_with_weight_in_order(self):
        tokens = learned_tokens(ROWS)

        assert tokens.targets.tolist() == [6, 7, 9, 12]
        assert tokens.weights.tolist() == [0.5, 1.0, 2.0, 1.0]
        assert tokens.targets.dtype == torch.int64
        assert tokens.weights.dtype == torch.float32

    def test_the_first_token_is_never_one(self):
        assert learned_tokens([Encoded((5, 6), (1.0, 1.0))]).targets.tolist() == [6]

    def test_some_of_them_keep_their_weights(self):
        some = learned_tokens(ROWS)[1:3]

        assert some.targets.tolist() == [7, 9]
        assert some.weights.tolist() == [1.0, 2.0]

    def test_there_may_be_none(self):
        tokens = learned_tokens([Encoded((5, 6), (0.0, 0.0))])

        assert tokens.targets.shape == tokens.weights.shape == (0,)
        assert tokens.targets.dtype == torch.int64


class TestPacked:
    def test_sequences_lie_one_behind_the_other(self):
        """
        Each up to the token before its last learned one, with positions of its own.
        """
        batch = token_batch(ROWS, 99, packed=True)

        assert batch.packed
        assert batch.inputs["input_ids"].tolist() == [[5, 6, 8, 10, 11]]
        assert batch.inputs["position_ids"].tolist() == [[0, 1, 0, 0, 1]]
        assert batch.inputs["packed"].lengths == (2, 1, 2)
        assert "attention_mask" not in batch.inputs

    def test_learned_tokens_are_said_at_the_one_before(self):
        batch = token_batch(ROWS, 99, packed=True)

        assert batch.places.tolist() == [0, 1, 2, 4]


class TestPadded:
    def test_padding_is_at_the_right_and_masked(self):
        batch = token_batch(ROWS, 99, packed=False)

        assert not batch.packed
        assert batch.inputs["input_ids"].tolist() == [[5, 6], [8, 99], [10, 11]]
        assert batch.inputs["attention_mask"].tolist() == [[1, 1], [1, 0], [1, 1]]
        assert batch.inputs["input_ids"].dtype == torch.int64

    def test_learned_tokens_are_said_at_the_one_before(self):
        batch = token_batch(ROWS, 99, packed=False)

        assert batch.places.tolist() == [0, 1, 2, 5]


@pytest.mark.parametrize("packed", [True, False])
class TestEither:
    def test_places_and_learned_tokens_are_as_many(self, packed):
        batch = token_batch(ROWS, 0, packed=packed)

        assert len(batch.places) == len(learned_tokens(ROWS).targets)

    def test_what_learns_nothing_is_read_by_its_first_token(self, packed):
        """
        A model reads at least one token.
        """
        nothing = Encoded((5, 6, 7), (1.0, 0.0, 0.0))

        batch = token_batch([nothing], 0, packed=packed)

        assert batch.inputs["input_ids"].tolist() == [[5]]
        assert batch.places.shape == (0,)
        assert batch.places.dtype == torch.int64

    def test_it_goes_to_a_device_whole(self, packed):
        batch = token_batch(ROWS, 0, packed=packed).to(torch.device("meta"))

        moved = [one for one in batch.inputs.values() if isinstance(one, torch.Tensor)]
        assert {one.device.type for one in [*moved, batch.places]} == {"meta"}
        if packed:
            assert batch.inputs["packed"].starts.device.type == "meta"
            assert batch.inputs["packed"].places.device.type == "meta"


class TestWithin:
    def test_packed_ones_count_their_own_tokens(self):
        assert slices([2, 3, 4, 1], 5, packed=True) == [(0, 2), (2, 4)]

    def test_padding_counts_where_there_is_some(self):
        assert slices([2, 3, 4, 1], 6, packed=False) == [(0, 2), (2, 3), (3, 4)]
        assert slices([1, 1, 4], 8, packed=False) == [(0, 2), (2, 3)]

    @pytest.mark.parametrize("packed", [True, False])
    def test_one_that_is_too_long_comes_alone(self, packed):
        assert slices([1, 9, 1], 4, packed=packed) == [(0, 1), (1, 2), (2, 3)]

    @pytest.mark.parametrize("packed", [True, False])
    def test_none_is_left_out(self, packed, rng):
        lengths = torch.randint(1, 40, (50,), generator=rng).tolist()

        found = slices(lengths, 100, packed=packed)

        assert found[0][0] == 0
        assert found[-1][1] == len(lengths)
        assert all(a[1] == b[0] for a, b in pairwise(found))
        for first, last in found:
            part = lengths[first:last]
            passed = sum(part) if packed else max(part) * len(part)
            assert passed <= 100

    def test_of_nothing_there_is_none(self):
        assert slices([], 4, packed=True) == []
