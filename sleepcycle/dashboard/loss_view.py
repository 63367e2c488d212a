"""The losses of a run, step by step, as numbers and as a drawing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sleepcycle.dashboard.line_drawing import Drawing, draw
from sleepcycle.records.progress import Progress

MOST_STEPS = 200  # of a table; a longer run has every so many of its steps

Looks = Sequence[tuple[int, float]]
"""Steps, and the loss on what is held out there."""


@dataclass(frozen=True, slots=True)
class LossRow:
    """One step: the loss that was learned from, and the one on what is held out."""

    step: int
    loss: float | None
    held_out: float | None


@dataclass(frozen=True, slots=True)
class LossView:
    """The losses of one run."""

    rows: tuple[LossRow, ...]
    drawing: Drawing | None
    every: int
    """So many steps lie between two rows."""


def loss_view(heartbeats: Iterable[Progress], looks: Looks | None) -> LossView:
    """Return the losses of a run.

    Args:
        heartbeats: All of it.
        looks: Of its report; None where it is not over.
    """
    steps = [one for one in heartbeats if one.loss is not None]
    losses = {one.step: one.loss for one in steps}
    held_out = dict(looks_of(steps) if looks is None else looks)
    every = max(1, -(-len(losses) // MOST_STEPS))
    kept = [*losses][::every] + [*losses][-1:]
    rows = tuple(
        LossRow(step, losses.get(step), held_out.get(step))
        for step in sorted({*kept, *held_out})
    )
    drawing = draw(
        [
            [(row.step, row.loss) for row in rows],
            [(row.step, row.held_out) for row in rows],
        ]
    )
    return LossView(rows, drawing, every)


def looks_of(steps: Sequence[Progress]) -> Looks:
    """Return the looks at what is held out, as the heartbeats after them have them."""
    found, last = [], None
    for one in steps:
        if one.held_out is not None and one.held_out != last:
            found.append((one.step - 1, one.held_out))
        last = one.held_out
    return found
