"""Arithmetic expressions, drawn by difficulty, and how large their values are."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from random import Random

from sleepcycle.errors import CalculationError, ConfigError
from sleepcycle.model.calculator import calculate, written

MAX_NUMBER = 9_999
MIN_NUMBER = 100  # below it there is nothing to draw for the medium difficulty

SIGNS = re.compile(r" (?=[+-] )")
"""What parts the terms of a sum; each begins with its sign."""

WORDS = {
    "en": ("about {}", "in the order of {} thousand", "in the order of {}"),
    "it": ("circa {}", "nell'ordine delle {} migliaia", "nell'ordine di {}"),
}
"""By language: small values, thousands, powers of ten."""


class Difficulty(IntEnum):
    """How hard an expression is to work out without a tool."""

    ELEMENTARY = 1
    MEDIUM = 2
    COMPLEX = 3


SHARES = {Difficulty.ELEMENTARY: 35, Difficulty.MEDIUM: 40, Difficulty.COMPLEX: 25}
"""How often each is drawn, in percent."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression, and what is known of it."""

    text: str
    """Such as `847 * 93`, with single spaces."""

    value: int
    difficulty: Difficulty

    @property
    def should_delegate(self) -> bool:
        """Whether it is a matter for the tool."""
        return self.difficulty >= Difficulty.MEDIUM


def draw(rng: Random, max_number: int = MAX_NUMBER) -> Expression:
    """Draw an expression whose difficulty is drawn by `SHARES`.

    Raises:
        ConfigError: `max_number` is outside 100..9999.
    """
    difficulty = rng.choices(list(SHARES), list(SHARES.values()))[0]
    return draw_of(rng, difficulty, max_number)


def draw_of(
    rng: Random, difficulty: Difficulty, max_number: int = MAX_NUMBER
) -> Expression:
    """Draw an expression of one difficulty, with no number above `max_number`.

    Raises:
        ConfigError: `max_number` is outside 100..9999.
    """
    if not MIN_NUMBER <= max_number <= MAX_NUMBER:
        raise ConfigError(
            f"expected a largest number in {MIN_NUMBER}..{MAX_NUMBER}, got {max_number}"
        )
    text = DRAWS[difficulty](rng, max_number)
    return Expression(text, evaluate(text), difficulty)


def evaluate(text: str) -> int:
    """Return the value of an expression, which must be whole.

    Raises:
        CalculationError: It cannot be calculated, or the value is not whole.
    """
    value = calculate(text)
    if value.denominator != 1:
        raise CalculationError(
            f"expected {text!r} to have a whole value, got {written(value)}"
        )
    return value.numerator


def canonical(text: str) -> str:
    """Write an expression so that commuted ones are alike: `93 * 48` as `48 * 93`."""
    terms = (term.split(" ", 1) for term in SIGNS.split(f"+ {text}"))
    return " ".join(sorted(f"{sign} {_sorted(product)}" for sign, product in terms))


def approximate(value: int, language: str = "en") -> str:
    """Return roughly how large a value is.

    The step grows with the value: ones, tens, hundreds, thousands, and from 10,000
    on the power of ten that has as many digits. Halves are rounded away from zero. A
    negative value has its sign before the number, so that no word can be read as
    "less than".

    Raises:
        ConfigError: The language is neither `en` nor `it`.
    """
    if language not in WORDS:
        raise ConfigError(f"expected the language en or it, got {language!r}")
    about, thousands, power = WORDS[language]
    sign, size = "-" if value < 0 else "", abs(value)
    if size < 1_000:
        return about.format(f"{sign}{_rounded(size, _step(size))}")
    if size < 10_000:
        return thousands.format(f"{sign}{_rounded(size, 1_000) // 1_000}")
    return power.format(f"{sign}10^{len(str(size)) - 1}")


def _sorted(product: str) -> str:
    """Write the factors of a product in one order."""
    return " * ".join(sorted(product.split(" * ")))


def _step(size: int) -> int:
    """Return what a value below 1,000 is rounded to."""
    return 1 if size < 10 else 10 if size < 100 else 100


def _rounded(size: int, step: int) -> int:
    """Return the multiple of a step that is nearest to a size, the upper of two."""
    return (size + step // 2) // step * step


def _elementary(rng: Random, _: int) -> str:
    """Draw two numbers below 100 and what to do with them."""
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    return f"{a} {rng.choice('+-*')} {b}"


def _medium(rng: Random, max_number: int) -> str:
    """Draw a sum or difference of larger numbers, or a product of two digits or so."""
    sign = rng.choice("+-*")
    if sign == "*":
        a, b = rng.randint(10, min(max_number, 999)), rng.randint(2, 99)
    else:
        a = rng.randint(100, max_number)
        b = rng.randint(10, min(max_number // 10, 999))
    return f"{a} {sign} {b}"


def _complex(rng: Random, max_number: int) -> str:
    """Draw three numbers, of which the last two may be multiplied first."""
    a = rng.randint(10, min(max_number, 500))
    b, c = rng.randint(2, 50), rng.randint(2, 50)
    return f"{a} {rng.choice('+-')} {b} {rng.choice('+-*')} {c}"


DRAWS: dict[Difficulty, Callable[[Random, int], str]] = {
    Difficulty.ELEMENTARY: _elementary,
    Difficulty.MEDIUM: _medium,
    Difficulty.COMPLEX: _complex,
}
