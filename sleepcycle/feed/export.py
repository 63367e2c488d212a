"""Write bad rows back out, to be mended and fed again."""

from typing import BinaryIO

from sleepcycle.store import batch_table
from sleepcycle.store.database import Session

_ENDS = bytes.maketrans(b"\r\n", b"  ")  # in JSON a line's end can only be white space


def export_bad(session: Session, batch: int | None, out: BinaryIO) -> int:
    """Write the bad rows of a batch, or of all batches, as JSONL.

    A row that was longer than `feed.preview_bytes` is cut there. A CSV record is
    written as the object it stands for, if it could be read that far.

    Returns:
        How many rows were written.
    """
    written = 0
    for row in batch_table.bad_rows(session, batch):
        out.write(row.raw.translate(_ENDS) + b"\n")
        written += 1
    return written
