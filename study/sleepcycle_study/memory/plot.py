"""Draws an arm's scores by day and lesson, means over its runs, as an SVG file."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean
from xml.sax.saxutils import escape

from sleepcycle_study.memory.records import Result
from sleepcycle_study.memory.table import names

CELL = 40  # pixels, a square
MARGIN = 64  # pixels for names, at the left and at the top
DARK = (8, 81, 156)  # colour of a score of 1; 0 is white

Matrix = Sequence[Sequence[float]]


def draw_all(results: Sequence[Result], folder: Path) -> None:
    """Draw every arm that was taught in turn to a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names(results):
        found = [r.matrix for r in results if r.run.arm == name and r.memory()]
        if found:
            title = f"{name}, {len(found)} runs"
            picture = heatmap(average(found), title)
            (folder / f"{_file_name(name)}.svg").write_text(picture, encoding="utf-8")


def _file_name(name: str) -> str:
    """Return an arm's name in letters and digits that any system takes."""
    return re.sub(r"\W+", "_", name).strip("_")


def average(matrices: Sequence[Matrix]) -> list[list[float]]:
    """Return the mean by place: lesson j is the one that was taught on day j."""
    rows = zip(*matrices, strict=True)
    return [[mean(cells) for cells in zip(*row, strict=True)] for row in rows]


def heatmap(matrix: Matrix, title: str) -> str:
    """Return a matrix as an SVG document, the darker the better known."""
    width = MARGIN + CELL * len(matrix[0])
    height = MARGIN + CELL * len(matrix)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" font-family="sans-serif" font-size="12" '
            'text-anchor="middle">',
            f"<title>{escape(title)}</title>",
            _text(width // 2, MARGIN // 4, title),
            *(
                _text(_middle(i), MARGIN - 16, f"{i + 1}")
                for i in range(len(matrix[0]))
            ),
            *(
                _text(MARGIN // 2, _middle(i), f"day {i + 1}")
                for i in range(len(matrix))
            ),
            *_cells(matrix),
            "</svg>\n",
        ]
    )


def _cells(matrix: Matrix) -> Iterator[str]:
    """Yield a coloured field and a number, in percent, for each score."""
    for row, scores in enumerate(matrix):
        for column, score in enumerate(scores):
            x, y = MARGIN + column * CELL, MARGIN + row * CELL
            yield (
                f'<rect x="{x}" y="{y}" width="{CELL}" height="{CELL}" '
                f'fill="{_colour(score)}" stroke="white"/>'
            )
            ink = "white" if score > 0.5 else "black"
            yield _text(_middle(column), _middle(row), f"{100 * score:.0f}", ink)


def _middle(place: int) -> int:
    """Return the middle of a row or column, in pixels."""
    return MARGIN + place * CELL + CELL // 2


def _text(x: int, y: int, words: str, ink: str = "black") -> str:
    """Return words around a point."""
    return f'<text x="{x}" y="{y + 4}" fill="{ink}">{escape(words)}</text>'


def _colour(score: float) -> str:
    """Return the colour of a score in [0, 1]."""
    red, green, blue = (round(255 - score * (255 - full)) for full in DARK)
    return f"#{red:02x}{green:02x}{blue:02x}"
