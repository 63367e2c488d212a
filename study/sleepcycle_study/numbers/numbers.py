"""The number that an answer means, in English or Italian, and not just its first."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from sleepcycle_study.numbers.numerals import Kind, Numeral, numerals

MAX_CHARACTERS = 4_000  # of an answer that are read
LEADING = 200  # characters within which a number must begin a text
SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺]+")
REWRITTEN = (
    (re.compile("[−﹣－‐‑]"), "-"),  # noqa: RUF001 - the signs people write
    (re.compile("(?<![0-9])(?<![0-9] )[–—](?=\\s?[0-9])"), "-"),  # noqa: RUF001
    (re.compile("[⁄∕]"), "/"),  # noqa: RUF001
    (re.compile("[’‘`´](?=\\S)"), "'"),  # noqa: RUF001
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\[,;! ]"), ""),
    (re.compile(r"\\times|[×⋅·]"), "*"),  # noqa: RUF001
    (re.compile(r"\\approx|≃|≅"), "≈"),
    (re.compile(r"(?:\^|\*\*)\s*[({]\s*([+-]?[0-9]+)\s*[)}]"), r"^\1"),
    (re.compile(r"\\[a-z]+|[\\{}$€`]"), ""),
    (re.compile(r"\*\*(?! ?[0-9(])|(?<![0-9)])(?<![0-9)] )\*\*"), ""),
    (re.compile(r"\b(?:approx|appr)\.?(?= )"), "about"),
    (re.compile(r"\bca?\.(?= )"), "circa"),
    (re.compile(r"(?m)^[ \t]*(?:step|passo|phase|fase)[ \t]*[0-9]+[ \t]*[-:.)]*"), ""),
    (re.compile(r"(?m)^[ \t]*[0-9]{1,2}[.)][ \t]+(?=.*[0-9])"), ""),
)
"""What is written in several ways, in one; numbers of steps and lists are left out."""

BRACKETED = re.compile(r"[(\[][^)\]\n]*[)\]]?")
CLAUSE = re.compile(r"[\n;]+|(?<=[.!?])\s+")
VERB = r"\b(?:is|are|equals|equal to|makes?|gives?|fa|fanno|uguale a|d\u00e0)\b|\u00e8"
HEDGE = (
    r"about|approximately|around|roughly|nearly|almost|some|maybe|circa|quasi|forse"
    r"|(?:in|on|of)? ?the order of|order of|(?:nell'|dell'|all')?ordine d\w+|un|una|an?"
)
EQUALS = re.compile(
    rf"=>|->|→|[=≈]|:\s|(?:{VERB})(?=[\s:~*+-]*(?:(?:{HEDGE}|minus|meno)\b\s*)*[0-9])"
)
OPERATOR = re.compile(
    r"\s*(?:[-+*/x÷]|plus|minus|times|pi\u00f9|meno|per|volte|divided by|diviso"
    r"|multiplied by|moltiplicato per)\s*-?\s*"
)
DANGLING = re.compile(r"^\s*[*/÷]|[+*/÷]\s*$")
SIGN = re.compile(
    r"(?:(?<![\w)])-|(?:^|[=:~])\s*-\s*)[~ ]*$"
    rf"|\b(?:minus|meno|negative|negativ[oa])\b[\s:,~-]*(?:(?:{HEDGE})\b[\s:~]*)*$"
)
LEAD = re.compile(rf"[\s*~+-]*(?:(?:{HEDGE}|minus|meno)\b[\s:~+-]*)*")
ORDER = re.compile(r"\b(?:order|ordine)\b")
EXACTLY = re.compile(
    r"(?<!not )(?<!non )\b(?:exact(?:ly)?|precisely|esatt(?:o|a|amente)|precisamente)\b"
    r"\s*(?:value|answer|result|valore|risposta|risultato)?\s*(?:is|\u00e8|[:=])?\s*"
)
ITALIAN = re.compile(
    r"\b(?:circa|meno|quasi|risposta|risultato|fa|mila|migliaia|ordine|esatt\w+|il|la|di"
    r"|pi\u00f9|uguale|stima|calcolo|decisione|milion[ei]|strumento|sono|forse)\b|\u00e8"
)


ROUGHLY = re.compile(
    r"(?:\b(?:about|approximately|around|roughly|nearly|almost|maybe|circa|quasi|forse)\b"
    r"|~)[\s:~]*(?:(?:minus|meno)\b\s*)?[-+]?$"
)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The number that a text means."""

    value: Fraction
    order_only: bool
    roughly: bool


def read_number(text: str) -> Fraction | None:
    """Return the number that an answer means; None where it means none.

    The first line or sentence that names a number counts. In it the number behind the
    last `=`, `:` or "is" is meant, unless that is a sum still to be worked out. What
    stands in brackets counts only where there is no number outside. Numbers of steps
    and lists are not looked at, and "847 * 93" alone means no number. A number is
    negative where a minus, "minus", "meno" or "negative" stands before it, or before
    the "about" before it. For thousands and decimals see `numerals.numerals`.
    """
    reading = _reading(_plain(text))
    return reading.value if reading else None


def read_exact(text: str) -> Fraction | None:
    """Return the number that an answer gives as the exact one.

    That is the one behind "exactly" in its first line, as in "about 1000 (exactly:
    994)"; without one, what the answer means, unless it is just an order, or has a word
    such as "about" before it.
    """
    plain = _plain(text)
    for match in EXACTLY.finditer(plain.strip().partition("\n")[0]):
        value = leading_number(plain.strip()[match.end() :])
        if value is not None:
            return value
    reading = _reading(plain)
    if not reading or reading.order_only or reading.roughly:
        return None
    return reading.value


def magnitude_only(text: str) -> bool:
    """Return whether an answer means an order and no more.

    So it is with "in the order of 10^5" and "tens of thousands", but not with "in the
    order of 3 thousand", nor with "10^5" alone, which is a number.
    """
    reading = _reading(_plain(text))
    return reading is not None and reading.order_only


def leading_number(text: str) -> Fraction | None:
    """Return the number that a text begins with, "about" or a sign before it or not."""
    plain = _plain(text[:LEADING]).partition("\n")[0]
    segment = EQUALS.split(plain, maxsplit=1)[0]
    numeral = _meant(segment, ITALIAN.search(plain) is not None)
    if not numeral or not LEAD.fullmatch(segment, 0, numeral.start):
        return None
    return _signed(segment, numeral)


def _plain(text: str) -> str:
    """Return the beginning of a text in lower case, with one way to write a thing."""
    text = text[:MAX_CHARACTERS]
    text = RAISED.sub(lambda match: f"^{match[0].translate(SUPERSCRIPTS)}", text)
    text = re.sub("([0-9])([¼-¾⅐-⅞])", r"\1 \2", text)
    text = unicodedata.normalize("NFKC", text).lower()
    for pattern, written in REWRITTEN:
        text = pattern.sub(written, text)
    return text


def _reading(plain: str) -> _Reading | None:
    """Read a text outside of its brackets, or else all of it."""
    italian = ITALIAN.search(plain) is not None
    for text in (BRACKETED.sub(" ", plain), re.sub(r"[()\[\]]", "", plain)):
        for clause in CLAUSE.split(text):
            if numeral := _last(clause, italian):
                return _Reading(
                    _signed(clause, numeral),
                    _is_order(clause, numeral),
                    ROUGHLY.search(clause, 0, numeral.start) is not None,
                )
    return None


def _last(clause: str, italian: bool) -> Numeral | None:
    """Find the number behind the last `=` that is not to be worked out still.

    What is roughly equal to a number that was given is a comment on it.
    """
    found = None
    for start, end, roughly in _segments(clause):
        numeral = _meant(clause[start:end], italian)
        if numeral and not (found and roughly):
            found = Numeral(
                numeral.value,
                numeral.start + start,
                numeral.end + start,
                numeral.bare,
                numeral.kind,
            )
    return found


def _segments(clause: str) -> Iterator[tuple[int, int, bool]]:
    """Yield where each part between `=` begins and ends, and if it is a rough one."""
    start, roughly = 0, False
    for match in EQUALS.finditer(clause):
        yield start, match.start(), roughly
        start, roughly = match.end(), match[0] == "≈"
    yield start, len(clause), roughly


def _meant(segment: str, italian: bool) -> Numeral | None:
    """Return the first number of a segment; None where it is to be worked out."""
    found = list(numerals(segment, italian))
    if not found or DANGLING.search(segment):
        return None
    for left, right in pairwise(found):
        if OPERATOR.fullmatch(segment, left.end, right.start):
            return None
    return found[0]


def _signed(text: str, numeral: Numeral) -> Fraction:
    """Return the value of a number with the sign that stands before it."""
    negative = SIGN.search(text[: numeral.start]) is not None
    return -numeral.value if negative else numeral.value


def _is_order(clause: str, numeral: Numeral) -> bool:
    """Return whether a number stands for its order alone."""
    worded = numeral.kind is Kind.SCALE
    told = ORDER.search(clause, 0, numeral.start) is not None
    return numeral.bare and (worded or told)
