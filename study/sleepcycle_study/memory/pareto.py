"""Draws what ways to live keep of the base against what they keep of their lessons.

A small dot is a life, a large one with a number the mean of an arm, its cross the 95 %
intervals of the mean (bootstrap of the lives). The best is at the right and on top.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from sleepcycle_study.memory.records import Result
from sleepcycle_study.memory.table import names
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
    legend,
    picture,
    standalone,
)
from sleepcycle_study.report.statistics import estimate

WIDTH, HEIGHT = 640, 420  # pixels, without the legend
DOT, MEAN = 3, 9  # pixels, radius
TITLE = "General knowledge kept against lessons learned"


@dataclass(frozen=True, slots=True)
class _Arm:
    """Where the lives of an arm lie, in percent: lessons right, knowledge kept."""

    name: str
    lives: tuple[Point, ...]

    @property
    def mean(self) -> Point:
        """Where they lie on the whole."""
        return mean(x for x, _ in self.lives), mean(y for _, y in self.lives)

    @property
    def told(self) -> str:
        """The means in words."""
        x, y = self.mean
        return f"{self.name}: {x:.0f} % of the lessons, {y:.0f} % of the base kept"


def pareto(results: Sequence[Result]) -> str:
    """Return an SVG document; empty where no common knowledge was asked."""
    arms = list(_arms(results))
    if not arms:
        return ""
    x = Scale(0, 100, LEFT, WIDTH - RIGHT)
    y = Scale(0, 100, HEIGHT - BOTTOM, TOP)
    parts = [*axes(x, y, ("lessons right at the end, %", "general questions kept, %"))]
    for place, arm in enumerate(arms):
        parts += [_dot((x(a), y(b)), place) for a, b in arm.lives]
    for place, arm in enumerate(arms):
        parts += _cross(arm, x, y, place)
    parts += [
        _numbered((x(a), y(b)), place)
        for place, (a, b) in enumerate(arm.mean for arm in arms)
    ]
    told = [arm.told for arm in arms]
    parts += legend(told, HEIGHT + LEGEND, _sample)
    size = (WIDTH, HEIGHT + LEGEND * (len(arms) + 1))
    return standalone(picture(size, TITLE, f"{'; '.join(told)}.", parts))


def _arms(results: Sequence[Result]) -> Iterator[_Arm]:
    """Yield each arm that was asked what the base knew."""
    for name in names(results):
        lives = tuple(
            (100 * life.acc, 100 * kept)
            for life in results
            if life.run.arm == name
            and life.common
            and (kept := life.common[-1].kept) is not None
        )
        if lives:
            yield _Arm(name, lives)


def _cross(arm: _Arm, x: Scale, y: Scale, place: int) -> Iterator[str]:
    """Yield the intervals of a mean; none of a single life."""
    if len(arm.lives) < 2:
        return
    across, up = (estimate({0: values}) for values in zip(*arm.lives, strict=True))
    wide = f"M{x(across.low):.1f} {y(up.mean):.1f}H{x(across.high):.1f}"
    tall = f"M{x(across.mean):.1f} {y(up.low):.1f}V{y(up.high):.1f}"
    yield f'<path d="{wide}{tall}" stroke="{colour(place)}" stroke-width="2"/>'


def _dot(at: Point, place: int) -> str:
    """Return a life."""
    return (
        f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{DOT}" fill="{colour(place)}" '
        'fill-opacity="0.5"/>'
    )


def _numbered(at: Point, place: int) -> str:
    """Return a mean with the number of its arm."""
    x, y = at
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{MEAN}" fill="{colour(place)}"/>'
        f'<text x="{x:.1f}" y="{y + 4:.1f}" fill="white" font-weight="bold" '
        f'font-size="11">{place + 1}</text>'
    )


def _sample(x: float, y: float, place: int) -> str:
    """Return the sign of an arm beside its words."""
    return _numbered((x + 14, y), place)
