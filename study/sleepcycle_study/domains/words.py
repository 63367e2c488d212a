"""Words that questions are made of: names, things, and words of no language."""

# ruff: noqa: SIM905 - words in a row read better than words in quotes

from random import Random

PEOPLE = (
    "Anna Bruno Clara David Emma Felix Greta Hugo Irene Jonas Karin Leo Marta Nadia "
    "Oscar Paula Rosa Simon Tina Victor"
).split()
THINGS = (
    "apple ball bell boat book bottle brick chair clock coat cup door hat kite lamp "
    "map mirror pen plate ring rope shoe spoon table"
).split()
ANIMALS = "cows dogs ducks frogs goats hens horses mice pigs sheep".split()
ACTIONS = (
    "sings reads sleeps swims dances cooks paints walks laughs writes works waits"
).split()
COLOURS = "red blue green yellow white black brown grey".split()

_ONSETS = "b d f g h j k l m n p r s t v w z br dr gr kl pl sh st th tr".split()
_ENDS = ("", "", "", "n", "r", "l", "s", "m", "t", "k")


def invented(rng: Random) -> str:
    """Make a word of two or three syllables that means nothing."""
    parts = [
        rng.choice(_ONSETS) + rng.choice("aeiou") for _ in range(rng.choice((2, 3)))
    ]
    return "".join(parts) + rng.choice(_ENDS)


def invented_plural(rng: Random) -> str:
    """Make the plural of a word that means nothing."""
    return f"{invented(rng).rstrip('s')}s"


def invented_name(rng: Random) -> str:
    """Make an invented word that starts with a capital letter."""
    return invented(rng).capitalize()


def action_of(verb: str) -> str:
    """Return the bare form of one of `ACTIONS`, such as `sing` of `sings`."""
    return verb.removesuffix("s")
