"""A JSON object that holds a whole file: one list of rows, or columns."""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from io import BufferedReader, BytesIO
from typing import Any

from sleepcycle.errors import FeedError, RowError
from sleepcycle.feed.array import read_array, read_objects
from sleepcycle.feed.beginning import HEAD_BYTES, Beginning, is_spread, list_at
from sleepcycle.feed.jsonl import read_jsonl
from sleepcycle.feed.keys import Fields
from sleepcycle.feed.plain_values import named_bytes, plain_value
from sleepcycle.feed.rows import Row, check_size, parse_json
from sleepcycle.feed.shapes import RowOptions
from sleepcycle.settings.config import FeedSettings

WHOLE_BYTES = 32 << 20
"""Largest file of columns: its first row is known only once all of it is read."""


def read_wrapped(
    stream: BufferedReader, settings: FeedSettings, options: RowOptions
) -> Iterator[Row]:
    """Yield the elements of the one list that an object holds, as `{"data": […]}`.

    Raises:
        FeedError: A key beside the list may change what the rows mean.
    """
    found = Beginning("", stream.peek(HEAD_BYTES))
    place = list_at(found) or 0
    expect_harmless(json.loads(found.text[:place] + "null}"), options.ignored)
    offset = found.offset_of(place)
    stream.read(offset)
    wrong = partial(_wrong_rest, options.ignored)
    yield from read_array(stream, settings, offset, wrong)


def expect_harmless(beside: Mapping[str, Any], ignored: frozenset[str]) -> None:
    """Refuse what stands beside a list of rows, and may change what they mean.

    Raises:
        FeedError: A key does.
    """
    fields = Fields(beside, ignored, "beside the list of rows: ")
    try:
        fields.expect_harmless()
    except RowError as error:
        raise FeedError(str(error)) from error


def _wrong_rest(ignored: frozenset[str], rest: bytes) -> str | None:
    """Return what is wrong with what stands in an object behind its list of rows."""
    try:
        more = json.loads(b"{" + rest.removeprefix(b","))
    except (ValueError, RecursionError):
        return "expected } after the list of rows, got something else"
    lists = [key for key, value in more.items() if isinstance(value, list | dict)]
    if lists:
        return f"expected one list of rows, got another in {', '.join(lists):.80}"
    expect_harmless(more, ignored)
    return None


def read_columns(stream: BufferedReader, settings: FeedSettings) -> Iterator[Row]:
    """Yield the rows of an object with a mapping or a list for each column.

    So pandas' `to_json` writes a table, and `Dataset.to_dict`. What is none after all
    is read as objects over many lines, or as JSONL.

    Raises:
        FeedError: The file is too big to be read whole.
    """
    data = stream.read(WHOLE_BYTES + 1)
    if len(data) > WHOLE_BYTES:
        raise FeedError(
            f"expected at most {WHOLE_BYTES} bytes of JSON in columns, got more; "
            "write it as JSONL, with pandas: to_json(orient='records', lines=True)"
        )
    columns = _columns(data, settings)
    if columns is None:
        found = Beginning("", data[:HEAD_BYTES])
        read = read_objects if is_spread(found) else read_jsonl
        yield from read(BufferedReader(BytesIO(data)), settings)
        return
    for number, cells in enumerate(zip(*columns.values(), strict=True), 1):
        yield row_of(number, dict(zip(columns, cells, strict=True)), settings)


def row_of(number: int, value: object, settings: FeedSettings) -> Row:
    """Build a row that has no place of its own; JSON is its raw form."""
    row = Row(number, 0, 0, b"")
    try:
        row.value = plain_value(value)
    except RowError as fault:
        row.fault = fault
    raw = json.dumps(row.value, ensure_ascii=False, default=named_bytes)
    row.raw = raw.encode(errors="replace")
    row.size = len(row.raw)
    try:
        check_size(row.size, settings)
    except RowError as fault:
        row.fault = fault
    return row


def _columns(data: bytes, settings: FeedSettings) -> dict[str, list[Any]] | None:
    """Return the cells of each column, if that is what the file holds."""
    try:
        table = parse_json(data, settings.max_depth)
    except RowError:
        return None
    columns = list(table.values()) if isinstance(table, dict) else []
    if all(isinstance(column, list) for column in columns):
        is_even = len({len(column) for column in columns}) == 1
        return table if is_even else None
    if not all(isinstance(column, Mapping) for column in columns):
        return None
    index = columns[0].keys()
    if any(column.keys() != index for column in columns):
        return None
    return {name: [column[i] for i in index] for name, column in table.items()}
