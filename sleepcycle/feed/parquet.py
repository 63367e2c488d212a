"""Parquet, through pyarrow, which is an extra."""

import json
from collections.abc import Iterator
from io import BufferedIOBase
from typing import Any

from sleepcycle.errors import FeedError, RowError
from sleepcycle.feed.rows import Row, check_size
from sleepcycle.settings.config import FeedSettings

ROWS_AT_ONCE = 256
COLUMNS = {
    "messages", "conversations", "prompt", "completion", "instruction", "input",
    "output", "system", "history", "text",
}  # fmt: skip


def read_parquet(stream: BufferedIOBase, settings: FeedSettings) -> Iterator[Row]:
    """Yield the rows of a Parquet file, with the columns that a shape may need.

    Memory is that of one column of one row group.

    Raises:
        FeedError: pyarrow is missing, the stream cannot seek, or it is not Parquet.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise FeedError(
            "Parquet needs pyarrow; run: pip install 'sleepcycle[parquet]'"
        ) from error
    if not stream.seekable():
        raise FeedError("expected Parquet as an uncompressed file, got a stream")
    number = 0
    try:
        file = parquet.ParquetFile(stream)
        names = [name for name in file.schema_arrow.names if name in COLUMNS]
        for part in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=names):
            for value in _values(part):
                number += 1
                yield _row(number, value, settings)
    except (pyarrow.ArrowException, OSError) as error:
        if number == 0:
            raise FeedError(f"expected Parquet, got: {error}") from error
        fault = RowError("E_STREAM", f"the file cannot be read on from here: {error}")
        yield Row(number + 1, 0, 0, b"", fault=fault)


def _values(part: Any) -> Iterator[Any]:  # noqa: ANN401 - pyarrow has no types
    """Yield each row of a record batch, or what is wrong with its text."""
    try:
        yield from part.to_pylist()
    except UnicodeDecodeError as error:
        if part.num_rows == 1:
            yield error
            return
        for number in range(part.num_rows):
            yield from _values(part.slice(number, 1))


def _row(number: int, value: object, settings: FeedSettings) -> Row:
    """Build a row, whose raw form is the JSON it would have been.

    Of one that has text in no UTF-8, that text is the raw form.
    """
    if isinstance(value, UnicodeDecodeError):
        message = f"expected UTF-8, got byte {value.object[value.start]:#04x}"
        raw = value.object[: settings.max_row_bytes]
        fault = RowError("E_UTF8", message)
        return Row(number, 0, len(value.object), raw, fault=fault)
    raw = json.dumps(value, default=str).encode()
    row = Row(number, 0, len(raw), raw, value)
    try:
        check_size(len(raw), settings)
    except RowError as fault:
        row.fault = fault
    return row
