"""Which lessons fade: scores by age and by lesson, and what each day leaves and takes.

Means over lives. Arms that were not taught in turn have neither ages nor days.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import mean

from sleepcycle_study.memory.records import Result
from sleepcycle_study.memory.table import names

Arms = Mapping[str, Sequence[Result]]
MEASURES: dict[str, tuple[Callable[[Result], Sequence[float]], str]] = {
    "taught so far, %": (lambda life: _taught_so_far(life), "{:.1f}"),
    "kept, %": (lambda life: _kept(life), "{:.1f}"),
    "KL to the base, nats": (lambda life: life.drift, "{:.3f}"),
    "wake, s": (lambda life: life.cost.wake_seconds, "{:.1f}"),
    "night, s": (lambda life: life.cost.night_seconds, "{:.1f}"),
}
"""By name, what a life has of each day, and how it is written; empty if nothing."""


def fading(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of three tables: by age, by day and by lesson."""
    taught = [result for result in results if result.memory()]
    arms = {
        name: [result for result in taught if result.run.arm == name]
        for name in names(taught)
    }
    if arms:
        count = taught[0].run.lessons
        yield "\nRight at the end, % (change since its own day), by the age of a lesson"
        yield from _by_age(arms, doubling(count))
        yield "\nBy day"
        yield from _by_day(arms, doubling(count))
        yield "\nRight on its own day → at the end, %"
        yield from _by_lesson(arms)


def doubling(count: int) -> list[range]:
    """Divide numbers from 0 into groups, each as long as all before it."""
    ends = [0, 1]
    while ends[-1] < count:
        ends.append(min(2 * ends[-1], count))
    return [range(*pair) for pair in pairwise(ends)]


def _by_age(arms: Arms, groups: Sequence[range]) -> Iterator[str]:
    """Yield the table of scores at the end."""
    yield from _head("arm", *(_label(group, 0) for group in groups))
    for name, rows in arms.items():
        yield _line(name, *(_aged(rows, group) for group in groups))


def _aged(rows: Sequence[Result], ages: range) -> str:
    """Return the mean score of lessons of some ages, and the change since their day."""
    pairs = [
        (life.matrix[-1][day], life.matrix[day][day])
        for life in rows
        for day in range(len(life.matrix))
        if len(life.matrix) - 1 - day in ages
    ]
    last = 100 * mean(last for last, _ in pairs)
    change = 100 * mean(last - first for last, first in pairs)
    return f"{last:.1f} ({change:+.1f})"


def _by_day(arms: Arms, groups: Sequence[range]) -> Iterator[str]:
    """Yield the table of what each day leaves and takes."""
    yield from _head("arm", "", *(f"day {_label(group, 1)}" for group in groups))
    for name, rows in arms.items():
        for what, (measure, form) in MEASURES.items():
            lives = [values for life in rows if (values := measure(life))]
            if lives:
                cells = (
                    form.format(mean(life[day] for life in lives for day in group))
                    for group in groups
                )
                yield _line(name, what, *cells)


def _taught_so_far(life: Result) -> list[float]:
    """Return the mean score after each day, of lessons taught by then, in percent."""
    return [100 * mean(scores[: day + 1]) for day, scores in enumerate(life.matrix)]


def _kept(life: Result) -> list[float]:
    """Return the share of the base's knowledge that is there after each day."""
    return [100 * one.kept for one in life.common[1:] if one.kept is not None]


def _by_lesson(arms: Arms) -> Iterator[str]:
    """Yield the table of each lesson, by name."""
    yield from _head("lesson", "base", *arms)
    first = next(iter(arms.values()))
    for lesson in sorted(first[0].names):
        bare = [life.base[life.names.index(lesson)] for life in first]
        found = (_of_lesson(rows, lesson) for rows in arms.values())
        yield _line(lesson, f"{100 * mean(bare):.0f}", *found)


def _of_lesson(rows: Sequence[Result], lesson: str) -> str:
    """Return a lesson's mean score on its own day and at the end."""
    days = [life.names.index(lesson) for life in rows]
    pairs = list(zip(rows, days, strict=True))
    own = 100 * mean(life.matrix[day][day] for life, day in pairs)
    last = 100 * mean(life.matrix[-1][day] for life, day in pairs)
    return f"{own:.0f} → {last:.0f}"


def _label(group: range, first: int) -> str:
    """Return the numbers of a group; `first` is what 0 is called."""
    low, high = group[0] + first, group[-1] + first
    return str(low) if low == high else f"{low}-{high}"


def _head(*columns: str) -> Iterator[str]:
    """Yield the two lines above the rows."""
    yield ""
    yield _line(*columns)
    yield "|---" * len(columns) + "|"


def _line(*cells: str) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"
