"""A matrix of scores as an SVG document, the darker the higher."""

import math
from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

Size = tuple[int, int]
"""Width and height, in pixels."""

CELL = (72, 32)
MARGIN = (72, 32)  # for names, at the left and at the top
INK = "#7a828c"  # of names: read on a light page and on a dark one
DARK = (8, 81, 156)  # colour of a score of 1; 0 is white


def heatmap(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    scores: Sequence[Sequence[float]],
    form: Callable[[float], str] = "{:.2f}".format,
    cell: Size = CELL,
) -> str:
    """Return scores as an SVG document.

    Args:
        title: What the document shows.
        rows: Names of the rows.
        columns: Names of the columns.
        scores: One row of scores for each name, each in [0, 1]; NaN is grey.
        form: Writes a score into its field.
        cell: Of a field.
    """
    width = MARGIN[0] + cell[0] * len(columns)
    height = MARGIN[1] + cell[1] * len(rows)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" font-family="sans-serif" font-size="12" '
            'text-anchor="middle">',
            f"<title>{escape(title)}</title>",
            *_names(rows, columns, cell),
            *_cells(scores, form, cell),
            "</svg>\n",
        ]
    )


def _names(rows: Sequence[str], columns: Sequence[str], cell: Size) -> Iterator[str]:
    """Yield the names of columns and rows."""
    for column, name in enumerate(columns):
        yield _text(_centre(0, column, cell)[0], MARGIN[1] // 2, name)
    for row, name in enumerate(rows):
        yield _text(MARGIN[0] // 2, _centre(row, 0, cell)[1], name)


def _cells(
    scores: Sequence[Sequence[float]], form: Callable[[float], str], cell: Size
) -> Iterator[str]:
    """Yield a coloured field for each score, and what is written into it."""
    for row, values in enumerate(scores):
        for column, score in enumerate(values):
            x, y = MARGIN[0] + column * cell[0], MARGIN[1] + row * cell[1]
            yield (
                f'<rect x="{x}" y="{y}" width="{cell[0]}" height="{cell[1]}" '
                f'fill="{_colour(score)}" stroke="white"/>'
            )
            ink = "white" if score > 0.5 else "black"
            if written := form(score):
                yield _text(*_centre(row, column, cell), written, ink)


def _centre(row: int, column: int, cell: Size) -> tuple[int, int]:
    """Return the middle of a field, in pixels."""
    x = MARGIN[0] + column * cell[0] + cell[0] // 2
    return x, MARGIN[1] + row * cell[1] + cell[1] // 2


def _text(x: int, y: int, words: str, ink: str = INK) -> str:
    """Return words around a point."""
    return f'<text x="{x}" y="{y + 4}" fill="{ink}">{escape(words)}</text>'


def _colour(score: float) -> str:
    """Return the colour of a score in [0, 1]; grey where it is not a number."""
    if math.isnan(score):
        return "#cccccc"
    red, green, blue = (round(255 - score * (255 - full)) for full in DARK)
    return f"#{red:02x}{green:02x}{blue:02x}"
