"""Kinds of error, and orders of magnitude."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepcycle_study.numbers.deviations import ErrorKind, kind_of, order


@pytest.mark.parametrize(
    ("predicted", "exact", "kind"),
    [
        (None, 5, ErrorKind.NO_ANSWER),
        (5, 5, ErrorKind.NONE),
        (0, 0, ErrorKind.NONE),
        (-5, 5, ErrorKind.SIGN),
        (999, 1001, ErrorKind.CLOSE),
        (109, 100, ErrorKind.CLOSE),
        (110, 100, ErrorKind.ROUGH),
        (149, 100, ErrorKind.ROUGH),
        (95, 100, ErrorKind.CLOSE),
        (150, 100, ErrorKind.SAME_MAGNITUDE),
        (-100, -400, ErrorKind.SAME_MAGNITUDE),
        (40, 400, ErrorKind.OFF_BY_ONE),
        (4000, 400, ErrorKind.OFF_BY_ONE),
        (4, 400, ErrorKind.CATASTROPHIC),
        (-40_000, 400, ErrorKind.CATASTROPHIC),
        (-300, 310, ErrorKind.WRONG),
        (0, 7, ErrorKind.WRONG),
        (0, 78771, ErrorKind.CATASTROPHIC),
        (50, 0, ErrorKind.WRONG),
        (500, 0, ErrorKind.CATASTROPHIC),
        (Fraction(1, 2), 1, ErrorKind.SAME_MAGNITUDE),
        (Fraction(21, 2), 10, ErrorKind.CLOSE),
    ],
)
def test_an_error_has_its_kind(predicted, exact, kind):
    assert kind_of(predicted, exact) is kind


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9))
def test_an_error_and_its_mirror_are_of_one_kind(predicted, exact):
    assert kind_of(predicted, exact) is kind_of(-predicted, -exact)


@pytest.mark.parametrize(
    ("value", "power"), [(0, 0), (9, 0), (-10, 1), (999, 2), (Fraction(1, 9), 0)]
)
def test_the_order_is_the_digits_less_one(value, power):
    assert order(value) == power
