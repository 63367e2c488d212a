"""The rules by which the article graded, so that its figures have ours beside them.

They are kept as they were, with what is odd about them, and say nothing more than the
article's: `dimensions` has the rules that we stand for.
"""

import re
from fractions import Fraction

from sleepcycle_study.domains.domain import Measures
from sleepcycle_study.numbers.deviations import DISASTROUS, SENSIBLE, ErrorKind

ARTICLE = "article."
"""How the names of these measures begin."""

INTEGER = re.compile(r"-?\d+")
GROUPED = re.compile(r"-?\d[\d,]*")
POWER = re.compile(r"10\^(\d+)")
SCALED = tuple(
    (re.compile(rf"((?:-|(?<!\d))\d[\d,]*+)\s*+{word}"), factor)
    for word, factor in (
        ("thousand", 10**3),
        ("million", 10**6),
        ("billion", 10**9),
    )
)
HEDGED = re.compile(r"(?:about|approximately|around|circa)\s+(-?\d[\d,]*)")
EXACT = re.compile(r"\(exact:\s*(-?\d[\d,]*)\)")
ORDERS = (
    *(("billion", 9), ("million", 6), ("hundred thousand", 5), ("ten thousand", 4)),
    *(("thousand", 3), ("hundred", 2), ("tens", 1)),
)
"""Words that name an order of magnitude, where there is no number."""

SIGNALS = (
    *("tool", "calculator", "delegate", "delegation", "complex", "difficult"),
    *("don't know", "uncertain", "cannot"),
)
"""Any of these, anywhere, is delegation; `complexity` has one of them in it."""

ASKED_FOR = re.compile(r"\s*Complexity:")
NEAR = Fraction(3, 10)
MAX_DIGITS = 4_000  # of a number that is read


def first_integer(text: str) -> int | None:
    """Return the first integer of an answer: 847 in "847 * 93 = 78771"."""
    found = INTEGER.search(text)
    return _integer(found[0]) if found else None


def estimated(text: str) -> int | None:
    """Return the number that an answer is taken to estimate.

    A power of ten anywhere comes first, without its sign; then so many thousand,
    million or billion; then what is behind "about"; then "(exact: N)"; then the last
    number of all.
    """
    if power := POWER.search(text):
        return _power(power[1])
    low = text.lower()
    for pattern, factor in SCALED:
        if scaled := pattern.search(low):
            number = _integer(scaled[1])
            return None if number is None else number * factor
    found = HEDGED.search(low) or EXACT.search(text)
    if found:
        return _integer(found[1])
    numbers = GROUPED.findall(text)
    return _integer(numbers[-1]) if numbers else None


def order_meant(text: str) -> int | None:
    """Return the order of magnitude of an answer; None where it names none.

    Zero has none, but the words of an answer may still have one.
    """
    number = estimated(text)
    if number:
        return _order(number)
    low = text.lower()
    return next((order for word, order in ORDERS if word in low), None)


def kind_of(predicted: int | None, exact: int) -> ErrorKind:
    """Return what kind of error an integer is.

    The order comes before the distance, and is not looked at where either is zero, so
    that 999 for 1001 is an order off, and 0 for 78771 is no catastrophe.
    """
    if predicted is None:
        return ErrorKind.NO_ANSWER
    if predicted == exact:
        return ErrorKind.NONE
    if predicted == -exact:
        return ErrorKind.SIGN
    gap = abs(_order(predicted) - _order(exact)) if predicted and exact else 0
    if gap:
        return ErrorKind.CATASTROPHIC if gap > 1 else ErrorKind.OFF_BY_ONE
    off = Fraction(abs(predicted - exact), max(abs(exact), 1))
    if off < Fraction(1, 10):
        return ErrorKind.CLOSE
    if off < Fraction(1, 2):
        return ErrorKind.ROUGH
    return ErrorKind.SAME_MAGNITUDE if predicted and exact else ErrorKind.WRONG


def delegates(text: str) -> bool:
    """Return whether an answer has any of the signals in it, as a word or in one.

    The article's prompt ended in "Complexity:". Where ours did not, an answer begins
    with it: that one is left out, or else every answer would be delegation.
    """
    low = ASKED_FOR.sub("", text, count=1) if ASKED_FOR.match(text) else text
    return any(signal in low.lower() for signal in SIGNALS)


def exact(answer: str, value: int) -> Measures:
    """Grade an answer to "Calculate:"."""
    return {"article.exact": float(first_integer(answer) == value)}


def adversarial(answer: str, value: int) -> Measures:
    """Grade an answer to a trap."""
    return {"article.adversarial": float(first_integer(answer) == value)}


def sense(answer: str, value: int) -> Measures:
    """Grade an estimate: within 30 %, or below 10 for zero; one order more or less."""
    number, meant = estimated(answer), order_meant(answer)
    bound = NEAR * abs(value) if value else 10
    near = number is not None and abs(number - value) < bound
    right = meant is not None and abs(meant - _order(value)) <= 1
    return {
        "article.sense.strict": float(near),
        "article.sense.magnitude": float(right),
    }


def delegation(answer: str, should: bool) -> Measures:
    """Grade whether an answer delegates: the rate is over all, accuracy is recall."""
    delegated = delegates(answer)
    measures = {
        "article.delegation.rate": float(delegated),
        "article.delegation.self_aware": float(delegated == should),
    }
    if should:
        measures["article.delegation.accuracy"] = float(delegated)
    return measures


def errors(answer: str, value: int) -> Measures:
    """Grade an error; a right answer has no measures here."""
    kind = kind_of(first_integer(answer), value)
    if kind is ErrorKind.NONE:
        return {}
    return {
        "article.errors.sensible": float(kind in SENSIBLE),
        "article.errors.catastrophic": float(kind in DISASTROUS),
    }


def _integer(text: str) -> int | None:
    """Read an integer with commas; None where it is too long."""
    digits = text.replace(",", "")
    return int(digits) if len(digits) <= MAX_DIGITS else None


def _power(digits: str) -> int | None:
    """Return a power of ten; None where it has more digits than are read."""
    small = len(digits) < 5 and int(digits) < MAX_DIGITS
    return 10 ** int(digits) if small else None


def _order(number: int) -> int:
    """Return the power of ten of a number's first digit; 0 for zero."""
    return len(str(abs(number))) - 1
