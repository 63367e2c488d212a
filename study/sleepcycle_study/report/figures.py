"""The parts of a table: cells whose text and figures are rounded alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, stdev

from sleepcycle_study.experiment.results import StudyRun
from sleepcycle_study.report.statistics import Estimate, Paired

PERCENT = 100.0


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of a table."""

    text: str
    figures: Mapping[str, float] = field(default_factory=dict)
    """The numbers in the text, as they are rounded there."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One line of a table, and the runs that its figures come from."""

    cells: tuple[Cell, ...]
    runs: tuple[str, ...] = ()
    """Files below the study's folder."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under one title."""

    title: str
    note: str
    """How to read it."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


NONE = Cell("-")


def row(runs: Sequence[StudyRun], *cells: Cell | str) -> TableRow:
    """Return a row of cells, bare text among them, that names its runs once each."""
    files = tuple(dict.fromkeys(run.file for run in runs))
    return TableRow(tuple(Cell(c) if isinstance(c, str) else c for c in cells), files)


def whole(value: int) -> Cell:
    """Return a number of things."""
    return Cell(str(value), {"value": value})


def spread(values: Sequence[float], scale: float = 1.0, digits: int = 1) -> Cell:
    """Return mean ± standard deviation; the latter only of several, - of none."""
    if not values:
        return NONE
    figures = {"mean": rounded(scale * mean(values), digits)}
    text = f"{figures['mean']:.{digits}f}"
    if len(values) > 1:
        figures["std"] = rounded(scale * stdev(values), digits)
        text += f" ± {figures['std']:.{digits}f}"
    return Cell(text, figures)


def estimated(found: Estimate) -> Cell:
    """Return a score in percent: mean ± standard deviation [interval]."""
    figures = {"mean": rounded(PERCENT * found.mean)}
    text = f"{figures['mean']:.1f}"
    if found.std is not None:
        figures["std"] = rounded(PERCENT * found.std)
        text += f" ± {figures['std']:.1f}"
    low, high = rounded(PERCENT * found.low), rounded(PERCENT * found.high)
    figures |= {"low": low, "high": high}
    return Cell(f"{text} [{low:.1f}, {high:.1f}]", figures)


def compared(found: Paired) -> Cell:
    """Return a difference in percentage points, with its interval."""
    difference = rounded(PERCENT * found.difference)
    low, high = rounded(PERCENT * found.low), rounded(PERCENT * found.high)
    figures = {"difference": difference, "low": low, "high": high}
    return Cell(f"{difference:+.1f} [{low:.1f}, {high:.1f}]", figures)


def of_each(by_seed: Mapping[str, float]) -> Cell:
    """Return each seed's difference in percentage points."""
    figures = {seed: rounded(PERCENT * value) for seed, value in by_seed.items()}
    return Cell(", ".join(f"{value:+.1f}" for value in figures.values()), figures)


def chance(p: float) -> Cell:
    """Return a p-value, to two digits that matter."""
    value = float(f"{p:.2g}")
    return Cell(repr(value), {"p": value})


def signed(value: float | None, digits: int = 1) -> Cell:
    """Return a number with its sign; - of none."""
    if value is None:
        return NONE
    value = rounded(value, digits)
    return Cell(f"{value:+.{digits}f}", {"value": value})


def rounded(value: float, digits: int = 1) -> float:
    """Round, and never to a negative zero."""
    return round(float(value), digits) + 0.0
