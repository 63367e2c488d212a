"""Sums that look harder, or easier, than they are, for the adversarial questions."""

from collections.abc import Callable
from enum import StrEnum
from random import Random


class Trap(StrEnum):
    """What a sum would mislead by."""

    TIMES_ZERO = "times_zero"
    ZERO_TIMES = "zero_times"
    TIMES_ONE = "times_one"
    PLUS_ZERO = "plus_zero"
    MINUS_ITSELF = "minus_itself"
    CARRY = "carry"
    """Just over a round number: 4998 + 7."""

    PRECEDENCE = "precedence"
    """a + b * c, which is not (a + b) * c."""

    NEGATIVE = "negative"
    TWIN = "twin"
    """One of a pair: a + b and b + a, or a * b and b * a; both are asked."""


def trap(kind: Trap, rng: Random) -> tuple[str, ...]:
    """Draw the expressions of a trap: two for twins, one for any other."""
    return TRAPS[kind](rng)


def _one(text: Callable[[int], str]) -> Callable[[Random], tuple[str, ...]]:
    """Return what draws a number of three or four digits, and writes it in a sum."""
    return lambda rng: (text(rng.randint(100, 9_999)),)


def _carry(rng: Random) -> tuple[str, ...]:
    """Draw a sum that passes a multiple of 100 or 1,000 by a little."""
    step = rng.choice((100, 1_000))
    short, over = rng.randint(1, 9), rng.randint(1, 9)
    return (f"{step * rng.randint(1, 9) - short} + {short + over}",)


def _precedence(rng: Random) -> tuple[str, ...]:
    """Draw a sum in which the product comes first, though it stands last."""
    a, b, c = rng.randint(10, 100), rng.randint(2, 20), rng.randint(2, 20)
    return (f"{a} + {b} * {c}",)


def _negative(rng: Random) -> tuple[str, ...]:
    """Draw a difference below zero."""
    return (f"{rng.randint(10, 100)} - {rng.randint(200, 500)}",)


def _twins(rng: Random) -> tuple[str, ...]:
    """Draw two different numbers, and add or multiply them in both orders."""
    sign, numbers = rng.choice((("+", range(100, 1_000)), ("*", range(10, 100))))
    a, b = rng.sample(numbers, 2)
    return f"{a} {sign} {b}", f"{b} {sign} {a}"


TRAPS: dict[Trap, Callable[[Random], tuple[str, ...]]] = {
    Trap.TIMES_ZERO: _one("{} * 0".format),
    Trap.ZERO_TIMES: _one("0 * {}".format),
    Trap.TIMES_ONE: _one("{} * 1".format),
    Trap.PLUS_ZERO: _one("{} + 0".format),
    Trap.MINUS_ITSELF: _one("{0} - {0}".format),
    Trap.CARRY: _carry,
    Trap.PRECEDENCE: _precedence,
    Trap.NEGATIVE: _negative,
    Trap.TWIN: _twins,
}
