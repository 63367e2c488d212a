"""Draws the study's charts as SVG elements that stand in a page, without scripts."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sleepcycle_study.report.drawing import (
    BOTTOM,
    LEFT,
    LEGEND,
    RIGHT,
    TOP,
    Point,
    Scale,
    axes,
    colour,
    heights,
    legend,
    line,
    picture,
    stroke,
    words,
)

WIDTH, HEIGHT = 640, 320  # pixels, without the legend
RADIUS = 130  # pixels
POINTS = 200  # of a line; more are averaged

Series = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, and the interval around its end."""

    name: str
    value: float
    low: float
    high: float


def curves(title: str, lines: Mapping[str, Sequence[Series]]) -> str:
    """Draw the loss over steps: a colour a name, a line for each of its series."""
    thinned = {
        name: [thin(found) for found in series if found]
        for name, series in lines.items()
    }
    points = [p for series in thinned.values() for found in series for p in found]
    if not points:
        return ""
    losses = [loss for _, loss in points]
    x, y = _field(max(step for step, _ in points), min(0.0, *losses), max(losses))
    parts = [*axes(x, y, ("step", "loss, nats per token"))]
    for place, series in enumerate(thinned.values()):
        parts += [line(_placed(found, x, y), place) for found in series]
    parts += legend([*thinned], HEIGHT + LEGEND, _sample)
    about = f"Training loss by step for {', '.join(thinned)}."
    return picture(_size(len(thinned)), title, about, parts)


def spectra(title: str, before: Sequence[float], after: Sequence[float]) -> str:
    """Draw singular values before and after a fold, on a logarithmic scale.

    Values of zero have no place on that scale, and are left out.
    """
    drawn = {"before the fold": before, "after the fold": after}
    lines = {
        name: [(float(i), v) for i, v in enumerate(values, 1) if v > 0]
        for name, values in drawn.items()
    }
    found = [value for series in lines.values() for _, value in series]
    if not found:
        return ""
    low = 10.0 ** math.floor(math.log10(min(found)))
    high = 10.0 ** math.ceil(math.log10(max(found)))
    most = max(len(before), len(after))
    x = Scale(1, max(2, most), LEFT, WIDTH - RIGHT)
    y = Scale(low, max(high, 10 * low), HEIGHT - BOTTOM, TOP, log=True)
    parts = [*axes(x, y, ("direction, strongest first", "mean singular value"))]
    parts += [
        line(_placed(series, x, y), place)
        for place, series in enumerate(lines.values())
    ]
    parts += legend([*lines], HEIGHT + LEGEND, _sample)
    about = f"{len(before)} singular values before the fold, {len(after)} after it."
    return picture(_size(len(lines)), title, about, parts)


def radar(
    title: str, names: Sequence[str], shapes: Mapping[str, Sequence[float]]
) -> str:
    """Draw shares in [0, 1] on an axis a name: a closed line for each shape.

    Fewer than three axes make no surface: nothing is drawn.
    """
    if len(names) < 3 or not shapes:
        return ""
    middle = (WIDTH / 2, TOP + 30 + RADIUS)
    parts = [*_web(middle, names)]
    for place, values in enumerate(shapes.values()):
        corners = [
            _on_axis(middle, i, len(names), max(0.0, min(1.0, value)))
            for i, value in enumerate(values)
        ]
        parts.append(line([*corners, corners[0]], place))
    top = TOP + 2 * RADIUS + 80
    parts += legend([*shapes], top, _sample)
    about = f"{', '.join(shapes)} on {', '.join(names)}, from 0 in the middle to 100 %."
    return picture((WIDTH, top + LEGEND * len(shapes)), title, about, parts)


def bars(title: str, unit: str, drawn: Sequence[Bar]) -> str:
    """Draw a bar for each name, with its interval."""
    if not drawn:
        return ""
    low = min(0.0, *(bar.low for bar in drawn), *(bar.value for bar in drawn))
    high = max(0.0, *(bar.high for bar in drawn), *(bar.value for bar in drawn))
    x, y = _field(len(drawn), low, high if high > low else low + 1)
    parts = [*heights(x, y), words((16, (y.start + y.end) / 2), unit, turn=-90)]
    for place, bar in enumerate(drawn):
        parts += _bar(place, bar, x, y)
    parts.append(stroke((x.start, y(0)), (x.end, y(0))))
    parts += legend([bar.name for bar in drawn], HEIGHT + LEGEND, _patch)
    told = "; ".join(
        f"{b.name}: {b.value:.1f}, from {b.low:.1f} to {b.high:.1f}" for b in drawn
    )
    return picture(_size(len(drawn)), title, f"{told}.", parts)


def thin(series: Series) -> Series:
    """Return at most 200 points of a line, each the mean of those that it is for."""
    size = -(-len(series) // POINTS)
    if size <= 1:
        return series
    groups = [series[i : i + size] for i in range(0, len(series), size)]
    return [
        (sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups
    ]


def _field(most: float, low: float, high: float) -> tuple[Scale, Scale]:
    """Return the scales of a field from 0 to `most`, and from `low` to `high`."""
    x = Scale(0, most, LEFT, WIDTH - RIGHT)
    return x, Scale(low, high, HEIGHT - BOTTOM, TOP)


def _size(names: int) -> tuple[int, int]:
    """Return the size of a picture with so many lines of legend."""
    return WIDTH, HEIGHT + LEGEND * (names + 1)


def _placed(series: Series, x: Scale, y: Scale) -> list[Point]:
    """Return the pixels of points."""
    return [(x(across), y(up)) for across, up in series]


def _sample(x: float, y: float, place: int) -> str:
    """Return a short piece of a line, for a legend."""
    return line([(x, y), (x + 28, y)], place)


def _patch(x: float, y: float, place: int) -> str:
    """Return a small field of a bar's colour, for a legend."""
    return (
        f'<rect x="{x:.1f}" y="{y - 6:.1f}" width="28" height="12" '
        f'fill="{colour(place)}"/>'
    )


def _bar(place: int, bar: Bar, x: Scale, y: Scale) -> Iterator[str]:
    """Yield a bar, its figure, and its interval as a line with two ends."""
    left, right = x(place + 0.2), x(place + 0.8)
    top, foot = sorted([y(bar.value), y(0)])
    yield (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{foot - top:.1f}" fill="{colour(place)}"/>'
    )
    middle = (left + right) / 2
    yield stroke((middle, y(bar.low)), (middle, y(bar.high)))
    for end in (bar.low, bar.high):
        yield stroke((middle - 5, y(end)), (middle + 5, y(end)))
    yield words((middle, HEIGHT - BOTTOM + 18), f"{bar.value:.1f}")


def _web(middle: Point, names: Sequence[str]) -> Iterator[str]:
    """Yield a radar's rings and axes, each with its name."""
    count = len(names)
    for share in (0.25, 0.5, 0.75, 1.0):
        ring = [_on_axis(middle, i, count, share) for i in range(count)]
        for i in range(count):
            yield stroke(ring[i], ring[(i + 1) % count], faint=True)
        yield words((middle[0] + 4, ring[0][1] + 12), f"{100 * share:.0f}", "start")
    for i, name in enumerate(names):
        yield stroke(middle, _on_axis(middle, i, count, 1.0), faint=True)
        x, y = _on_axis(middle, i, count, 1.12)
        side = x - middle[0]
        anchor = "middle" if abs(side) < 1 else "start" if side > 0 else "end"
        yield words((x, y + 4), name, anchor)


def _on_axis(middle: Point, place: int, count: int, share: float) -> Point:
    """Return where a share lies on an axis; the first points up, the next clockwise."""
    angle = 2 * math.pi * place / count
    x, y = middle
    return (
        x + RADIUS * share * math.sin(angle),
        y - RADIUS * share * math.cos(angle),
    )
