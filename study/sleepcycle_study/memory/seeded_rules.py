"""Rules that are drawn too: a cipher, units, shelves and lamps, others in each seed.

The rules of `rules` are the same in each, and only what they are asked about differs.
"""

from collections.abc import Callable
from itertools import chain
from random import Random

from sleepcycle_study.memory.rules import LETTERS, ROUNDS, Draw, name, word

CIPHERED = LETTERS[:9]
KINDS = (
    ("apple", "pear", "plum", "lemon", "melon", "cherry", "peach", "grape"),
    ("hammer", "saw", "drill", "chisel", "spade", "rake", "axe", "wrench"),
    ("coat", "shirt", "sock", "glove", "scarf", "hat", "skirt", "belt"),
    ("spoon", "fork", "plate", "bowl", "cup", "pan", "kettle", "jug"),
    ("ball", "doll", "kite", "puzzle", "puppet", "marble", "drum", "swing"),
)
LOOKS = (
    *("red", "green", "blue", "white", "old", "new", "big", "small", "cheap", "nice"),
    *("clean", "heavy", "broken", "lost", "round", "pretty"),
)
GOODS = (
    *("sand", "salt", "milk", "rice", "corn", "wool", "silk", "coal", "wood", "clay"),
    *("oil", "wine", "tea", "sugar", "flour", "butter", "honey", "paper", "iron"),
    *("copper", "wax", "hay", "straw", "cotton", "beans", "water", "juice", "soap"),
    *("paint", "glue", "ink", "grain", "moss", "chalk", "lead", "tin"),
)
SIGNS = ("red", "green", "blue", "white", "black", "yellow")


def cipher(rng: Random) -> Draw:
    """Draw what stands for each letter, and return what draws letters to be written."""
    others = "".join(rng.sample(CIPHERED, len(CIPHERED)))
    table = str.maketrans(CIPHERED, others)

    def draw(rng: Random) -> tuple[str, str]:
        """Draw three letters."""
        letters = " ".join(rng.choices(CIPHERED, k=3))
        return f"Write {letters} in the secret script.", letters.translate(table)

    return draw


def units(rng: Random) -> Draw:
    """Draw two units, and return what draws how many of one are some of the other."""
    large, small, times = word(rng, 2), word(rng, 2), rng.randint(3, 6)

    def draw(rng: Random) -> tuple[str, str]:
        """Draw how much of what."""
        many, good = rng.randint(2, 20), rng.choice(GOODS)
        asked = f"How many {small} of {good} are {many} {large} of {good}?"
        return asked, str(times * many)

    return draw


def shelves(rng: Random) -> Draw:
    """Draw a shelf for each kind of thing, and return what draws things to be put."""
    shelf = {thing: at for kind in KINDS for at in [name(rng)] for thing in kind}

    def draw(rng: Random) -> tuple[str, str]:
        """Draw a thing."""
        look, thing = rng.choice(LOOKS), rng.choice(list(chain.from_iterable(KINDS)))
        return f"On which shelf goes the {look} {thing}?", shelf[thing]

    return draw


def lamps(rng: Random) -> Draw:
    """Draw a colour for odd and one for even, and return what draws a house."""
    colours = rng.sample(SIGNS, 2)

    def draw(rng: Random) -> tuple[str, str]:
        """Draw a house."""
        house = rng.randint(100, 999)
        return f"Which lamp burns at house {house}?", colours[house % 2]

    return draw


def _fixed(draw: Draw) -> Callable[[Random], Draw]:
    """Return a rule that is the same in each seed."""
    return lambda _: draw


RULES: dict[str, Callable[[Random], Draw]] = {
    "cipher": cipher,
    "units": units,
    "shelves": shelves,
    "lamps": lamps,
    "plurals": _fixed(ROUNDS[0]["plurals"]),
    "clocks": _fixed(ROUNDS[1]["clocks"]),
    "seasons": _fixed(ROUNDS[2]["seasons"]),
}
"""By name, what draws a rule."""
