"""The parts of a picture: ticks, and dashes."""

import pytest

from sleepcycle_study.report.drawing import (
    DASHES,
    Scale,
    dash,
    number,
)


def test_lines_differ_without_their_colours():
    assert len({dash(place) for place in range(len(DASHES))}) == len(DASHES)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3, 7, [-2, 0, 2, 4, 6]),
        (0, 39, [0, 10, 20, 30]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert Scale(low, high, 0, 1).ticks() == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (20.0, "20"), (0.2, "0.2"), (1e-9, "1e-9"), (1e6, "1e6")],
)
def test_ticks_are_short(value, text):
    assert number(value) == text
