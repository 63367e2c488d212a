"""The calculator: exact arithmetic on text that a model wrote, where it asks."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from operator import add, mul, sub, truediv

from sleepcycle.errors import CalculationError

MAX_CHARACTERS = 200
MAX_DEPTH = 40  # parentheses within parentheses
MAX_DIGITS = 100  # of a written number, and of any numerator or denominator
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")  # not \d, which takes every script's digits
SUMS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {"+": add, "-": sub}
PRODUCTS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {"*": mul, "/": truediv}
CALL = re.compile(r"^[^:\n]*\bTool:([^=\n]*)=", re.MULTILINE)
LONGER = re.compile(r"(?:[.,/]?[0-9])+")
FAILED = "error"  # without digits, so that nobody takes it for an answer


def calculate(expression: str) -> Fraction:
    """Return the exact value of an expression.

    It may hold whole numbers, decimals with a point, `+ - * /`, unary minus,
    parentheses, spaces and tabs. Nothing in it is ever run as code, and the bounds
    above keep any text to less than a hundredth of a second.

    Raises:
        CalculationError: It is something else, divides by zero, or is too large.
    """
    if len(expression) > MAX_CHARACTERS:
        raise CalculationError(
            f"expected an expression of at most {MAX_CHARACTERS} characters, "
            f"got {len(expression)}; calculate its parts"
        )
    return _Reader(expression).whole()


def written(value: Fraction) -> str:
    """Write a value in full: a whole number, an ending decimal, or else a ratio."""
    top, bottom = value.as_integer_ratio()
    if bottom == 1:
        return str(top)
    places = _places(bottom)
    if places is None:
        return f"{top}/{bottom}"
    digits = str(abs(top) * 10**places // bottom).zfill(places + 1)
    return f"{'-' if top < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _places(bottom: int) -> int | None:
    """Return how many decimals a reduced denominator needs; None where none do."""
    counts = []
    for prime in (2, 5):
        count = 0
        while bottom % prime == 0:
            bottom //= prime
            count += 1
        counts.append(count)
    return max(counts) if bottom == 1 else None


class _Reader:
    """An expression that is calculated while it is read, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0  # the next character that is not read yet
        self._depth = 0

    def whole(self) -> Fraction:
        """Read all there is."""
        value = self._sum()
        if self._next():
            raise self._expected("an operator or the end")
        return value

    def _sum(self) -> Fraction:
        """Read products between plus and minus signs."""
        value = self._product()
        while sign := self._taken("+-"):
            value = _bounded(SUMS[sign](value, self._product()))
        return value

    def _product(self) -> Fraction:
        """Read factors between signs of multiplication and division."""
        value = self._factor()
        while sign := self._taken("*/"):
            self._next()
            start = self._at + 1
            factor = self._factor()
            if sign == "/" and not factor:
                raise CalculationError(
                    f"expected a divisor other than 0 at character {start}, got 0"
                )
            value = _bounded(PRODUCTS[sign](value, factor))
        return value

    def _factor(self) -> Fraction:
        """Read a number or a group, with the minus signs before it."""
        sign = 1
        while self._taken("-"):
            sign = -sign
        return sign * (self._group() if self._taken("(") else self._number())

    def _group(self) -> Fraction:
        """Read what follows an opening parenthesis, and the closing one."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise CalculationError(
                f"expected at most {MAX_DEPTH} parentheses within each other, got "
                f"one more at character {self._at}"
            )
        value = self._sum()
        if not self._taken(")"):
            raise self._expected('an operator or ")"')
        self._depth -= 1
        return value

    def _number(self) -> Fraction:
        """Read a whole number or a decimal."""
        self._next()
        found = NUMBER.match(self._text, self._at)
        if not found:
            raise self._expected('a number, "-" or "("')
        size = len(found[0].replace(".", ""))
        if size > MAX_DIGITS:
            raise CalculationError(
                f"expected a number of at most {MAX_DIGITS} digits at character "
                f"{self._at + 1}, got {size} digits"
            )
        self._at = found.end()
        return Fraction(found[0])

    def _next(self) -> str:
        """Pass over space; return the character that follows, or nothing."""
        while self._text[self._at : self._at + 1] in {" ", "\t"}:
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _taken(self, wanted: str) -> str:
        """Read one of the wanted characters if it is next; else return nothing."""
        sign = self._next()
        if not sign or sign not in wanted:
            return ""
        self._at += 1
        return sign

    def _expected(self, what: str) -> CalculationError:
        """Return an error that says what should stand here, and what does."""
        sign = self._next()
        got = ascii(sign) if sign else "the end"  # ascii: a message that always prints
        return CalculationError(
            f"expected {what} at character {self._at + 1}, got {got}; an expression "
            "has only numbers, + - * / and parentheses"
        )


def _bounded(value: Fraction) -> Fraction:
    """Return a value whose numerator and denominator are not too long."""
    if max(abs(value.numerator), value.denominator) >= 10**MAX_DIGITS:
        raise CalculationError(
            f"expected values of at most {MAX_DIGITS} digits, got a longer one on "
            "the way; calculate with smaller numbers"
        )
    return value


@dataclass(frozen=True, slots=True)
class Call:
    """A line `Tool: 847 * 93 =` in what a model wrote."""

    expression: str
    """What stands between the colon and the `=`, without the spaces around it."""

    start: int
    """Where the word `Tool` begins in the text."""

    end: int
    """Just behind the `=`."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call that was answered: with a result, or with the reason why there is none."""

    expression: str
    result: str | None = None
    error: str | None = None


def call_in(text: str, start: int = 0) -> Call | None:
    """Find the first complete call; None where there is none, or no `=` yet.

    Args:
        text: What the model has written so far.
        start: Where to look from: the length of the text with the last result, so
            that a call is answered once.
    """
    found = CALL.search(text, start)
    if not found:
        return None
    return Call(found[1].strip(), text.index("Tool:", found.start()), found.end())


def with_result(text: str, call: Call) -> tuple[str, str | None]:
    """Return the text from which the model goes on, and why the tool failed.

    What the model wrote behind the `=` is left out: the result stands there, such as
    ` 78771`. Where there is none it is ` error`, and the reason comes beside it.
    """
    try:
        result = written(calculate(call.expression))
    except CalculationError as error:
        return refused(text, call), str(error)
    return f"{text[: call.end]} {result}", None


def refused(text: str, call: Call) -> str:
    """Return the text up to a call that has no result, and the word for that."""
    return f"{text[: call.end]} {FAILED}"


def behind_result(more: str) -> str:
    """Return what a model wrote behind a result, without what makes that another one.

    A model that was taught few results likes to write digits, and may do so right
    behind the last digit of one. These are left out; all else stands.
    """
    glued = LONGER.match(more)
    return more[glued.end() :] if glued else more
