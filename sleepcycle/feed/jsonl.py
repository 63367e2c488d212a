"""Lines of any length, read in bounded memory, and JSONL made of them."""

from collections.abc import Iterator
from io import BufferedReader, BytesIO

from sleepcycle.feed.array import read_objects
from sleepcycle.feed.rows import BOM, Row, explained, parse
from sleepcycle.settings.config import FeedSettings

PIECE_BYTES = 1 << 16


def read_jsonl(stream: BufferedReader, settings: FeedSettings) -> Iterator[Row]:
    """Yield the rows of a JSONL stream; blank lines are none.

    A line may hold several objects one after the other, each of which is a row.
    """
    lines = read_lines(stream, settings.max_row_bytes)
    for line in lines:
        if not line.raw or line.raw.isspace():
            lines.skip_blank()
            continue
        row = parse(line, settings)
        if row.fault is None or row.fault.code != "E_JSON":
            yield row
        else:
            yield from _glued(row, settings) or [explained(row)]


class Lines:
    """Every line without its end; of a longer one, `max_bytes` and its size."""

    def __init__(self, stream: BufferedReader, max_bytes: int) -> None:
        self._stream = stream
        self._max_bytes = max_bytes
        self._number = 0
        self.offset = 0
        """Bytes read so far."""

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> Row:
        """Return the next line."""
        readline = self._stream.readline
        data = tail = readline(self._max_bytes + 2)  # the end may be two bytes
        if not data:
            raise StopIteration
        length = len(data)
        while not tail.endswith(b"\n") and (piece := readline(PIECE_BYTES)):
            length += len(piece)
            tail = tail[-1:] + piece
        self._number += 1
        mark = len(BOM) if self._number == 1 and data.startswith(BOM) else 0
        size = length - mark - tail.endswith(b"\n") - tail.endswith(b"\r\n")
        row = Row(self._number, self.offset + mark, size, data[mark : mark + size])
        self.offset += length
        return row

    def take_before(self, sign: bytes, max_bytes: int) -> bytes:
        """Return the whole lines in memory that come before a sign, all at once."""
        head = self._stream.peek(1)[:max_bytes]
        end = head.find(sign)
        return self._pass(head[: end if end >= 0 else len(head)])

    def skip_blank(self) -> None:
        """Pass over blank lines that are in memory already, all at once."""
        head = self._stream.peek(1)
        self._pass(head[: len(head) - len(head.lstrip())])

    def _pass(self, part: bytes) -> bytes:
        """Pass over the whole lines of a part that comes next, and return them."""
        lines = part[: part.rfind(b"\n") + 1]
        self._stream.read(len(lines))
        self._number += lines.count(b"\n")
        self.offset += len(lines)
        return lines


def read_lines(stream: BufferedReader, max_bytes: int) -> Lines:
    """Return every line of a stream as a row without a value."""
    return Lines(stream, max_bytes)


def _glued(line: Row, settings: FeedSettings) -> list[Row]:
    """Return the objects of a line that is nothing but several; else none."""
    rows = list(read_objects(BytesIO(line.raw), settings))
    if any(row.fault for row in rows):
        return []
    for row in rows:
        row.line, row.offset = line.line, line.offset + row.offset
    return rows
