"""A file of plain text or Markdown: one document, which is one row."""

import json
from collections.abc import Iterator
from io import BufferedReader

from sleepcycle.errors import RowError
from sleepcycle.feed.jsonl import PIECE_BYTES
from sleepcycle.feed.rows import BOM, Row, check_size
from sleepcycle.settings.config import FeedSettings


def read_document(stream: BufferedReader, settings: FeedSettings) -> Iterator[Row]:
    """Yield the whole text as one row; a blank file has none.

    Lines end as they do in a text of JSON, whatever system wrote them.
    """
    data = stream.read(settings.max_row_bytes + 1)
    size = len(data)
    while piece := stream.read(PIECE_BYTES):
        size += len(piece)
    if not data.removeprefix(BOM).strip():
        return
    row = Row(1, 0, size, data)
    try:
        check_size(size, settings)
        text = data.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        message = f"expected UTF-8, got byte {data[error.start]:#04x} at {error.start}"
        row.fault = RowError("E_UTF8", message)
    except RowError as fault:
        message = f"{fault}; split the document, or raise feed.max_row_bytes"
        row.fault = RowError(fault.code, message)
    else:
        row.value = {"text": text.replace("\r\n", "\n").strip("\n")}
        row.raw = json.dumps(row.value, ensure_ascii=False).encode()
    yield row
