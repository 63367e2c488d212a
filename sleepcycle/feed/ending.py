"""Find out whether the end of a file is missing, as that of one still being copied."""

import json
from io import BufferedReader
from pathlib import Path

from sleepcycle.errors import FeedError
from sleepcycle.feed.compression import BROKEN, decompressed

TAIL_BYTES = 1 << 20  # a row is seldom longer
CHUNK_BYTES = 1 << 20
MARKED = (b"PAR1", b"ARROW1")
"""What files of columns begin and end with."""


def missing_end(path: Path) -> str | None:
    """Return what the end of a file lacks, in words; None where it lacks nothing.

    A compressed file is read to its end for that. Lines may end without a newline
    where the last one is a whole JSON value.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        stream = decompressed(file)
        if stream is not file:
            return _missing_in_stream(stream)
        head = file.read(len(max(MARKED, key=len)))
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        tail = file.read(TAIL_BYTES)
    mark = next((mark for mark in MARKED if head.startswith(mark)), None)
    if mark is not None:
        return None if tail.endswith(mark) else "its last column is cut off"
    return _missing_in_text(head, tail)


def _missing_in_stream(stream: BufferedReader) -> str | None:
    """Look at a compressed file; what becomes too large is the feed's to refuse."""
    first = tail = b""
    try:
        while chunk := stream.read(CHUNK_BYTES):
            first = first or chunk[:6]
            tail = (tail + chunk)[-TAIL_BYTES:]
    except BROKEN:
        return "its compressed stream is cut off or damaged"
    except FeedError:
        return None
    return _missing_in_text(first, tail)


def _missing_in_text(head: bytes, tail: bytes) -> str | None:
    """Look at the first and the last bytes of a text."""
    if not tail:
        return "there is nothing in it"
    if head.lstrip().startswith(b"["):
        return None if tail.rstrip().endswith(b"]") else "its array is not closed"
    if tail.endswith((b"\n", b"\r")) or _is_value(tail.splitlines()[-1]):
        return None
    return "its last line has no end"


def _is_value(line: bytes) -> bool:
    """Return whether a line is a whole JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
