"""Lines that end in a carriage return alone, as old spreadsheets write them."""

import io
from io import BufferedReader
from typing import TYPE_CHECKING

from sleepcycle.feed.beginning import HEAD_BYTES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


def with_newlines(stream: BufferedReader) -> BufferedReader:
    """Return a stream whose lines end in a newline; no byte changes its place."""
    head = stream.peek(HEAD_BYTES)
    if b"\n" in head or b"\r" not in head[:-1]:  # the last may be half of an end
        return stream
    return BufferedReader(_Newlines(stream), HEAD_BYTES)


class _Newlines(io.RawIOBase):
    """A stream with a newline for each carriage return."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream

    def readable(self) -> bool:
        """Return that this can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer."""
        target = memoryview(buffer).cast("B")
        data = self._stream.read(len(target))
        target[: len(data)] = data.replace(b"\r", b"\n")
        return len(data)
