"""Geometry of small drawings that pages hold as SVG, for whom no script draws them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 160
PAD = 6  # pixels around, so that no line is cut

Points = Sequence[tuple[float, float | None]]
"""x, and y or nothing."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """Lines over one scale."""

    lines: tuple[str, ...]
    """`points` of a polyline each."""

    low: float
    high: float
    """What the lower and the upper edge stand for."""

    left: float
    right: float
    """What the left and the right edge stand for."""


def draw(
    series: Sequence[Points], low: float | None = None, high: float | None = None
) -> Drawing | None:
    """Return lines over one scale; None where there are not two points to join.

    Args:
        series: One line each.
        low: What the lower edge is; None for the least there is.
        high: What the upper edge is; None for the most there is.
    """
    known = [[(x, y) for x, y in line if y is not None] for line in series]
    every = [point for line in known for point in line if math.isfinite(point[1])]
    if len(every) < 2:
        return None
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    least = min(y for _, y in every) if low is None else low
    most = max(y for _, y in every) if high is None else high
    across = (WIDTH - 2 * PAD) / ((right - left) or 1)
    up = (HEIGHT - 2 * PAD) / ((most - least) or 1)
    lines = (
        " ".join(
            f"{PAD + (x - left) * across:.1f},{HEIGHT - PAD - (y - least) * up:.1f}"
            for x, y in line
            if math.isfinite(y)
        )
        for line in known
    )
    return Drawing(tuple(lines), least, most, left, right)


def bars(values: Sequence[float], width: int = 320, height: int = 60) -> str:
    """Return the `d` of a path with one bar for each value, of which none is below 0.

    Args:
        values: The largest reaches the upper edge.
        width: Of all bars together.
        height: Of the largest.
    """
    most = max(values, default=0.0) or 1.0
    step = width / max(1, len(values))
    return "".join(
        f"M{place * step:.1f},{height}v{-value / most * height:.1f}"
        f"h{step * 0.8:.1f}V{height}z"
        for place, value in enumerate(values)
    )
