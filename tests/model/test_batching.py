"""Batches: exact shares, whole rounds, and the same twice."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepcycle.model.batching import BatchSource
from sleepcycle.model.encode import Encoded

NEW, REPLAYED = 0, 1_000
COUNTS, SIZES = st.integers(1, 60), st.integers(1, 20)


def examples(count, first=NEW):
    """Return examples that are told apart by their one token."""
    return [Encoded((first + i,), (0.0,)) for i in range(count)]


def source(new=20, replay=30, share=0.25, size=8):
    return BatchSource(examples(new), examples(replay, REPLAYED), share, size)


def ids(batches):
    """Return the tokens of all batches, in order."""
    return [example.ids[0] for batch in batches for example in batch]


def new_ids(batches):
    """Return those of new examples."""
    return [i for i in ids(batches) if i < REPLAYED]


def replayed_ids(batches):
    """Return those of replayed examples."""
    return [i for i in ids(batches) if i >= REPLAYED]


class TestShare:
    def test_each_batch_has_its_share(self):
        for batch in source(share=0.25, size=8).draw(10, seed=0):
            assert len(new_ids([batch])) == 6
            assert len(replayed_ids([batch])) == 2

    def test_a_share_that_is_no_whole_number_is_carried_over(self):
        """
        A tenth of 16 is 1.6 a batch: 1 or 2, and 16 in ten batches.
        """
        batches = source(new=200, share=0.1, size=16).draw(10, seed=0)

        assert {len(replayed_ids([batch])) for batch in batches} == {1, 2}
        assert abs(len(replayed_ids(batches)) - 16) <= 1
        assert abs(len(new_ids(batches)) - 144) <= 1

    @given(new=COUNTS, share=st.floats(0, 0.95), size=SIZES, steps=COUNTS)
    @settings(deadline=None)
    def test_over_the_run_it_is_exact(self, new, share, size, steps):
        """
        Within the one example that cannot be split.
        """
        drawn = source(new=new, share=share, size=size)

        batches = drawn.draw(steps, seed=0)

        wanted = drawn.room * steps
        assert abs(len(new_ids(batches)) - wanted) <= 1
        replayed = wanted * share / (1 - share)
        assert abs(len(replayed_ids(batches)) - replayed) <= 1

    @given(new=COUNTS, share=st.floats(0, 0.95), size=SIZES, steps=COUNTS)
    @settings(deadline=None)
    def test_no_batch_is_empty_or_too_large(self, new, share, size, steps):
        batches = source(new=new, share=share, size=size).draw(steps, seed=0)

        assert len(batches) == steps
        assert all(1 <= len(batch) <= size for batch in batches)

    def test_without_known_examples_batches_are_all_new(self):
        batches = source(replay=0, share=0.25, size=8).draw(5, seed=0)

        assert [len(batch) for batch in batches] == [8] * 5
        assert replayed_ids(batches) == []

    def test_without_a_share_nothing_is_replayed(self):
        batches = source(share=0.0, size=8).draw(5, seed=0)

        assert [len(new_ids([batch])) for batch in batches] == [8] * 5
        assert replayed_ids(batches) == []

    def test_fewer_new_ones_than_room_make_smaller_batches(self):
        """
        None is in one batch twice, and the share stays.
        """
        batches = source(new=3, share=0.25, size=8).draw(4, seed=0)

        for batch in batches:
            assert sorted(new_ids([batch])) == [0, 1, 2]
            assert len(replayed_ids([batch])) == 1


class TestRounds:
    @pytest.mark.parametrize("size", [1, 3, 7, 8])
    def test_every_new_example_comes_once_a_round(self, size):
        drawn = new_ids(source(new=21, replay=0, size=size).draw(90, seed=3))

        for start in range(0, len(drawn) - 20, 21):
            assert sorted(drawn[start : start + 21]) == list(range(21))

    def test_every_known_example_comes_once_a_round(self):
        drawn = replayed_ids(source(replay=10, share=0.5, size=8).draw(20, seed=3))

        assert len(drawn) == 80
        assert Counter(drawn) == dict.fromkeys(range(REPLAYED, REPLAYED + 10), 8)
        assert sorted(drawn[:10]) == list(range(REPLAYED, REPLAYED + 10))

    def test_rounds_are_shuffled_anew(self):
        drawn = new_ids(source(new=20, replay=0, size=4).draw(10, seed=3))

        assert drawn[:20] != sorted(drawn[:20])
        assert drawn[:20] != drawn[20:]


class TestSeed:
    def test_the_same_gives_the_same_batches(self):
        assert ids(source().draw(9, seed=5)) == ids(source().draw(9, seed=5))

    def test_another_gives_others(self):
        assert ids(source().draw(9, seed=5)) != ids(source().draw(9, seed=6))

    def test_a_longer_run_begins_as_the_shorter(self):
        assert ids(source().draw(9, seed=5)[:4]) == ids(source().draw(4, seed=5))
