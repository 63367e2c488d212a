"""A matrix of scores as an SVG document, the darker the higher."""

import math
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

CELL = (72, 32)  # pixels, width and height
MARGIN = (72, 32)  # pixels for names, at the left and at the top
DARK = (8, 81, 156)  # colour of a score of 1; 0 is white


def heatmap(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    scores: Sequence[Sequence[float]],
    form: Callable[[float], str] = "{:.2f}".format,
) -> str:
    """Return scores as an SVG document.

    Args:
        title: What the document shows.
        rows: Names of the rows.
        columns: Names of the columns.
        scores: One row of scores for each name, each in [0, 1]; NaN is grey.
        form: Writes a score into its field.
    """
    width = MARGIN[0] + CELL[0] * len(columns)
    height = MARGIN[1] + CELL[1] * len(rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" font-family="sans-serif" font-size="12" '
            'text-anchor="middle">',
            f"<title>{escape(title)}</title>",
            *_names(rows, columns),
            *_cells(scores, form),
            "</svg>\n",
        ]
    )


def _names(rows: Sequence[str], columns: Sequence[str]) -> Iterator[str]:
    """Yield the names of columns and rows."""
    for column, name in enumerate(columns):
        yield _text(*_centre(-1, column), name)
    for row, name in enumerate(rows):
        yield _text(MARGIN[0] // 2, _centre(row, 0)[1], name)


def _cells(
    scores: Sequence[Sequence[float]], form: Callable[[float], str]
) -> Iterator[str]:
    """Yield a coloured field and a number for each score."""
    for row, values in enumerate(scores):
        for column, score in enumerate(values):
            x, y = MARGIN[0] + column * CELL[0], MARGIN[1] + row * CELL[1]
            yield (
                f'<rect x="{x}" y="{y}" width="{CELL[0]}" height="{CELL[1]}" '
                f'fill="{_colour(score)}" stroke="white"/>'
            )
            ink = "white" if score > 0.5 else "black"
            yield _text(*_centre(row, column), form(score), ink)


def _centre(row: int, column: int) -> tuple[int, int]:
    """Return the middle of a cell in pixels; row -1 holds the names."""
    x = MARGIN[0] + column * CELL[0] + CELL[0] // 2
    return x, MARGIN[1] + row * CELL[1] + CELL[1] // 2


def _text(x: int, y: int, words: str, ink: str = "black") -> str:
    """Return words around a point."""
    return f'<text x="{x}" y="{y + 4}" fill="{ink}">{escape(words)}</text>'


def _colour(score: float) -> str:
    """Return the colour of a score in [0, 1]; grey where it is not a number."""
    if math.isnan(score):
        return "#cccccc"
    red, green, blue = (round(255 - score * (255 - full)) for full in DARK)
    return f"#{red:02x}{green:02x}{blue:02x}"
