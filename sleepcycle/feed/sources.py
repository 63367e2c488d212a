"""Find out what a source holds, and read its rows."""

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePath
from typing import BinaryIO, cast

from sleepcycle.errors import FeedError, RowError
from sleepcycle.feed.array import read_array, read_objects
from sleepcycle.feed.arrow import IPC_FILE, IPC_STREAM, read_arrow, read_parquet
from sleepcycle.feed.beginning import (
    FOREIGN,
    HEAD_BYTES,
    LINES,
    Beginning,
    is_array,
    is_columns,
    is_object,
    is_spread,
    is_wrapped,
)
from sleepcycle.feed.compression import BROKEN, SUFFIXES, decompressed
from sleepcycle.feed.csvfile import read_csv, read_tsv
from sleepcycle.feed.delimiter import is_table
from sleepcycle.feed.document import read_document
from sleepcycle.feed.folder import files_of
from sleepcycle.feed.jsonl import read_jsonl
from sleepcycle.feed.lineends import with_newlines
from sleepcycle.feed.objects import read_columns, read_wrapped
from sleepcycle.feed.refusal import refuse_known, refuse_no_text
from sleepcycle.feed.rows import Row, unfold
from sleepcycle.feed.shapes import RowOptions
from sleepcycle.feed.yamlfile import read_yaml
from sleepcycle.settings.config import FeedSettings

Source = Path | str | BinaryIO
"""A path, `-` for standard input, or a stream of bytes, which is left open."""


@dataclass(frozen=True)
class Container:
    """One form of file that rows come in."""

    name: str
    fits: Callable[[Beginning], bool]
    read: Callable[[BufferedReader, FeedSettings, RowOptions], Iterator[Row]]
    is_text: bool = True
    """Whether it is UTF-8, and may be compressed."""


def _is_parquet(found: Beginning) -> bool:
    """Return whether a name or first bytes are Parquet's."""
    return found.head.startswith(b"PAR1") or found.suffix == ".parquet"


def _is_arrow(found: Beginning) -> bool:
    """Return whether a name or first bytes are those of Arrow IPC."""
    known = found.head.startswith((IPC_FILE, IPC_STREAM))
    return known or found.suffix in {".arrow", ".feather"}


def _is_one_a_line(found: Beginning) -> bool:
    """Return whether the first line is a JSON object, whatever the name says."""
    return is_object(found.lines[0])


def _is_tsv(found: Beginning) -> bool:
    """Return whether a name says that tabs divide, and no other sign plainly does."""
    is_named = found.suffix in {".tsv", ".tab"}
    return is_named and ("\t" in found.lines[0] or not is_table(found))


def _is_csv(found: Beginning) -> bool:
    """Return whether a name or the first lines are those of a table."""
    if found.suffix in {".csv", ".tsv", ".tab"}:
        return True
    is_other = found.suffix in FOREIGN - {".txt"} or found.first in {b"{", b"["}
    return not is_other and is_table(found)


def _ends_in(*suffixes: str) -> Callable[[Beginning], bool]:
    """Return what tells whether a name ends in one of these."""
    return lambda found: found.suffix in suffixes


def _is_lines(found: Beginning) -> bool:
    """Return whether a name or first byte is that of JSON objects, a line each."""
    return found.suffix in {*LINES, ".json"} or found.first in {b"{", b""}


CSV = Container("CSV", _is_csv, read_csv)
CONTAINERS = (
    Container("Parquet", _is_parquet, read_parquet, is_text=False),
    Container("Arrow", _is_arrow, read_arrow, is_text=False),
    Container("JSON", is_array, lambda f, s, _: read_array(f, s)),
    Container("JSON", is_wrapped, read_wrapped),
    Container("JSON", is_columns, lambda f, s, _: read_columns(f, s)),
    Container("JSON", is_spread, lambda f, s, _: read_objects(f, s)),
    Container("JSONL", _is_one_a_line, lambda f, s, _: read_jsonl(f, s)),
    Container("TSV", _is_tsv, read_tsv),
    CSV,
    Container("YAML", _ends_in(".yaml", ".yml"), read_yaml),
    Container(
        "text",
        _ends_in(".txt", ".md", ".markdown"),
        lambda f, s, _: read_document(f, s),
    ),
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
    source: Source, settings: FeedSettings, wanted: RowOptions
) -> Generator[Row]:
    """Yield the rows of a source, whatever container holds them.

    Where a compressed stream is cut off or damaged, the rows before that place are
    good, and the place itself is one row with the fault `E_STREAM`.

    Args:
        source: What to read.
        settings: The bounds of a row.
        wanted: What the columns of a table must fit.

    Raises:
        FeedError: The source cannot be read, or what it holds cannot be told.
    """
    line = offset = 0
    try:
        for row in _parts(source, settings, wanted):
            line, offset = row.line, row.offset + row.size
            yield unfold(row, settings)
    except BROKEN as error:
        message = f"expected more compressed data, got: {str(error).lower()}"
        fault = RowError("E_STREAM", message)
        yield Row(line + 1, offset, 0, b"", fault=fault)
    except FeedError as error:
        raise FeedError(f"{name_of(source)}: {error}") from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FeedError(f"cannot read {name_of(source)}: {reason}") from error


def _parts(source: Source, settings: FeedSettings, wanted: RowOptions) -> Iterator[Row]:
    """Yield the rows of a file, or of the files of a folder, numbered on."""
    files = [source]
    is_path = isinstance(source, Path | str) and str(source) != "-"
    if is_path and (folder := Path(cast("Path", source))).is_dir():
        files = list(files_of(folder))
    before = 0
    for each in files:
        number = 0
        with _opened(each) as file:
            for row in _rows(name_of(each), file, settings, wanted):
                number = row.line
                row.line += before
                yield row
        before += number


@contextmanager
def _opened(source: Source) -> Iterator[BufferedReader]:
    """Open a source, and leave open what the caller had open already."""
    if isinstance(source, Path | str) and str(source) != "-":
        with Path(source).open("rb") as file:
            yield BufferedReader(cast("RawIOBase", file), HEAD_BYTES)
        return
    stream = sys.stdin.buffer if isinstance(source, Path | str) else source
    reader: BufferedReader = BufferedReader(cast("RawIOBase", stream), HEAD_BYTES)
    try:
        yield reader
    finally:
        reader.detach()


def _rows(
    name: str, file: BufferedReader, settings: FeedSettings, wanted: RowOptions
) -> Iterator[Row]:
    """Read by the first container that fits."""
    path = PurePath(name.lower())
    suffix = path.with_suffix("").suffix if path.suffix in SUFFIXES else path.suffix
    unpacked = decompressed(file)
    stream = with_newlines(unpacked)
    found = Beginning(suffix, stream.peek(HEAD_BYTES))
    refuse_known(found)
    container = next((each for each in CONTAINERS if each.fits(found)), None)
    if container is None and is_table(found, wanted):  # whose columns are mapped
        container = CSV
    if container is not None and not container.is_text:
        if unpacked is not file:
            raise FeedError(
                f"expected {container.name} as it is, got it compressed; "
                f"decompress it first ({container.name} compresses its columns itself)"
            )
        return container.read(file, settings, wanted)
    refuse_no_text(found)
    if container is None:
        raise FeedError(
            f"expected {_names()} by its name or its first bytes, "
            f"got {found.head[:20]!r}; rename it"
        )
    return container.read(stream, settings, wanted)


def _names() -> str:
    """Return the names of all containers in words."""
    *names, last = dict.fromkeys(each.name for each in reversed(CONTAINERS))
    return f"{', '.join(names)} or {last}"
