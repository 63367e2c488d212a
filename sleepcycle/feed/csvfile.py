"""CSV and TSV with a header, record by record, in bounded memory."""

import csv
import json
from collections.abc import Iterator
from io import BufferedIOBase

from sleepcycle.errors import FeedError, RowError
from sleepcycle.feed.jsonl import read_lines
from sleepcycle.feed.rows import Row, check_size
from sleepcycle.feed.shapes import KEYS, Format, shape_of
from sleepcycle.settings.config import FeedSettings


def read_csv(
    stream: BufferedIOBase,
    settings: FeedSettings,
    delimiter: str,
    shape: Format | None,
) -> Iterator[Row]:
    """Yield the records after the header, each as an object of texts.

    A record that is broken ends where its last line ends; the next one is read as
    if nothing had been.

    Raises:
        FeedError: The header does not name the columns of any shape, or names one
            twice.
    """
    # the limit is the process's own, and only ever raised: `_Lines` bounds a record
    csv.field_size_limit(max(csv.field_size_limit(), settings.max_row_bytes))
    lines = _Lines(stream, settings)
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    while (row := _next(lines, records)) is not None:
        if header is None:
            header = _header(row, shape)
        elif row.fault or row.value:  # a blank line has no fields
            yield _named(row, header)


class _Lines:
    """The text lines of a stream, and the record that they are being read into."""

    def __init__(self, stream: BufferedIOBase, settings: FeedSettings) -> None:
        self._lines = read_lines(stream, settings.max_row_bytes)
        self._settings = settings
        self.record: Row | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line; a fault of its ends the record."""
        line = next(self._lines)
        if self.record is None:
            self.record = line
        else:
            self.record.size = line.offset + line.size - self.record.offset
            self.record.raw += b"\n" + line.raw
        check_size(self.record.size, self._settings)
        try:
            return line.raw.decode() + "\n"
        except UnicodeDecodeError as error:
            message = f"expected UTF-8, got byte {line.raw[error.start]:#04x}"
            raise RowError("E_UTF8", message) from error


def _next(lines: _Lines, records: Iterator[list[str]]) -> Row | None:
    """Return the next record with its fields or its fault; None at the end."""
    lines.record = None
    fields: list[str] = []
    fault = None
    try:
        fields = next(records)
    except StopIteration:
        return None
    except csv.Error as error:
        fault = RowError("E_CSV", f"expected a CSV record, got: {error}")
    except RowError as error:
        fault = error
    if lines.record is None:  # strict: a quote left open at the very end
        return None
    lines.record.value, lines.record.fault = fields, fault
    return lines.record


def _header(row: Row, shape: Format | None) -> list[str]:
    """Check the first record."""
    if row.fault:
        raise FeedError(f"header: {row.fault}") from row.fault
    names = [name.strip() for name in row.value]
    columns = ", ".join(names)
    if len(set(names)) != len(names):
        raise FeedError(f"expected each column once, got: {columns:.200}")
    wanted = shape or shape_of(dict.fromkeys(names))
    if wanted is None or not KEYS[wanted] <= set(names):
        known = ", or ".join(" and ".join(sorted(keys)) for keys in KEYS.values())
        raise FeedError(f"expected columns {known}, got: {columns:.200}")
    return names


def _named(row: Row, header: list[str]) -> Row:
    """Turn a record's fields into an object with the header's names."""
    if row.fault is None and len(row.value) != len(header):
        row.fault = RowError(
            "E_CSV", f"expected {len(header)} fields, got {len(row.value)}"
        )
    if row.fault is None:
        row.value = dict(zip(header, row.value, strict=True))
        row.raw = json.dumps(row.value, ensure_ascii=False).encode()
        row.size = len(row.raw)
    return row
