"""Numbers as people write them: in figures, or in English or Italian words."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from sleepcycle_study.numbers.numberwords import (
    FRACTIONS,
    PLURALS,
    SCALES,
    SUFFIXES,
    small,
)

MAX_DIGITS = 1_000  # of a number worth reading: what a looping model writes is none
LARGEST = 10**MAX_DIGITS
HALF = Fraction(1, 2)
FIGURES = re.compile(
    r"(?P<groups>[0-9]{1,3}+(?P<mark>[.,'_ ])[0-9]{3}(?:(?P=mark)[0-9]{3})*+)"
    r"(?![0-9])(?:(?P<point>[.,])(?P<decimals>[0-9]++))?+"
    r"|(?P<whole>[0-9]*+)(?:[.,](?P<part>[0-9]++))?+"
)
POWER = re.compile(r"\s*+(?:\^|\*\*)\s*+\(?(?P<power>[+-]?[0-9]++)\)?")
TIMES_POWER = re.compile(
    r"\s*+(?:[x*\u00d7\u00b7]|times\b|per\b)\s*+10" + POWER.pattern
)
EXPONENT = re.compile(r"e(?P<power>[+-]?[0-9]++)(?!\w)")
MIXED = re.compile(r" (?P<top>[0-9]{1,9}+)/(?P<bottom>[0-9]{1,9}+)(?![0-9])")
RATIO = re.compile(r" ?/ ?(?P<bottom>[0-9]{1,30}+)(?![0-9]| ?[/*+])")
ORDINAL = re.compile(
    r"(?:st|nd|rd|th)\b|[\u00b0\u00ba\u00aa]|[ -](?:digit|figure|cifr)"
)
PIECE = re.compile(r"\.?[0-9]|[^\W\d_]+")
JOINT = re.compile(r"(?:-| *)((?:(?:and|e|of|di|a|an|un|una)(?:-| +))*)")
PARTITIVE = re.compile(r"\s+(?:of|di|dei|delle|degli|tra|fra)\b")
POINTING = re.compile(r"\b(?:no|this|that|which|each|every|any|some|the)\s+$")
ARTICLE = re.compile(r"\b(?:a|an|un|una)\s+$")


class Kind(StrEnum):
    """What a piece does to the number it is part of."""

    FIGURES = "figures"
    SMALL = "small"
    """Is added to what is larger: `five` in `twenty-five`."""

    SCALE = "scale"
    """Multiplies what stands before it."""

    PART = "part"
    """A half, a third: added or taken of what stands before it."""


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number in a text, or a piece of one; its sign is not looked at."""

    value: Fraction
    start: int
    end: int
    bare: bool = False
    """Whether it is an order and no more: `10^5`, `1000`, `thousands`."""

    kind: Kind = Kind.FIGURES
    """Of its first piece."""


def numerals(text: str, italian: bool = False) -> Iterator[Numeral]:
    """Yield the numbers of a text in lower case, from left to right.

    Figures with a mark between groups of three are thousands: "1,000", "1 000",
    "1.000.000". A single point with three figures behind it is one of thousands in an
    Italian text, and elsewhere only in "1.000": else it is the decimal point. Nothing
    that starts with 0 has thousands. With two marks the last is the decimal one.

    Args:
        text: What to look through.
        italian: Whether it is Italian, so that "1.234" is above a thousand.
    """
    pieces = list(_pieces(text, italian))
    at = 0
    while at < len(pieces):
        numeral, at = _grown(text, pieces, at)
        if numeral:
            yield numeral


def _pieces(text: str, italian: bool) -> Iterator[Numeral]:
    """Yield what can be part of a number, each figure and word once."""
    at = 0
    while match := PIECE.search(text, at):
        if match[0][-1].isdigit():
            piece, at = _figures(text, match.start(), italian)
        else:
            piece, at = _word(text, match), match.end()
        if piece:
            yield piece


def _word(text: str, match: re.Match[str]) -> Numeral | None:
    """Read a word as a piece of a number; None where it is none."""
    word, (start, end) = match[0], match.span()
    scale = SCALES.get(word) or PLURALS.get(word) or SUFFIXES.get(word)
    if scale:
        return Numeral(Fraction(scale), start, end, word in PLURALS, Kind.SCALE)
    if word in FRACTIONS:
        return Numeral(FRACTIONS[word], start, end, kind=Kind.PART)
    value = small(word)
    if value is None or (value == 1 and _points(text, start, end)):
        return None
    return Numeral(Fraction(value), start, end, kind=Kind.SMALL)


def _points(text: str, start: int, end: int) -> bool:
    """Return whether a "one" is no number: `this one`, `one of them`."""
    return bool(
        PARTITIVE.match(text, end) or POINTING.search(text[max(0, start - 12) : start])
    )


def _figures(text: str, start: int, italian: bool) -> tuple[Numeral | None, int]:
    """Read figures and what belongs to them; return where to go on, too."""
    match = FIGURES.match(text, start)
    if not match or not match[0]:
        return None, start + 1
    before = text[start - 1 : start]
    named = before == "_" or (before.isalpha() and before not in "x\u00d7")
    if named or len(match[0]) > MAX_DIGITS or ORDINAL.match(text, match.end()):
        return None, match.end()
    value = _written(match, italian)
    bare = value >= 10 and str(value).strip("0") == "1"
    return _raised(text, Numeral(value, start, match.end(), bare))


def _written(match: re.Match[str], italian: bool) -> Fraction:
    """Return the value of figures, by what their marks mean."""
    groups, mark = match["groups"], match["mark"]
    if groups is None:
        return Fraction(f"{match['whole'] or 0}.{match['part'] or 0}")
    if _is_decimal(match, italian):
        return Fraction(groups.replace(mark, "."))
    return Fraction(f"{groups.replace(mark, '')}.{match['decimals'] or 0}")


def _is_decimal(match: re.Match[str], italian: bool) -> bool:
    """Return whether the one mark among figures is the decimal one."""
    groups, mark = match["groups"], match["mark"]
    if groups.count(mark) > 1 or match["point"] or mark not in ".,":
        return False
    if groups.startswith("0"):
        return True
    return bool(mark == "." and not italian and not groups.endswith(".000"))


def _raised(text: str, base: Numeral) -> tuple[Numeral | None, int]:
    """Add a power, a fraction or an exponent to figures."""
    value, end = base.value, base.end
    if match := MIXED.match(text, end) or RATIO.match(text, end):
        parts = match.groupdict()
        bottom = int(parts["bottom"])
        if not bottom:
            return None, match.end()
        top = parts.get("top")
        mixed = value + Fraction(int(top), bottom) if top else value / bottom
        return Numeral(mixed, base.start, match.end()), match.end()
    if match := EXPONENT.match(text, end) or TIMES_POWER.match(text, end):
        return _power(base, Fraction(10), match, value)
    if match := POWER.match(text, end):
        return _power(base, value, match, Fraction(1))
    return base, end


def _power(
    base: Numeral, root: Fraction, match: re.Match[str], times: Fraction
) -> tuple[Numeral | None, int]:
    """Return a number times a power; nothing where that is huge or undefined."""
    power = int(match["power"][:9])  # cut, it is still too large
    large = abs(power) * len(str(root)) > MAX_DIGITS
    if large or (not root and power < 0):
        return None, match.end()
    bare = root == 10 and times == 1
    value = times * root**power
    return Numeral(Fraction(value), base.start, match.end(), bare), match.end()


def _grown(text: str, pieces: Sequence[Numeral], at: int) -> tuple[Numeral | None, int]:
    """Join the pieces of one number; return which piece comes after it, too."""
    first = pieces[at]
    if not _begins(text, first):
        return None, at + 1
    number = _Number(first)
    at += 1
    while at < len(pieces):
        joint = JOINT.fullmatch(text, number.end, pieces[at].start)
        if not joint or not number.take(pieces[at], joint[1].split()):
            break
        at += 1
    whole = number.whole()
    return whole if whole.value < LARGEST else None, at


def _begins(text: str, piece: Numeral) -> bool:
    """Return whether a number can begin with a piece."""
    if piece.kind is Kind.PART:
        alone, before = (
            piece.value == HALF,
            text[max(0, piece.start - 12) : piece.start],
        )
        return alone or ARTICLE.search(before) is not None
    word = text[piece.start : piece.end]
    return piece.kind is not Kind.SCALE or word not in SUFFIXES


class _Number:
    """A number that grows piece by piece."""

    def __init__(self, first: Numeral) -> None:
        self.first, self.last, self.end = first, first, first.end
        self.thousands = Fraction(0)  # done: what a scale has multiplied
        self.rest = first.value
        self.bare = first.bare

    def take(self, piece: Numeral, words: Sequence[str]) -> bool:
        """Add a piece that follows, with some words between; return whether it fits."""
        linked = "and" in words or "e" in words
        takers = {
            Kind.FIGURES: self._add,
            Kind.SMALL: self._add,
            Kind.SCALE: self._multiply,
            Kind.PART: self._take_part,
        }
        if not takers[piece.kind](piece, linked, set(words) - {"and", "e"}):
            return False
        self.bare = self.bare and {self.last.kind, piece.kind} == {Kind.SCALE}
        self.last, self.end = piece, piece.end
        return True

    def _add(self, piece: Numeral, linked: bool, words: set[str]) -> bool:
        """Add what is smaller than the last scale or round number."""
        after_scale = self.last.kind is Kind.SCALE
        spoken = {self.last.kind, piece.kind} == {Kind.SMALL}
        if words or not (after_scale or spoken) or piece.value.denominator != 1:
            return False
        if spoken:
            size = 10 ** len(str(piece.value))
            fits = self.rest >= 10 and self.rest % size == 0
        else:
            fits = piece.value < self.last.value
        self.rest += piece.value if fits else 0
        return fits

    def _multiply(self, piece: Numeral, linked: bool, words: set[str]) -> bool:
        """Multiply what has come so far, or since the last thousands."""
        if linked:
            return False
        if self.rest:
            self.rest *= piece.value
        else:
            self.thousands *= piece.value
        if piece.value >= 1_000:
            self.thousands, self.rest = self.thousands + self.rest, Fraction(0)
        return True

    def _take_part(self, piece: Numeral, linked: bool, words: set[str]) -> bool:
        """Add a part of the last scale or of one, or take so many parts."""
        if linked:
            of = self.last.value if self.last.kind is Kind.SCALE else 1
            self.rest += piece.value * of
            return True
        if words or self.last is not self.first or self.last.kind is Kind.SCALE:
            return False
        self.rest *= piece.value
        return True

    def whole(self) -> Numeral:
        """Return the number with all its pieces."""
        value = self.thousands + self.rest
        return Numeral(value, self.first.start, self.end, self.bare, self.first.kind)
