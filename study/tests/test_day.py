"""One day of the benchmark: its examples, and what it shows again."""

from sleepcycle.records.example import Dream
from sleepcycle_study.memory.day import Lifetime, begin, recall
from sleepcycle_study.memory.lessons import lessons
from sleepcycle_study.memory.methods import METHODS, settings


def test_a_day_recalls_as_many_examples_as_it_has_places_for():
    """
    Three steps of 8, half of them replayed.
    """
    today = begin(lessons(0, 1)[0], 0, 0)
    chosen = settings(METHODS["store"], 24, 64, first=True)

    assert len(recall(Lifetime(stored=list(today.new)), today, chosen)) == 12
    assert recall(Lifetime(), today, chosen) == []


def test_without_a_store_dreams_are_recalled_evenly():
    """
    The service replays what past nights dreamt, as many of each dreamer.
    """
    rows = lessons(0, 1)[0].rows
    dreamt = [Dream(1 + (i > 3), row) for i, row in enumerate(rows[:30])]
    chosen = settings(METHODS["archive"], 16, 64, first=True)

    found = recall(Lifetime(dreamt=dreamt), begin(lessons(0, 1)[0], 2, 0), chosen)

    early = {dream.content for dream in dreamt if dream.version == 1}
    assert len(found) == 8
    assert sum(example.content in early for example in found) == 4


def test_examples_of_two_days_have_different_numbers():
    lesson = lessons(0, 1)[0]
    days = [begin(lesson, number, seed=0) for number in range(3)]
    ids = [x.id for today in days for x in (*today.new, *today.held_out)]

    assert len(set(ids)) == len(ids)
