"""Find out whether the end of a file is missing, as that of one still being copied."""

import gzip
import json
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO, cast

from sleepcycle.feed.sources import BROKEN, GZIP, PARQUET, ZSTD
from sleepcycle.feed.zstd import ZstdReader

TAIL_BYTES = 1 << 20  # a row is seldom longer
CHUNK_BYTES = 1 << 20


def missing_end(path: Path) -> str | None:
    """Return what the end of a file lacks, in words; None where it lacks nothing.

    A compressed file is read to its end for that. Lines may end without a newline
    where the last one is a whole JSON value.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(len(PARQUET))
        file.seek(0)
        if head.startswith(GZIP) or head == ZSTD:
            return _missing_in_stream(file, head)
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        tail = file.read(TAIL_BYTES)
    if head == PARQUET:
        return None if tail.endswith(PARQUET) else "its last column is cut off"
    return _missing_in_text(head, tail)


def _missing_in_stream(file: BinaryIO, head: bytes) -> str | None:
    """Look at a compressed file."""
    is_gzip = head.startswith(GZIP)
    raw = gzip.GzipFile(fileobj=file) if is_gzip else ZstdReader(file)
    stream = BufferedReader(cast("RawIOBase", raw), CHUNK_BYTES)
    first = tail = b""
    try:
        while chunk := stream.read(CHUNK_BYTES):
            first = first or chunk[:4]
            tail = (tail + chunk)[-TAIL_BYTES:]
    except BROKEN:
        return "its compressed stream is cut off or damaged"
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
