"""One hash over many rows, by which it shows later whether any was changed."""

import hashlib
from collections.abc import Iterable, Sequence

BAD_ROW = ("file", "line", "offset", "code", "message", "raw", "size_bytes")
"""Columns of a bad row that are hashed, in this order."""


def sha256_of(rows: Iterable[Sequence[int | str | bytes]]) -> str:
    """Return a hash of rows in their order, as hex; of no rows, that of no bytes."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(ascii(tuple(row)).encode())  # the same in every Python
    return digest.hexdigest()
