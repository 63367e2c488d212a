"""CSV and TSV with a header, record by record, in bounded memory."""

import csv
import json
from collections.abc import Iterator
from io import BufferedReader

from sleepcycle.errors import FeedError, RowError
from sleepcycle.feed.beginning import HEAD_BYTES, Beginning
from sleepcycle.feed.delimiter import delimiter_of, said_delimiter
from sleepcycle.feed.header import check_columns
from sleepcycle.feed.jsonl import read_lines
from sleepcycle.feed.rows import Row, check_size
from sleepcycle.feed.shapes import RowOptions
from sleepcycle.settings.config import FeedSettings


def read_csv(
    stream: BufferedReader, settings: FeedSettings, wanted: RowOptions
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
    first, _ = Beginning("", stream.peek(HEAD_BYTES)).lines
    said = said_delimiter(first)
    lines = _Lines(stream, settings)
    if said:
        next(lines)
    delimiter = said or delimiter_of(first, wanted)
    records = csv.reader(lines, delimiter=delimiter, strict=True)
    yield from _named(iter(lambda: _next(lines, records), None), wanted)


def read_tsv(
    stream: BufferedReader, settings: FeedSettings, wanted: RowOptions
) -> Iterator[Row]:
    """Yield the lines after the header, each as an object of texts.

    A tab divides, a line's end ends, and a quote is a sign like any other.

    Raises:
        FeedError: As `read_csv`.
    """
    yield from _named(_divided(stream, settings), wanted)


class _Lines:
    """The text lines of a stream, and the record that they are being read into."""

    def __init__(self, stream: BufferedReader, settings: FeedSettings) -> None:
        self._lines = read_lines(stream, settings.max_row_bytes)
        self._settings = settings
        self._parts: list[bytes] = []
        self._record: Row | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line, or in a quoted field all up to the next quote.

        A fault of it ends the record.
        """
        begun = len(self._parts)
        if begun:
            self._take_quoted()
        else:
            self._take()
        if self._record:
            check_size(self._record.size, self._settings)
        return b"\n".join(self._parts[begun:]).decode() + "\n"

    def take_record(self) -> Row | None:
        """Return what was read since the last time; None if that is nothing."""
        record = self._record
        if record:
            record.raw = b"\n".join(self._parts)
        self._parts, self._record = [], None
        return record

    def _take_quoted(self) -> None:
        """Read on in a quoted field, in as few steps as may be."""
        begun = len(self._parts)
        while self._record and self._record.size <= self._settings.max_row_bytes:
            room = self._settings.max_row_bytes - self._record.size
            if lines := self._lines.take_before(b'"', room):
                self._parts.append(lines.replace(b"\r\n", b"\n")[:-1])
                self._record.size = self._lines.offset - self._record.offset
                continue
            try:
                self._take()
            except StopIteration:
                if len(self._parts) == begun:
                    raise
                return
            if b'"' in self._parts[-1]:
                return

    def _take(self) -> None:
        """Read a line into the record; between two records blank lines are none."""
        line = next(self._lines)
        while self._record is None and (not line.raw or line.raw.isspace()):
            self._lines.skip_blank()
            line = next(self._lines)
        self._parts.append(line.raw)
        if self._record is None:
            self._record = line
        else:
            self._record.size = line.offset + line.size - self._record.offset


def _next(lines: _Lines, records: Iterator[list[str]]) -> Row | None:
    """Return the next record with its fields or its fault; None at the end."""
    lines.take_record()
    fields: list[str] = []
    fault = None
    try:
        fields = next(records)
    except StopIteration:
        return None
    except csv.Error as error:
        fault = RowError("E_CSV", f"expected a CSV record, got: {error}")
    except UnicodeDecodeError as error:
        fault = _no_utf8(error)
    except RowError as error:
        fault = error
    record = lines.take_record()
    if record is not None:  # else a quote was left open at the very end
        record.value, record.fault = fields, fault
    return record


def _divided(stream: BufferedReader, settings: FeedSettings) -> Iterator[Row]:
    """Yield each line that is not blank, with its fields or its fault."""
    lines = read_lines(stream, settings.max_row_bytes)
    for row in lines:
        if not row.raw or row.raw.isspace():
            lines.skip_blank()
            continue
        try:
            check_size(row.size, settings)
            row.value = row.raw.decode().split("\t")
        except UnicodeDecodeError as error:
            row.fault = _no_utf8(error)
        except RowError as fault:
            row.fault = fault
        yield row


def _no_utf8(error: UnicodeDecodeError) -> RowError:
    """Return the fault of bytes that are no text."""
    byte = error.object[error.start]
    message = f"expected UTF-8, got byte {byte:#04x}; save the table as UTF-8"
    return RowError("E_UTF8", message)


def _named(records: Iterator[Row], wanted: RowOptions) -> Iterator[Row]:
    """Turn the fields of each record into an object with the header's names."""
    first = next(records, None)
    if first is None:
        return
    if first.fault:
        raise FeedError(f"header: {first.fault}") from first.fault
    names = [name.strip() for name in first.value]
    check_columns([name for name in names if name], wanted)
    for row in records:
        if row.fault is None:
            if len(row.value) > 1 and not any(row.value):
                continue  # a blank line of a sheet
            _name(row, names)
        yield row


def _name(row: Row, names: list[str]) -> None:
    """Turn the fields of a record into an object, or find its fault.

    A column without a name is left out: the first is an index, others are empty.
    """
    fields = row.value
    while len(fields) > len(names) and not fields[-1]:
        fields.pop()
    if len(fields) != len(names):
        message = f"expected {len(names)} fields, got {len(fields)}"
        row.fault = RowError("E_CSV", message)
        return
    pairs = list(zip(names, fields, strict=True))
    if any(field and not name for name, field in pairs[1:]):
        row.fault = RowError("E_CSV", "expected nothing in a column without a name")
        return
    row.value = {name: field for name, field in pairs if name}
    row.raw = json.dumps(row.value, ensure_ascii=False).encode()
    row.size = len(row.raw)
