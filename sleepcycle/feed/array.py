"""A JSON array read element by element, so that one bad element spoils no other."""

import re
from collections.abc import Iterator
from io import BufferedIOBase

from sleepcycle.errors import RowError
from sleepcycle.feed.rows import Row, parse
from sleepcycle.settings.config import FeedSettings

CHUNK_BYTES = 1 << 16
_OUTSIDE = re.compile(rb'["\[\]{},]')
_INSIDE = re.compile(rb'["\\]')


def read_array(stream: BufferedIOBase, settings: FeedSettings) -> Iterator[Row]:
    """Yield the elements of a JSON array, numbered from 1.

    Brackets and strings alone are followed here; what an element holds is checked
    like a line of JSONL. What comes after the array, or its missing end, is one
    bad row.

    Args:
        stream: Its first byte that is not white space is the opening bracket.
        settings: The bounds of a row.
    """
    scanner = _Scanner(settings.max_row_bytes)
    while chunk := stream.read(CHUNK_BYTES):
        for row in scanner.scan(chunk):
            yield parse(row, settings)
    yield from scanner.finish()


class _Scanner:
    """Where in the array the stream is, and the element that is open there."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._depth = 0  # 0 before and after the array, 1 between its elements
        self._in_string = False
        self._hidden = 0  # bytes of the next chunk that a backslash hides
        self._done = False
        self._number = 0
        self._passed = 0  # bytes before the open element
        self._size = 0
        self._raw = bytearray()

    def scan(self, chunk: bytes) -> Iterator[Row]:
        """Yield the elements that end in this chunk."""
        begin, place = 0, self._hidden
        while not self._done:
            match = (_INSIDE if self._in_string else _OUTSIDE).search(chunk, place)
            if match is None:
                break
            place = match.end() + (match[0] == b"\\")
            if self._is_border(match[0]):
                self._keep(chunk[begin : match.start()])
                yield from self._end(match[0])
                begin = match.end()
        self._hidden = max(0, place - len(chunk))
        self._keep(chunk[begin:])

    def finish(self) -> Iterator[Row]:
        """Yield what is wrong with the end of the stream, if anything is."""
        row = self._take()
        if not self._done:
            row.fault = RowError("E_JSON", "expected ] after the elements, got the end")
            yield row
        elif row.size:
            row.fault = RowError("E_JSON", "expected the end after the array, got more")
            yield row

    def _is_border(self, sign: bytes) -> bool:
        """Follow one sign; return whether an element begins or ends with it."""
        if sign == b'"':
            self._in_string = not self._in_string
        elif sign in {b"[", b"{"}:
            self._depth += 1
            return self._depth == 1
        elif sign in {b"]", b"}"}:
            self._depth -= 1
            self._done = self._depth == 0
        return self._done or (sign == b"," and self._depth == 1)

    def _end(self, sign: bytes) -> Iterator[Row]:
        """Close the open element, and open the next one after the sign."""
        row = self._take()
        self._passed += 1
        none_yet = self._done and self._number == 1 and not row.raw
        if sign in {b"[", b"{"}:
            self._number = 0  # what stood before the array was no element
        elif not none_yet:
            yield row

    def _keep(self, part: bytes) -> None:
        """Add bytes to the open element, as far as they are needed."""
        self._size += len(part)
        self._raw += part[: self._max_bytes + 1 - len(self._raw)]

    def _take(self) -> Row:
        """Return the open element without the white space around it."""
        raw = bytes(self._raw)
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
