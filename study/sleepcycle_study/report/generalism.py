"""The table of general tasks: what each arm knew before it was taught, and after."""

from collections.abc import Mapping, Sequence

from sleepcycle_study.experiment.results import HARNESS, NATS
from sleepcycle_study.report.figures import PERCENT, Cell, Table, row, spread
from sleepcycle_study.report.sample import Arms
from sleepcycle_study.report.tables import SPREAD


def general_table(arms: Arms) -> Table:
    """Return what each arm knew of general tasks before it was taught, and after."""
    rows = []
    for arm, runs in arms.items():
        for task in dict.fromkeys(task for run in runs for task in run.general):
            own = [run for run in runs if task in run.general]
            moved = _moved([run.general[task] for run in own], *_form(task))
            rows.append(row(own, arm, task, *moved))
    columns = ("arm", "task", "before", "after", "change")
    return Table("Generalism", _note(arms), columns, tuple(rows))


def _note(arms: Arms) -> str:
    """Return how to read the table; of the harness only where it was run."""
    note = (
        f"{SPREAD}, in percent, or in nats where the task says so; the change is "
        "after less before."
    )
    tasks = (task for runs in arms.values() for run in runs for task in run.general)
    if not any(task.startswith(HARNESS) for task in tasks):
        return note
    return (
        f"{note} Tasks of lm-evaluation-harness name their metric, and are in its own "
        "unit: ↑ the higher the better, ↓ the lower."
    )


def _form(task: str) -> tuple[float, int]:
    """Return what a task's scores are multiplied by, and the digits that are shown."""
    if task.startswith(HARNESS):
        return 1.0, 4
    return (1.0, 2) if task.endswith(NATS) else (PERCENT, 1)


def _moved(
    scores: Sequence[Mapping[str, float | None]], scale: float, digits: int
) -> tuple[Cell, Cell, Cell]:
    """Return scores before and after, and how far they moved."""
    pairs = [(score.get("before"), score.get("after")) for score in scores]
    both = [(b, a) for b, a in pairs if b is not None and a is not None]
    return (
        spread([old for old, _ in pairs if old is not None], scale, digits),
        spread([new for _, new in pairs if new is not None], scale, digits),
        spread([new - old for old, new in both], scale, digits),
    )
