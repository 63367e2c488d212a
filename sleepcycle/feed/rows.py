"""One input row, and its JSON, stricter than Python's parser has it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from sleepcycle.errors import RowError
from sleepcycle.settings.config import FeedSettings

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)  # strings, brackets
_PYTHON = re.compile(r"\s*\[\s*\{\s*'")
BOM = b"\xef\xbb\xbf"
TURNS = ("messages", "conversations")


class Number(float):
    """A number that knows how it was written, since `1.50` may be an answer."""

    written: str

    def __new__(cls, written: str) -> Self:
        """Parse what JSON has for a number."""
        self = super().__new__(cls, written)
        self.written = written
        return self


@dataclass(slots=True)
class Row:
    """One row as its container holds it."""

    line: int
    """Line or row number, counted from 1."""

    offset: int
    """Byte offset in the decompressed file; 0 in Parquet, where rows have none."""

    size: int
    """Bytes of the whole row."""

    raw: bytes
    """The row, or its beginning where it is too big."""

    value: Any = None
    fault: RowError | None = None


def parse(row: Row, settings: FeedSettings) -> Row:
    """Give a row the value of its JSON, or its fault."""
    try:
        check_size(row.size, settings)
        row.value = parse_json(row.raw, settings.max_depth)
    except RowError as fault:
        row.fault = fault
    return row


def explained(row: Row) -> Row:
    """Give an object that is no JSON a fault that names the mistake, if it is known."""
    raw = row.raw.strip()
    if raw.endswith(b",") or raw.startswith(b","):
        hint = "a comma beside it; take the commas out, or put all of it into [ ]"
    elif raw.startswith((b"//", b"#", b"/*")):
        hint = "a comment; take it out"
    else:
        return row
    row.fault = RowError("E_JSON", f"expected JSON objects alone, got {hint}")
    return row


def check_size(size: int, settings: FeedSettings) -> None:
    """Refuse a row that is too big.

    Raises:
        RowError: `E_TOO_BIG`.
    """
    if size > settings.max_row_bytes:
        raise RowError(
            "E_TOO_BIG",
            f"expected at most {settings.max_row_bytes} bytes, got {size}",
        )


def parse_json(raw: bytes, max_depth: int) -> Any:  # noqa: ANN401 - JSON has any shape
    """Parse one JSON value.

    Numbers all become floats that know how they were written, so an integer of any
    length costs nothing. NaN and the infinities pass, as Python writes them; where
    one stands for something to be learned the shape refuses it. A NUL or any other
    escaped control character is text.

    Raises:
        RowError: `E_UTF8`, `E_JSON`, `E_DUPKEY`, or `E_DEPTH`.
    """
    if raw.count(b"[") + raw.count(b"{") > max_depth:  # else it cannot be deeper
        _check_depth(raw, max_depth)
    try:
        return _DECODER.decode(raw.decode())
    except UnicodeDecodeError as error:
        message = f"expected UTF-8, got byte {raw[error.start]:#04x} at {error.start}"
        raise RowError("E_UTF8", message) from error
    except json.JSONDecodeError as error:
        message = f"expected JSON, got: {error.msg.lower()} at byte {error.pos}"
        raise RowError("E_JSON", message) from error


def unfold(row: Row, settings: FeedSettings) -> Row:
    """Give turns as a list, which some containers have in another form.

    That is the text of their JSON, as in CSV, or a list for each key of a turn, as
    `datasets` keeps a sequence.
    """
    fields = row.value
    if isinstance(fields, dict):
        for key in TURNS:
            turns = fields.get(key)
            if isinstance(turns, str):
                _unfold(row, key, turns, settings)
            elif isinstance(turns, dict):
                fields[key] = _turned(turns)
    return row


def _turned(columns: dict[str, Any]) -> object:
    """Return turns of which each key has a list; anything else as it is."""
    lists = [column for column in columns.values() if isinstance(column, list)]
    if not lists or len(lists) != len(columns) or len({*map(len, lists)}) != 1:
        return columns
    return [dict(zip(columns, turn, strict=True)) for turn in zip(*lists, strict=True)]


def _unfold(row: Row, key: str, text: str, settings: FeedSettings) -> None:
    """Put the JSON of one key in the place of its text."""
    try:
        row.value[key] = parse_json(text.encode(), settings.max_depth)
    except UnicodeEncodeError:
        row.fault = RowError("E_UTF8", "expected text, got a lone surrogate")
    except RowError as error:
        message = f"{key}: {error}"
        if _PYTHON.match(text):
            message = (
                f"expected JSON in {key}, got Python's way of writing it; write the "
                "column with json.dumps"
            )
        row.fault = RowError(error.code, message)


def _check_depth(raw: bytes, max_depth: int) -> None:
    """Refuse deep nesting before a recursive parser sees it."""
    depth = 0
    for token in _TOKEN.finditer(raw):
        if token[0] in b"[{":
            depth += 1
        elif token[0] in b"]}":
            depth -= 1
        if depth > max_depth:
            raise RowError("E_DEPTH", f"expected at most {max_depth} levels, got more")


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object whose keys are all different."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RowError("E_DUPKEY", "expected each key once, got one of them twice")
    return fields


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=Number, parse_float=Number
)
