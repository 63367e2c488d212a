"""Batches: exact shares, whole rounds, and the same twice."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepcycle.model.batching import BatchSource
from sleepcycle.model.encode import Encoded

NEW, REPLAYED, ANCHOR = 0, 1_000, 2_000
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


class TestAnchors:
    """An owner's, which take some of the places of what is known."""

    def drawn(self, anchors, *, replay=30, steps=40):
        """Return how often each anchor came, and how often a replayed example."""
        drawn = replace(
            source(new=400, replay=replay, share=0.5, size=8),
            anchors=examples(anchors, ANCHOR),
        )
        found = ids(drawn.draw(steps, seed=0))
        shown = Counter(i for i in found if i >= ANCHOR)
        assert len(shown) == drawn.anchors_in(steps)
        return shown, sum(REPLAYED <= i < ANCHOR for i in found)

    @pytest.mark.parametrize("replay", [0, 30])
    def test_one_comes_once_in_ten_steps(self, replay):
        shown, _ = self.drawn(1, replay=replay)

        assert shown == {ANCHOR: 4}

    def test_many_leave_three_quarters_of_the_places_to_replay(self):
        """
        Four places a step: 40 of 160 are anchors, each another.
        """
        shown, replayed = self.drawn(500)

        assert len(shown) == shown.total() == 40
        assert replayed == 120

    def test_where_nothing_is_replayed_they_take_no_more(self):
        shown, replayed = self.drawn(500, replay=0)

        assert (shown.total(), replayed) == (40, 0)

    def test_without_a_share_for_what_is_known_there_is_none_for_them(self):
        drawn = replace(source(share=0), anchors=examples(3, ANCHOR))

        assert max(ids(drawn.draw(40, seed=0))) < REPLAYED
        assert drawn.anchors_in(40) == 0
