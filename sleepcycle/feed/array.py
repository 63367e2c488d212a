"""JSON values over many lines, read one by one, so that a bad one spoils no other."""

import re
from collections.abc import Callable, Iterator
from io import BufferedIOBase

from sleepcycle.errors import RowError
from sleepcycle.feed.rows import BOM, Row, explained, parse
from sleepcycle.settings.config import FeedSettings

CHUNK_BYTES = 1 << 16
_OUTSIDE = re.compile(rb'["\[\]{},]')
_INSIDE = re.compile(rb'["\\]')


def none_more(rest: bytes) -> str | None:
    """Return what is wrong with what stands behind an array: anything is."""
    return "expected the end after the array, got more" if rest else None


def read_array(
    stream: BufferedIOBase,
    settings: FeedSettings,
    offset: int = 0,
    wrong: Callable[[bytes], str | None] = none_more,
) -> Iterator[Row]:
    """Yield the elements of a JSON array, numbered from 1.

    Brackets and strings alone are followed here; what an element holds is checked
    like a line of JSONL. What comes after the array, or its missing end, is one
    bad row.

    Args:
        stream: Its first byte that is not white space is the opening bracket.
        settings: The bounds of a row.
        offset: Where in its file the stream begins, in bytes.
        wrong: Returns what is wrong with the bytes behind the array, if anything is.
    """
    scanner = _Elements(settings.max_row_bytes, offset)
    yield from _parsed(scanner, stream, settings)
    rest = scanner.take()
    message: str | None = "expected ] after the elements, got the end"
    if scanner.done:
        message = wrong(rest.raw)
    if message:
        rest.fault = RowError("E_JSON", message)
        yield rest


def read_objects(stream: BufferedIOBase, settings: FeedSettings) -> Iterator[Row]:
    """Yield JSON objects that follow each other, numbered from 1.

    What stands between two of them spoils the second. A missing end is one bad row.
    """
    scanner = _Objects(settings.max_row_bytes)
    for row in _parsed(scanner, stream, settings):
        yield explained(row) if row.fault and row.fault.code == "E_JSON" else row
    rest = scanner.take()
    if rest.size:
        rest.fault = RowError("E_JSON", "expected } after an object, got the end")
        yield rest


def _parsed(
    scanner: "_Scanner", stream: BufferedIOBase, settings: FeedSettings
) -> Iterator[Row]:
    """Yield what a scanner finds, each with its value or its fault."""
    while chunk := stream.read(CHUNK_BYTES):
        for row in scanner.scan(chunk):
            yield parse(row, settings)


class _Scanner:
    """Where in a stream of JSON one is, and the value that is open there."""

    border_bytes = 0
    """Bytes between two values."""

    def __init__(self, max_bytes: int, offset: int = 0) -> None:
        self.done = False
        """Whether all values have ended."""

        self._max_bytes = max_bytes
        self._depth = 0  # outside of all brackets
        self._in_string = False
        self._hidden = 0  # bytes of the next chunk that a backslash hides
        self._number = 0
        self._passed = offset  # bytes before the open value
        self._size = 0
        self._raw = bytearray()

    def scan(self, chunk: bytes) -> Iterator[Row]:
        """Yield the values that end in this chunk."""
        begin, place = 0, self._hidden
        while not self.done:
            match = (_INSIDE if self._in_string else _OUTSIDE).search(chunk, place)
            if match is None:
                break
            place = match.end() + (match[0] == b"\\")
            if self._is_border(match[0]):
                self._keep(chunk[begin : match.end() - self.border_bytes])
                yield from self._end(match[0])
                begin = match.end()
        self._hidden = max(0, place - len(chunk))
        self._keep(chunk[begin:])

    def take(self) -> Row:
        """Return the open value without the white space around it."""
        raw = bytes(self._raw)
        if self._passed == 0 and raw.startswith(BOM):
            raw, self._passed = raw[len(BOM) :], len(BOM)
            self._size -= len(BOM)
        before = len(raw) - len(raw.lstrip())
        whole = len(raw) == self._size
        row = Row(
            line=self._number + 1,
            offset=self._passed + before,
            size=len(raw.strip()) if whole else self._size - before,
            raw=raw.strip(),
        )
        self._number += 1
        self._passed += self._size
        self._size = 0
        self._raw.clear()
        return row

    def _is_border(self, sign: bytes) -> bool:
        """Follow one sign; return whether a value begins or ends with it."""
        if sign == b'"':
            self._in_string = not self._in_string
        elif sign in {b"[", b"{"}:
            self._depth += 1
            return self._begins()
        elif sign in {b"]", b"}"}:
            self._depth -= 1
            return self._ends()
        return sign == b"," and self._divides()

    def _begins(self) -> bool:
        """Return whether the first value begins with a bracket just opened."""
        return False

    def _ends(self) -> bool:
        """Return whether a value ends with a bracket just closed."""
        return False

    def _divides(self) -> bool:
        """Return whether a comma here stands between two values."""
        return False

    def _end(self, sign: bytes) -> Iterator[Row]:
        """Close the open value."""
        yield self.take()

    def _keep(self, part: bytes) -> None:
        """Add bytes to the open value, as far as they are needed."""
        self._size += len(part)
        self._raw += part[: self._max_bytes + 1 - len(self._raw)]


class _Elements(_Scanner):
    """The elements of one array."""

    border_bytes = 1

    def _begins(self) -> bool:
        return self._depth == 1

    def _ends(self) -> bool:
        self.done = self._depth == 0
        return self.done

    def _divides(self) -> bool:
        return self._depth == 1

    def _end(self, sign: bytes) -> Iterator[Row]:
        """Close the open element, and open the next one after the sign."""
        row = self.take()
        self._passed += 1
        none_yet = self.done and self._number == 1 and not row.raw
        if sign in {b"[", b"{"}:
            self._number = 0  # what stood before the array was no element
        elif not none_yet:
            yield row


class _Objects(_Scanner):
    """Objects that stand for themselves."""

    def _ends(self) -> bool:
        self._depth = max(0, self._depth)  # a bracket too many spoils one object
        return self._depth == 0
