"""How wrong a number is: by its sign, by its order, or by a little."""

from enum import StrEnum
from fractions import Fraction

CLOSE, ROUGH = Fraction(1, 10), Fraction(1, 2)  # of the exact value; less than these


class ErrorKind(StrEnum):
    """What kind of error an answer is, from none to the worst."""

    NONE = "none"
    SIGN = "sign"
    """Right but for its sign."""

    CLOSE = "close"
    """Less than 10 % off."""

    ROUGH = "rough"
    """Less than 50 % off."""

    SAME_MAGNITUDE = "same_magnitude"
    """Of the right order and sign, and further off."""

    OFF_BY_ONE = "off_by_one"
    """One order of magnitude too large or too small."""

    WRONG = "wrong"
    """Wrong in value and in sign, or zero where there is something, or the reverse."""

    CATASTROPHIC = "catastrophic"
    """Two orders of magnitude or more too large or too small."""

    NO_ANSWER = "no_answer"


SENSIBLE = frozenset(
    {ErrorKind.SIGN, ErrorKind.CLOSE, ErrorKind.ROUGH, ErrorKind.SAME_MAGNITUDE}
)
"""Errors of one who has an idea of the value."""

DISASTROUS = frozenset({ErrorKind.CATASTROPHIC, ErrorKind.NO_ANSWER})
"""Errors of one who has none."""


def kind_of(predicted: Fraction | int | None, exact: Fraction | int) -> ErrorKind:
    """Return what kind of error an answer is.

    How far off it is comes before its order: 999 for 1001 is close, though it has a
    digit less. Zero is of the order of 1 to 9. So 0 for 78771 is catastrophic, as is
    500 for 0; 0 for 7, and 50 for 0, are wrong.
    """
    if predicted is None:
        return ErrorKind.NO_ANSWER
    if predicted == exact:
        return ErrorKind.NONE
    if predicted == -exact:
        return ErrorKind.SIGN
    return _by_size(predicted, exact)


def order(value: Fraction | int) -> int:
    """Return the power of ten of a value's first digit; 0 for all below 10."""
    return len(str(abs(int(value)))) - 1


def _by_size(predicted: Fraction | int, exact: Fraction | int) -> ErrorKind:
    """Return what kind of error a number is that is not right but for its sign."""
    off = abs(Fraction(predicted) - exact)
    size, gap = abs(Fraction(exact)), abs(order(predicted) - order(exact))
    if off < CLOSE * size:
        return ErrorKind.CLOSE
    if off < ROUGH * size:
        return ErrorKind.ROUGH
    if gap >= 2:
        return ErrorKind.CATASTROPHIC
    if predicted * exact <= 0:
        return ErrorKind.WRONG
    return ErrorKind.OFF_BY_ONE if gap else ErrorKind.SAME_MAGNITUDE
