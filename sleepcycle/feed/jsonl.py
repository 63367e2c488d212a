"""Lines of any length, read in bounded memory, and JSONL made of them."""

from collections.abc import Iterator
from io import BufferedIOBase

from sleepcycle.feed.rows import Row, parse
from sleepcycle.settings.config import FeedSettings

BOM = b"\xef\xbb\xbf"
PIECE_BYTES = 1 << 16


def read_jsonl(stream: BufferedIOBase, settings: FeedSettings) -> Iterator[Row]:
    """Yield the rows of a JSONL stream; blank lines are none."""
    for row in read_lines(stream, settings.max_row_bytes):
        if row.raw and not row.raw.isspace():
            yield parse(row, settings)


def read_lines(stream: BufferedIOBase, max_bytes: int) -> Iterator[Row]:
    """Yield every line without its end; of a longer one, `max_bytes` and its size."""
    number = offset = 0
    while data := stream.readline(max_bytes + 2):  # the end may be two bytes
        number += 1
        length, tail = len(data), data
        while not tail.endswith(b"\n") and (piece := stream.readline(PIECE_BYTES)):
            length += len(piece)
            tail = tail[-1:] + piece
        mark = len(BOM) if number == 1 and data.startswith(BOM) else 0
        size = length - mark - tail.endswith(b"\n") - tail.endswith(b"\r\n")
        yield Row(number, offset + mark, size, data[mark : mark + size])
        offset += length
