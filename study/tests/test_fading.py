"""Which lessons fade, and what each day leaves."""

from dataclasses import replace

import pytest
from memory_results import result

from sleepcycle_study.experiment.common_knowledge import Knowledge
from sleepcycle_study.memory.day import Cost
from sleepcycle_study.memory.fading import doubling, fading


def life(seed=0, names=("a", "b", "c"), last=(0.2, 0.5, 1.0), **others):
    """Return a made-up life of three days."""
    made = result("store", 0.5, seed=seed)
    first, second = [1.0, 0.0, 0.0], [0.5, 0.9, 0.0]
    return replace(
        made,
        run=replace(made.run, lessons=3),
        names=list(names),
        base=[0.0, 0.1, 0.0],
        matrix=[first, second, list(last)],
        cost=Cost(wake_seconds=[1.0, 2.0, 4.0], night_seconds=[8.0, 8.0, 10.0]),
        **others,
    )


def cells(lines, start):
    """Return the cells of the first line that begins so."""
    line = next(line for line in lines if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize(
    ("count", "groups"),
    [
        (1, [[0]]),
        (2, [[0], [1]]),
        (5, [[0], [1], [2, 3], [4]]),
        (8, [[0], [1], [2, 3], [4, 5, 6, 7]]),
    ],
)
def test_groups_are_as_long_as_all_before_them(count, groups):
    assert [list(group) for group in doubling(count)] == groups


def test_ages_count_from_the_last_day_of_each_life():
    """
    The last lesson is of age 0; of age 1 one has lost 40 points and one 20.
    """
    lines = list(fading([life(), life(seed=1, last=(0.2, 0.7, 1.0))]))

    assert cells(lines, "arm")[1:] == ["0", "1", "2"]
    assert cells(lines, "store")[1:] == ["100.0 (+0.0)", "60.0 (-30.0)", "20.0 (-80.0)"]


def test_days_tell_what_they_left_and_took():
    known = [Knowledge(1.0, 1.0), Knowledge(0.9, 0.9), Knowledge(0.6, 0.6)]
    lives = [life(common=[Knowledge(1.0, 1.0), *known], drift=[0.1, 0.2, 0.4])]

    lines = list(fading(lives))

    by_day = {row.split(" | ")[1]: row for row in lines if row.startswith("| store")}
    assert by_day["taught so far, %"].endswith("| 100.0 | 70.0 | 56.7 |")
    assert by_day["kept, %"].endswith("| 100.0 | 90.0 | 60.0 |")
    assert by_day["KL to the base, nats"].endswith("| 0.100 | 0.200 | 0.400 |")
    assert by_day["wake, s"].endswith("| 1.0 | 2.0 | 4.0 |")
    assert by_day["night, s"].endswith("| 8.0 | 8.0 | 10.0 |")


def test_what_was_not_measured_has_no_line():
    lines = "\n".join(fading([life()]))

    assert "kept, %" not in lines
    assert "KL to the base" not in lines


def test_a_lesson_is_found_on_whatever_day_it_was_taught():
    """
    `a` on the first day and on the last: 100 and 100 % then, 20 and 100 % at the end.
    """
    lives = [life(), life(seed=1, names=("b", "c", "a"))]

    lines = list(fading(lives))

    assert cells(lines, "a") == ["a", "0", "100 → 60"]


def test_lives_that_were_taught_all_at_once_have_no_ages():
    together = replace(life(), matrix=[[1.0, 1.0, 1.0]])

    assert list(fading([together])) == []
