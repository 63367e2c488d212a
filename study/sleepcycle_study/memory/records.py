"""What one run of the memory benchmark found, as a line of a file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sleepcycle.numerics.metrics import RetentionMetrics, retention_metrics
from sleepcycle.records.codec import from_json
from sleepcycle_study.experiment.common_knowledge import Knowledge
from sleepcycle_study.memory.day import Cost


@dataclass(frozen=True)
class LifetimeRun:
    """One life to be lived."""

    arm: str
    order: int
    """Of the days; the lessons are the same in each."""

    seed: int
    """Of what the lessons say, and of training."""

    lessons: int
    stream: str
    examples: int
    """Shown on a day, replayed ones included."""

    base: str = ""
    """As it was named; empty for the stream's own."""

    questions: int = 0
    """Asked of each lesson at most; 0 for all."""


@dataclass(frozen=True)
class Result:
    """One life that was lived."""

    run: LifetimeRun
    names: list[str]
    """Of the lessons, in the order of their days."""

    base: list[float]
    """The bare base's score on each lesson."""

    matrix: list[list[float]]
    """A row of scores after each day; one row where all was taught at once."""

    acc: float
    """Mean score at the end."""

    rank: int
    """Of the adapter at the end."""

    stories: list[float] | None
    """Loss on what the base was trained on, before the first day and after the last, in
    nats per token; None where that is not known."""

    cost: Cost
    seconds: float
    """All in all, questions included."""

    common: list[Knowledge] = field(default_factory=list)
    """Of what an assistant knows: before the first day, and after each; empty where
    that is not asked."""

    drift: list[float] = field(default_factory=list)
    """KL from the base on turns that nothing learns, after each day, in nats per token;
    empty where it was not measured."""

    def memory(
        self, together: Sequence[float] | None = None
    ) -> RetentionMetrics | None:
        """Sum up the matrix; None where lessons were not taught in turn.

        Args:
            together: Scores of a life that was taught all at once, if there is one.
        """
        if len(self.matrix) != len(self.base):
            return None
        return retention_metrics(self.matrix, self.base, together)


def read(file: Path) -> list[Result]:
    """Return the results in a file, none where there is no file.

    A line that was cut short, by the end of a run in mid-write, is no result, so that
    its life is lived again.
    """
    lines = file.read_text().splitlines() if file.exists() else []
    return [from_json(line, Result) for line in lines if _is_whole(line)]


def append(file: Path, result: Result) -> None:
    """Write a result at the end of a file, in one piece, on a line of its own."""
    line = f"{json.dumps(asdict(result))}\n"
    if file.exists() and not file.read_bytes().endswith(b"\n"):
        line = f"\n{line}"  # what was cut short stays alone
    with file.open("ab", buffering=0) as lines:
        lines.write(line.encode())


def _is_whole(line: str) -> bool:
    """Return whether a line was written to its end."""
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return False
    return True
