"""Draws an arm's scores by day and lesson, means over its runs, as an SVG file."""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from sleepcycle.cli.heatmap import heatmap
from sleepcycle_study.memory.records import Result
from sleepcycle_study.memory.table import names

Matrix = Sequence[Sequence[float]]


def draw_all(results: Sequence[Result], folder: Path) -> None:
    """Draw every arm that was taught in turn to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names(results):
        found = [r.matrix for r in results if r.run.arm == name and r.memory()]
        if found:
            scores = average(found)
            days = [f"day {i + 1}" for i in range(len(scores))]
            lessons = [f"{i + 1}" for i in range(len(scores[0]))]
            title = f"{name}, {len(found)} runs"
            picture = heatmap(title, days, lessons, scores, "{:.0%}".format)
            file = folder / f"{_file_name(name)}.svg"
            file.write_text(picture, encoding="utf-8")


def _file_name(name: str) -> str:
    """Return an arm's name in letters and digits that any system takes."""
    return re.sub(r"\W+", "_", name).strip("_")


def average(matrices: Sequence[Matrix]) -> list[list[float]]:
    """Return the mean by place: lesson j is the one that was taught on day j."""
    rows = zip(*matrices, strict=True)
    return [[mean(cells) for cells in zip(*row, strict=True)] for row in rows]
