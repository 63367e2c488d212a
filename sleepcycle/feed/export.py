"""Write bad rows back out, to be mended and fed again."""

from itertools import chain
from typing import BinaryIO

from sleepcycle.store import batch_table, example_table
from sleepcycle.store.database import Session

_ENDS = bytes.maketrans(b"\r\n", b"  ")  # in JSON a line's end can only be white space


def export_bad(session: Session, batch: int | None, out: BinaryIO) -> tuple[int, int]:
    """Write the bad rows of a batch, or of all batches, as JSONL.

    What was accepted and then set aside comes after them, in its stored form.

    A row that was longer than `feed.preview_bytes` is cut there. A CSV record is
    written as the object it stands for, if it could be read that far.

    Returns:
        How many rows were written, and how many of them are cut.
    """
    written = cut = 0
    rows = (
        batch_table.bad_rows(session, batch),
        example_table.set_aside_rows(session, batch),
    )
    for row in chain.from_iterable(rows):
        out.write(row.raw.translate(_ENDS) + b"\n")
        written += 1
        cut += row.size_bytes > len(row.raw)
    return written, cut
