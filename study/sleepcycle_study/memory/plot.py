"""Draws lives as SVG files: each arm's scores by day and lesson, and all arms at once.

Scores by day are means over the lives of an arm.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from sleepcycle.cli.heatmap import heatmap
from sleepcycle_study.memory.pareto import pareto
from sleepcycle_study.memory.records import Result
from sleepcycle_study.memory.table import names

Matrix = Sequence[Sequence[float]]
ALL_ARMS = "general_against_lessons"
MANY = 12  # lessons, whose scores have no room for figures
SMALL = (28, 14)  # pixels, a score's field among many


def draw_all(results: Sequence[Result], folder: Path) -> None:
    """Draw every arm that was taught in turn to a file of its own, and all to one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names(results):
        found = [r.matrix for r in results if r.run.arm == name and r.memory()]
        if found:
            title = f"{name}, {len(found)} runs"
            _write(folder, _file_name(name), _matrix(title, average(found)))
    _write(folder, ALL_ARMS, pareto(results))


def _matrix(title: str, scores: Matrix) -> str:
    """Return the picture of scores, a row a day; of many without their figures."""
    days = [f"day {i + 1}" for i in range(len(scores))]
    lessons = [f"{i + 1}" for i in range(len(scores[0]))]
    if len(lessons) > MANY:
        return heatmap(title, days, lessons, scores, lambda _: "", SMALL)
    return heatmap(title, days, lessons, scores, "{:.0%}".format)


def _write(folder: Path, name: str, picture: str) -> None:
    """Write a picture to a file, if anything was drawn."""
    if picture:
        (folder / f"{name}.svg").write_text(picture, encoding="utf-8")


def _file_name(name: str) -> str:
    """Return an arm's name in letters and digits that any system takes."""
    return re.sub(r"\W+", "_", name).strip("_")


def average(matrices: Sequence[Matrix]) -> list[list[float]]:
    """Return the mean by place: lesson j is the one that was taught on day j."""
    rows = zip(*matrices, strict=True)
    return [[mean(cells) for cells in zip(*row, strict=True)] for row in rows]
