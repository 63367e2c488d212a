"""The file layer: what is written to last goes through here, and lasts or fails.

A failed flush is never tried again: the system may have dropped what it could not
write (PostgreSQL's fsyncgate, 2018), so a second one that succeeds would be a lie.
"""

import os
from pathlib import Path

from sleepcycle.errors import DiskError


def write(path: Path, text: str) -> None:
    """Write a file so that readers, and a crash, find all of it or what was before.

    Raises:
        DiskError: The disk could not keep it.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    sync(partial)
    move(partial, path)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder, in place of a file that is there; durable on return.

    Raises:
        DiskError: The disk could not keep it.
    """
    source.rename(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk.

    Raises:
        DiskError: The disk could not keep it; stop, and never try again.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        raise DiskError(
            f"{path} could not be flushed to the disk: {error}; check the disk before "
            "anything else"
        ) from error
    finally:
        os.close(handle)
