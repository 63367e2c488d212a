"""Dreams of past nights are drawn evenly over the dreamers."""

from collections import Counter

import pytest

from sleepcycle.files.dream_archive import recorded, spread
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.records.content import Completion, Text
from sleepcycle.records.example import Dream


def dreams(**counts: int) -> list[Dream]:
    """Return dreams of versions, such as `v1=3`, one after the other."""
    return [
        Dream(int(name[1:]), Text(f"{name} {i}"))
        for name, count in counts.items()
        for i in range(count)
    ]


def test_each_dreamer_has_as_many_as_the_others():
    drawn = spread(dreams(v1=300, v3=10, v5=300), 24, seed=1)

    assert Counter(dream.version for dream in drawn) == {1: 8, 3: 8, 5: 8}


def test_what_one_has_not_others_make_up_for():
    drawn = spread(dreams(v1=300, v3=2), 20, seed=1)

    assert Counter(dream.version for dream in drawn) == {1: 18, 3: 2}
    assert len({dream.content for dream in drawn}) == 20


@pytest.mark.parametrize("count", [3, 9])
def test_there_are_no_more_than_were_dreamt(count):
    assert len(spread(dreams(v1=3), count, seed=1)) == 3
    assert spread([], count, seed=1) == []


def test_a_seed_draws_the_same_and_another_does_not():
    pool = dreams(v1=50, v2=50)

    assert spread(pool, 10, seed=1) == spread(pool, 10, seed=1)
    assert spread(pool, 10, seed=1) != spread(pool, 10, seed=2)


def test_of_dreams_that_begin_alike_the_newest_version_s_counts():
    """
    A later lesson corrected what an earlier one had taught.
    """
    old = Dream(1, Completion("Who leads Xanu?", "Abel"))
    new = Dream(3, Completion("who leads  xanu ?", "Bela"))

    assert spread([new, old], 5, seed=1) == [new]


def test_dreams_are_read_as_they_were_written(tmp_path):
    """
    Some characters end a line for Python, and not for JSON.
    """
    run = RunFolder(tmp_path)
    run.result.mkdir()
    dreamt = [Dream(1, Completion("a\u2028b\x85c", "d\n")), Dream(3, Text("e"))]

    run.write_dreams(dreamt)

    assert recorded([run.result, tmp_path]) == dreamt
