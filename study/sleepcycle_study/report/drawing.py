"""The parts of a picture: an SVG frame with axes, a scale, a legend, readable words.

Words and axes take the colour of the page around them; the colours of lines are of
middle lightness, so that they can be seen on light and on dark. A line also has its own
dashes, for those who see no colours.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = (
    *("#3b82c4", "#d9772b", "#3a9d5d", "#c94f7c", "#8a6fd1", "#a08a1f"),
    *("#2a9d9d", "#b8574a"),
)
DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 4")
LEFT, TOP, BOTTOM, RIGHT = 64, 34, 46, 16  # pixels around the field
LEGEND = 20  # pixels, a line of it
TICKS = 5
INK = "#7a828c"  # words and axes where there is no page: seen on light and on dark

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """How values become pixels."""

    low: float
    high: float
    start: float
    """Pixels where `low` lies."""

    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where a value lies, in pixels; ends of no width give the middle."""
        low, high, at = (
            (math.log10(x) for x in (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values to mark: whole steps, or powers of ten."""
        if self.log:
            first, last = math.ceil(math.log10(self.low)), math.log10(self.high)
            return [10.0**power for power in range(first, math.floor(last) + 1)]
        step = _step((self.high - self.low) / TICKS)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [place * step for place in range(first, last + 1)]


def _step(rough: float) -> float:
    """Return the round number (1, 2 or 5 times a power of ten) that is just larger."""
    if rough <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(
        (times * power for times in (1, 2, 5) if times * power >= rough), 10 * power
    )


def colour(place: int) -> str:
    """Return a colour of its own for a place in a list, as far as they go."""
    return COLOURS[place % len(COLOURS)]


def dash(place: int) -> str:
    """Return the dashes of a place in a list, as an attribute."""
    pattern = DASHES[place % len(DASHES)]
    return f' stroke-dasharray="{pattern}"' if pattern else ""


def picture(
    size: tuple[int, int], title: str, description: str, parts: Sequence[str]
) -> str:
    """Return an SVG element that a screen reader can name and describe."""
    width, height = size
    return "\n".join(
        [
            f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width} '
            f'{height}" width="{width}" height="{height}" font-family="sans-serif" '
            'font-size="12" text-anchor="middle" fill="currentColor">',
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(description)}</desc>",
            words((width / 2, 18), title, weight="bold"),
            *parts,
            "</svg>",
        ]
    )


def standalone(svg: str) -> str:
    """Return what `picture` drew as a document of its own, for a file."""
    namespace = f'<svg xmlns="http://www.w3.org/2000/svg" color="{INK}" '
    return f"{svg.replace('<svg ', namespace, 1)}\n"


def words(
    at: Point,
    text: str,
    anchor: str = "middle",
    turn: int = 0,
    weight: str = "normal",
) -> str:
    """Return words at a point, turned by some degrees."""
    x, y = at
    turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
    bold = f' font-weight="{weight}"' if weight != "normal" else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turned}{bold}>'
        f"{escape(text)}</text>"
    )


def stroke(start: Point, end: Point, faint: bool = False) -> str:
    """Return a straight line in the colour of the page's words."""
    opacity = "0.15" if faint else "0.7"
    (x, y), (to_x, to_y) = start, end
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
        f'stroke="currentColor" stroke-opacity="{opacity}"/>'
    )


def line(points: Sequence[Point], place: int) -> str:
    """Return a line through points, in the colour of a place in a list.

    A single point is a dot.
    """
    ends = [*points, *points] if len(points) == 1 else points
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour(place)}" '
        f'stroke-width="2" stroke-linecap="round"{dash(place)}/>'
    )


def axes(x: Scale, y: Scale, names: tuple[str, str]) -> Iterator[str]:
    """Yield both axes with their ticks, their lines through the field, their names."""
    yield stroke((x.start, y.start), (x.end, y.start))
    yield stroke((x.start, y.start), (x.start, y.end))
    for tick in x.ticks():
        yield words((x(tick), y.start + 16), number(tick))
    yield from heights(x, y)
    middle = (y.start + y.end) / 2
    yield words(((x.start + x.end) / 2, y.start + 34), names[0])
    yield words((16, middle), names[1], turn=-90)


def heights(x: Scale, y: Scale) -> Iterator[str]:
    """Yield the ticks of the upright axis."""
    for tick in y.ticks():
        yield stroke((x.start, y(tick)), (x.end, y(tick)), faint=True)
        yield words((x.start - 6, y(tick) + 4), number(tick), "end")


def legend(
    names: Sequence[str], top: float, sample: Callable[[float, float, int], str]
) -> Iterator[str]:
    """Yield a line for each name, with a sample of how it is drawn."""
    for place, name in enumerate(names):
        y = top + LEGEND * place
        yield sample(LEFT, y, place)
        yield words((LEFT + 36, y + 4), name, "start")


def number(value: float) -> str:
    """Return a tick as people write it."""
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:.6g}"
