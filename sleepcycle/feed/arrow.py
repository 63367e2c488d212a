"""Parquet and Arrow IPC, through pyarrow, which is an extra."""

from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from types import ModuleType
from typing import Any

from sleepcycle.errors import FeedError, RowError
from sleepcycle.feed.header import check_columns
from sleepcycle.feed.objects import row_of
from sleepcycle.feed.rows import Row
from sleepcycle.feed.shapes import RowOptions
from sleepcycle.settings.config import FeedSettings

ROWS_AT_ONCE = 256
IPC_FILE, IPC_STREAM = b"ARROW1", b"\xff\xff\xff\xff"

DAMAGED = (OSError, MemoryError, UnicodeDecodeError)
"""What pyarrow raises beside its own errors where a file is damaged: sizes that are
none, and names in no UTF-8."""

Table = tuple[list[str], Iterable[Any]]
"""Names of the columns, and batches of rows."""


def read_parquet(
    stream: BufferedReader, settings: FeedSettings, wanted: RowOptions
) -> Iterator[Row]:
    """Yield the rows of a Parquet file, with all their columns.

    Memory is that of one row group.

    Raises:
        FeedError: pyarrow is missing, the stream cannot seek, it is not Parquet, or
            its columns are those of no shape.
    """
    return _read("Parquet", _parquet, stream, settings, wanted)


def read_arrow(
    stream: BufferedReader, settings: FeedSettings, wanted: RowOptions
) -> Iterator[Row]:
    """Yield the rows of an Arrow IPC file or stream, as `datasets` keeps them.

    Raises:
        FeedError: As `read_parquet`.
    """
    return _read("Arrow", _arrow, stream, settings, wanted)


def _parquet(stream: BufferedReader, pyarrow: ModuleType) -> Table:
    """Open a Parquet file."""
    from pyarrow import parquet

    file = parquet.ParquetFile(stream)
    return file.schema_arrow.names, file.iter_batches(batch_size=ROWS_AT_ONCE)


def _arrow(stream: BufferedReader, pyarrow: ModuleType) -> Table:
    """Open an Arrow IPC file or stream."""
    if stream.peek(len(IPC_FILE)).startswith(IPC_FILE):
        file = pyarrow.ipc.open_file(stream)
        batches = map(file.get_batch, range(file.num_record_batches))
        return file.schema.names, _checked(batches)
    reader = pyarrow.ipc.open_stream(stream)
    return reader.schema.names, _checked(reader)


def _checked(batches: Iterable[Any]) -> Iterator[Any]:
    """Yield batches whose places are all inside of them; IPC looks at none itself."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _read(
    name: str,
    opened: Callable[[BufferedReader, ModuleType], Table],
    stream: BufferedReader,
    settings: FeedSettings,
    wanted: RowOptions,
) -> Iterator[Row]:
    """Yield the rows of a table; where it cannot be read on is one bad row."""
    try:
        import pyarrow
    except ImportError as error:
        raise FeedError(
            f"{name} needs pyarrow; run: pip install 'sleepcycle[parquet]'"
        ) from error
    if not stream.seekable():
        raise FeedError(f"expected {name} as an uncompressed file, got a stream")
    number = 0
    try:
        names, batches = opened(stream, pyarrow)
        check_columns(names, wanted)
        for value in _values(batches):
            number += 1
            yield _row(number, value, settings)
    except (pyarrow.ArrowException, *DAMAGED) as error:
        reason = " ".join(str(error).split()) or "sizes that do not fit into memory"
        if number == 0:
            raise FeedError(f"expected {name}, got: {reason}") from error
        fault = RowError("E_STREAM", f"the file cannot be read on from here: {reason}")
        yield Row(number + 1, 0, 0, b"", fault=fault)


def _values(batches: Iterable[Any]) -> Iterator[Any]:
    """Yield each row of record batches, or what is wrong with it."""
    for batch in batches:
        for start in range(0, batch.num_rows, ROWS_AT_ONCE):
            yield from _rows_of(batch.slice(start, ROWS_AT_ONCE))


def _rows_of(part: Any) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
    """Yield each row of a record batch, or what is wrong with it."""
    try:
        rows = part.to_pylist()
        yield from map(_plain, rows) if "map<" in str(part.schema) else rows
    except (ValueError, OverflowError) as error:  # text in no UTF-8, a date too late
        if part.num_rows == 1:
            yield error
            return
        for number in range(part.num_rows):
            yield from _rows_of(part.slice(number, 1))


def _plain(value: Any) -> Any:  # noqa: ANN401 - as above
    """Return a value with objects for its maps, which pyarrow gives as pairs."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if not isinstance(value, list):
        return value
    if value and all(isinstance(pair, tuple) for pair in value):
        return {str(key): _plain(inner) for key, inner in value}
    return [_plain(inner) for inner in value]


def _row(number: int, value: object, settings: FeedSettings) -> Row:
    """Build a row, whose raw form is the JSON it would have been.

    Of one that has text in no UTF-8, that text is the raw form.
    """
    if isinstance(value, UnicodeDecodeError):
        message = f"expected UTF-8, got byte {value.object[value.start]:#04x}"
        raw = value.object[: settings.max_row_bytes]
        fault = RowError("E_UTF8", message)
        return Row(number, 0, len(value.object), raw, fault=fault)
    if isinstance(value, Exception):
        message = f"expected values that Python can hold, got: {value!s:.80}"
        return Row(number, 0, 0, b"", fault=RowError("E_SHAPE", message))
    return row_of(number, value, settings)
