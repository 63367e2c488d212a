"""The words of numbers, English and Italian: small ones, scales and fractions."""

import unicodedata
from collections.abc import Iterator
from fractions import Fraction

_ENGLISH_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen"
)
_ENGLISH_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ITALIAN_UNITS = (
    "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici "
    "quattordici quindici sedici diciassette diciotto diciannove"
)
_ITALIAN_TENS = "venti trenta quaranta cinquanta sessanta settanta ottanta novanta"

SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
    "decina": 10,
    "dozzina": 12,
    "centinaio": 100,
    "migliaio": 1_000,
    "milione": 10**6,
    "miliardo": 10**9,
}
"""What multiplies the number before it; alone, it is one of itself."""

PLURALS = {
    "tens": 10,
    "hundreds": 100,
    "thousands": 1_000,
    "millions": 10**6,
    "billions": 10**9,
    "dozens": 12,
    "decine": 10,
    "dozzine": 12,
    "centinaia": 100,
    "migliaia": 1_000,
    "milioni": 10**6,
    "miliardi": 10**9,
}
"""Scales that without a number before them name an order alone."""

SUFFIXES = {"k": 1_000, "mila": 1_000, "mln": 10**6, "bn": 10**9, "mld": 10**9}
"""Scales that are nothing without a number before them."""

FRACTIONS = {
    word: Fraction(1, bottom)
    for bottom, words in {
        2: "half halves mezzo mezza mezzi",
        3: "third thirds terzo terzi",
        4: "quarter quarters fourth fourths quarto quarti",
        5: "fifth fifths quinto quinti",
        6: "sixth sixths sesto sesti",
        7: "seventh sevenths settimo settimi",
        8: "eighth eighths ottavo ottavi",
        9: "ninth ninths nono noni",
        10: "tenth tenths decimo decimi",
    }.items()
    for word in words.split(" ")
}
"""Parts of one; all but a half must have a number or an article before them."""


def _italian_below_100() -> Iterator[tuple[str, int]]:
    """Yield the Italian numbers below 100, the last vowel left out before a vowel."""
    units = _ITALIAN_UNITS.split()
    yield from ((word, value) for value, word in enumerate(units))
    for place, tens in enumerate(_ITALIAN_TENS.split(), 2):
        yield tens, 10 * place
        for unit, word in enumerate(units[1:10], 1):
            stem = tens[:-1] if word[0] in "uo" else tens
            yield stem + word, 10 * place + unit
        yield f"{tens[:-1]}un", 10 * place + 1  # ventun(mila)


def _italian_below_1000() -> Iterator[tuple[str, int]]:
    """Yield the Italian numbers below 1,000, as they are written in one word."""
    small, units = dict(_italian_below_100()), _ITALIAN_UNITS.split()
    yield from small.items()
    for hundreds in range(1, 10):
        name = (units[hundreds] if hundreds > 1 else "") + "cento"
        yield name, 100 * hundreds
        for word, value in small.items():
            if value:
                yield name + word, 100 * hundreds + value
                yield f"{name[:-1]}{word}", 100 * hundreds + value  # centotto


ENGLISH = {
    **{word: value for value, word in enumerate(_ENGLISH_UNITS.split())},
    **{word: 10 * tens for tens, word in enumerate(_ENGLISH_TENS.split(), 2)},
}
ITALIAN = dict(_italian_below_1000())


def small(word: str) -> int | None:
    """Return what one word counts that is no scale; None where it is no number.

    Italian writes numbers up to 999,999 in one word: `duemilatrecento` is 2,300.
    """
    if word in ENGLISH:
        return ENGLISH[word]
    bare = "".join(
        letter
        for letter in unicodedata.normalize("NFD", word)
        if not unicodedata.combining(letter)
    )
    return ITALIAN.get(bare, _thousands(bare))


def _thousands(word: str) -> int | None:
    """Read an Italian word of thousands: `mille`, `milleuno`, `ventimiladue`."""
    if word.startswith("mille"):
        many, rest = 1, word.removeprefix("mille")
    else:
        left, found, rest = word.partition("mila")
        many = ITALIAN.get(left, 0) if found else 0
    value = ITALIAN.get(rest, 0) if rest else 0
    whole = bool(many) and (not rest or bool(value))
    return many * 1_000 + value if whole else None
