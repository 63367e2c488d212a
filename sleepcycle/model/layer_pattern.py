"""Patterns of layer names, as PEFT's `rank_pattern` has them.

PEFT takes each for a regular expression. Who wrote an adapter may have written one that
runs for years, so none is evaluated: names are compared, and the few signs that such
patterns need are matched in one pass over a name.
"""

import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from sleepcycle.errors import AdapterError

MOST = 10_000  # names in one table; an adapter has a few hundred layers
MOST_SIGNS = 200  # in one pattern
NAME = re.compile(r"[\w.-]+")
ATOM = re.compile(r"(?P<sign>\\[dw]|\\[^A-Za-z0-9]|[\w.-])(?P<times>[*+?]?)")
KINDS = {
    ".": re.compile(r"."),
    r"\d": re.compile(r"\d"),
    r"\w": re.compile(r"\w"),
}


@dataclass(frozen=True, slots=True)
class LayerPattern:
    """A pattern that is more than a name."""

    atoms: tuple[tuple[str, str], ...]
    """One sign each, with how often it may come: empty for once, or `*`, `+`, `?`."""

    whole: bool
    """Whether it begins with `^`, so that nothing may stand before it."""

    def matches(self, path: str) -> bool:
        """Return whether a path ends with it, from its start or behind a dot."""
        reached = self._skipping({0})
        for letter in path:
            reached = self._skipping(self._behind(reached, letter))
            if letter == "." and not self.whole:
                reached |= self._skipping({0})
        return len(self.atoms) in reached

    def _behind(self, reached: set[int], letter: str) -> set[int]:
        """Return the places that a letter leads to."""
        behind = set()
        for place in reached - {len(self.atoms)}:
            sign, times = self.atoms[place]
            if _is_one(sign, letter):
                behind.add(place if times == "*" else place + 1)
                if times == "+":
                    behind.add(place)
        return behind

    def _skipping(self, reached: set[int]) -> set[int]:
        """Return places, with those behind signs that may be left out."""
        found = set(reached)
        for place, (_, times) in enumerate(self.atoms):
            if place in found and times in {"*", "?"}:
                found.add(place + 1)
        return found


def value_for(table: object, path: str, default: object) -> object:
    """Return a layer's own value, by the first key that its path ends with.

    Args:
        table: What the configuration holds; what is no object holds none.
        path: The layer.
        default: Its value where no key is of it.

    Raises:
        AdapterError: A key is neither a name nor a pattern that can be matched safely.
    """
    found = table if isinstance(table, Mapping) else {}
    if len(found) > MOST:
        raise AdapterError(f"expected at most {MOST} patterns, got {len(found)}")
    for key, value in found.items():
        if _ends_with(path, key):
            return value
    return default


def _ends_with(path: str, key: str) -> bool:
    """Return whether a layer's path ends with a name or a pattern."""
    if NAME.fullmatch(key):
        return path == key or path.endswith(f".{key}")
    return _parsed(key).matches(path)


@lru_cache(maxsize=1000)
def _parsed(key: str) -> LayerPattern:
    """Read a pattern."""
    atoms: list[tuple[str, str]] = []
    place = int(key.startswith("^"))
    end = len(key) - (key.endswith("$") and not key.endswith("\\$"))
    while place < end and len(atoms) < MOST_SIGNS:
        atom = ATOM.match(key, place, end)
        if atom is None:
            break
        atoms.append((atom["sign"], atom["times"]))
        place = atom.end()
    if place < end or not atoms:
        raise AdapterError(
            f"the pattern {reprlib.repr(key)} is not valid: expected names of layers "
            r"with no other signs than . \. \d \w * + ? ^ $, since no foreign regular "
            "expression is evaluated; write the layers out"
        )
    return LayerPattern(tuple(atoms), key.startswith("^"))


def _is_one(sign: str, letter: str) -> bool:
    """Return whether a letter is what a sign stands for."""
    if sign in KINDS:
        return KINDS[sign].fullmatch(letter) is not None
    return letter == sign[-1]
