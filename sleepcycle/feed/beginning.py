"""What the name and the first bytes of a source tell about the rest."""

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sleepcycle.feed.rows import BOM
from sleepcycle.feed.shapes import shape_of

HEAD_BYTES = 1 << 16

LINES = {".jsonl", ".ndjson"}
FOREIGN = {".csv", ".tsv", ".tab", ".txt", ".md", ".markdown", ".yaml", ".yml"}
"""Endings that promise something other than JSON."""

LISTS = {"data", "rows", "examples", "train", "records", "items", "samples"}
"""Names under which a file has its list of rows."""

_DECODER = json.JSONDecoder(parse_int=float)
_SPACE = re.compile(r"\s*")
_ARRAY_OF_OBJECTS = re.compile(r'\[\s*\{\s*"')
_COLUMN = re.compile(
    r'\{\s*"[^"\\]+"\s*:\s*(?:\{\s*"\d+"\s*:|\[\s*["\[\d\-ntf])'  # or one of texts
)
_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]')


@dataclass(frozen=True)
class Beginning:
    """What is known of a source before its rows are read."""

    suffix: str
    """Of its name, in lower case; that of a compression is left out."""

    head: bytes
    """Its first bytes, decompressed."""

    @cached_property
    def _bytes(self) -> bytes:
        """Its first bytes, from the first that is no white space."""
        return self.head.removeprefix(BOM).lstrip()

    @property
    def first(self) -> bytes:
        """The first byte that is no white space."""
        return self._bytes[:1]

    @cached_property
    def text(self) -> str:
        """Its first bytes as text, from the first that is no white space."""
        return self._bytes.decode(errors="surrogateescape")

    def offset_of(self, place: int) -> int:
        """Return the byte offset of a place in the text."""
        before = len(self.head) - len(self._bytes)
        return before + len(self.text[:place].encode(errors="surrogateescape"))

    @cached_property
    def lines(self) -> list[str]:
        """The first line that is not blank, and the next one, if there is one."""
        first, _, rest = self.text.partition("\n")
        return [first.strip(), rest.lstrip().partition("\n")[0].strip()]

    @cached_property
    def first_value(self) -> tuple[Any, int] | None:
        """The first JSON value and where it ends; None where it is none or cut."""
        return value_at(self.text, 0)

    @property
    def is_json(self) -> bool:
        """Whether JSON objects are what the name lets expect, or what is there."""
        if self.suffix not in FOREIGN:
            return self.first in {b"{", b"["}
        value = self.first_value
        is_object = value is not None and isinstance(value[0], dict)
        return is_object or _ARRAY_OF_OBJECTS.match(self.text) is not None


def value_at(text: str, place: int) -> tuple[Any, int] | None:
    """Return the JSON value at a place and where it ends; None where there is none."""
    try:
        return _DECODER.raw_decode(text, place)
    except (ValueError, RecursionError):
        return None


def is_array(found: Beginning) -> bool:
    """Return whether a JSON array of rows begins.

    A name that says lines is believed, unless the first line is plainly the begin of
    an array of objects, and not a list of turns.
    """
    if found.first != b"[" or not found.is_json:
        return False
    if found.suffix not in LINES:
        return True
    if not _ARRAY_OF_OBJECTS.match(found.text):
        return False
    if found.first_value is None:
        return True
    value, end = found.first_value
    is_turns = bool({"role", "from"} & value[0].keys())
    return not is_turns and not found.text[end:].strip()


def list_at(found: Beginning) -> int | None:
    """Return where in the text the list of rows begins that one object wraps.

    That is an object with scalars and one list, whose elements are plainly rows.
    """
    if found.first != b"{" or not found.is_json:
        return None
    if found.first_value is not None and found.text[found.first_value[1] :].strip():
        return None  # more objects follow, each of which is a row
    text, place = found.text, 1
    while (member := _member(text, place)) is not None:
        key, place = member
        if text.startswith("[", place):
            return place if _holds_rows(key, text, place) else None
        value = value_at(text, place)
        if value is None or isinstance(value[0], dict):
            return None
        place = _past(text, value[1], ",")
    return None


def is_wrapped(found: Beginning) -> bool:
    """Return whether one object wraps the list of rows."""
    return list_at(found) is not None


def is_columns(found: Beginning) -> bool:
    """Return whether one object may hold a list or a mapping for each column."""
    if not found.is_json or not _COLUMN.match(found.text):
        return False
    if found.first_value is None:
        return "\n" not in found.text or _goes_on(found)
    return not found.text[found.first_value[1] :].strip()


def is_spread(found: Beginning) -> bool:
    """Return whether JSON objects lie over many lines, or all in one without end."""
    if found.first != b"{" or not found.is_json:
        return False
    if found.first_value is not None:
        end = found.first_value[1]
        value, more = found.text[:end], found.text[end:]
        glued = "\n" not in found.text and more.lstrip().startswith("{")
        return "\n" in value or glued
    return _goes_on(found)


def is_object(line: str) -> bool:
    """Return whether a line is one JSON object."""
    value = value_at(line, 0)
    return value is not None and isinstance(value[0], dict) and value[1] == len(line)


def _member(text: str, place: int) -> tuple[str, int] | None:
    """Return the next key of an object, and where its value begins."""
    place = _past(text, place, "")
    key = value_at(text, place) if text.startswith('"', place) else None
    if key is None:
        return None
    return str(key[0]), _past(text, key[1], ":")


def _past(text: str, place: int, sign: str) -> int:
    """Return the place after white space and a sign, if that is there."""
    for _ in range(2):
        space = _SPACE.match(text, place)
        place = space.end() if space else place
        if sign and text.startswith(sign, place):
            place, sign = place + 1, ""
    return place


def _holds_rows(key: str, text: str, place: int) -> bool:
    """Return whether the list at a place plainly holds rows."""
    if not _ARRAY_OF_OBJECTS.match(text, place):
        return False
    first = value_at(text, _past(text, place, "["))
    if first is None:  # longer than what is known of the source
        return key in LISTS
    follows = text[_past(text, first[1], "") :][:1]
    return follows in {",", "]", ""} and are_rows(key, first[0])


def are_rows(key: str, first: object) -> bool:
    """Return whether a list with a name and a first element plainly holds rows."""
    if not isinstance(first, dict) or {"role", "from"} & first.keys():
        return False
    return key in LISTS or shape_of(first) is not None


def _goes_on(found: Beginning) -> bool:
    """Return whether an object goes on behind the first line, which is not just broken.

    The line then ends inside of a bracket, and the next one is no object of its own.
    """
    first, second = found.lines
    signs = [match[0] for match in _BRACKET.finditer(first)]
    opened = sum(sign in "[{" for sign in signs)
    is_open = opened > sum(sign in "]}" for sign in signs)
    return is_open and first[-1] in "{[," and not is_object(second)
