"""Find out what a source holds, and read its rows."""

import gzip
import sys
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePath
from typing import BinaryIO, cast

import zstandard

from sleepcycle.errors import FeedError, RowError
from sleepcycle.feed.array import read_array
from sleepcycle.feed.csvfile import read_csv
from sleepcycle.feed.jsonl import BOM, read_jsonl
from sleepcycle.feed.parquet import read_parquet
from sleepcycle.feed.rows import Row
from sleepcycle.feed.shapes import Format
from sleepcycle.feed.zstd import ZstdReader
from sleepcycle.settings.config import FeedSettings

Source = Path | str | BinaryIO
"""A path, `-` for standard input, or a stream of bytes, which is left open."""

BUFFER_BYTES = 1 << 16
GZIP, ZSTD, PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)
LINES = {".jsonl", ".ndjson"}

Stream = BufferedReader | gzip.GzipFile


@dataclass(frozen=True)
class Beginning:
    """What is known of a source before its rows are read."""

    suffix: str
    """Of its name, in lower case; that of a compression is left out."""

    head: bytes
    """Its first bytes, decompressed."""

    @property
    def first(self) -> bytes:
        """The first byte that is no white space."""
        return self.head.removeprefix(BOM).lstrip()[:1]


@dataclass(frozen=True)
class Container:
    """One form of file that rows come in."""

    name: str
    fits: Callable[[Beginning], bool]
    read: Callable[[Stream, FeedSettings, Format | None], Iterator[Row]]
    is_text: bool = True
    """Whether it is UTF-8, and may be compressed."""


def _is_parquet(found: Beginning) -> bool:
    """Return whether a name or first bytes are Parquet's."""
    return found.head.startswith(PARQUET) or found.suffix == ".parquet"


def _ends_in(suffix: str) -> Callable[[Beginning], bool]:
    """Return what tells whether a name ends so."""
    return lambda found: found.suffix == suffix


def _is_array(found: Beginning) -> bool:
    """Return whether what begins is a JSON array."""
    return found.first == b"[" and found.suffix not in LINES


def _is_lines(found: Beginning) -> bool:
    """Return whether a name or first byte is that of JSON objects, a line each."""
    return found.suffix in {*LINES, ".json"} or found.first in {b"{", b""}


CONTAINERS = (
    Container("Parquet", _is_parquet, lambda f, s, _: read_parquet(f, s), False),
    Container("TSV", _ends_in(".tsv"), lambda f, s, shape: read_csv(f, s, "\t", shape)),
    Container("CSV", _ends_in(".csv"), lambda f, s, shape: read_csv(f, s, ",", shape)),
    Container("JSON", _is_array, lambda f, s, _: read_array(f, s)),
    Container("JSONL", _is_lines, lambda f, s, _: read_jsonl(f, s)),
)
"""The first that fits a source reads it; a refusal names them, the last one first."""


def name_of(source: Source) -> str:
    """Return the name that reports and bad rows call a source by."""
    if not isinstance(source, Path | str):
        source = str(getattr(source, "name", "stream"))
    name = "stdin" if str(source) == "-" else str(source)
    return name.encode(errors="replace").decode()  # file names may be no UTF-8


def read_source(
    source: Source, settings: FeedSettings, shape: Format | None
) -> Generator[Row]:
    """Yield the rows of a source, whatever container holds them.

    Where a compressed stream is cut off or damaged, the rows before that place are
    good, and the place itself is one row with the fault `E_STREAM`.

    Args:
        source: What to read.
        settings: The bounds of a row.
        shape: The shape that a CSV header must fit; None for any.

    Raises:
        FeedError: The source cannot be read, or what it holds cannot be told.
    """
    line = offset = 0
    try:
        with _opened(source) as file:
            for row in _rows(name_of(source), file, settings, shape):
                line, offset = row.line, row.offset + row.size
                yield row
    except BROKEN as error:
        fault = RowError("E_STREAM", f"expected more compressed data, got: {error}")
        yield Row(line + 1, offset, 0, b"", fault=fault)
    except FeedError as error:
        raise FeedError(f"{name_of(source)}: {error}") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FeedError(f"cannot read {name_of(source)}: {reason}") from error


@contextmanager
def _opened(source: Source) -> Iterator[BufferedReader]:
    """Open a source, and leave open what the caller had open already."""
    if isinstance(source, Path | str) and str(source) != "-":
        with Path(source).open("rb") as file:
            yield file
        return
    stream = sys.stdin.buffer if isinstance(source, Path | str) else source
    reader: BufferedReader = BufferedReader(cast("RawIOBase", stream), BUFFER_BYTES)
    try:
        yield reader
    finally:
        reader.detach()


def _rows(
    name: str, file: BufferedReader, settings: FeedSettings, shape: Format | None
) -> Iterator[Row]:
    """Read by the first container that fits."""
    path = PurePath(name.lower())
    suffix = (
        path.with_suffix("").suffix if path.suffix in {".gz", ".zst"} else path.suffix
    )
    stream = _decompressed(file)
    head = stream.peek(BUFFER_BYTES)
    found = Beginning(suffix, head)
    container = next((each for each in CONTAINERS if each.fits(found)), None)
    if container is not None and not container.is_text:
        if stream is not file:
            raise FeedError(
                f"expected {container.name} as it is, got it inside gzip or zstd; "
                f"decompress it first ({container.name} compresses its columns itself)"
            )
        return container.read(file, settings, shape)
    if head.startswith(UTF16) or b"\0" in head[:4]:
        raise FeedError("expected UTF-8, got UTF-16 or no text; convert it with iconv")
    if container is None:
        raise FeedError(
            f"expected {_names()} by its name or its first bytes, "
            f"got {head[:20]!r}; rename it"
        )
    return container.read(stream, settings, shape)


def _names() -> str:
    """Return the names of all containers in words."""
    *names, last = (each.name for each in reversed(CONTAINERS))
    return f"{', '.join(names)} or {last}"


def _decompressed(file: BufferedReader) -> BufferedReader | gzip.GzipFile:
    """Undo the compression that the first bytes show."""
    head = file.peek(len(ZSTD))
    if head.startswith(GZIP):
        return gzip.GzipFile(fileobj=file)
    if head.startswith(ZSTD):
        return BufferedReader(ZstdReader(file), BUFFER_BYTES)
    return file
