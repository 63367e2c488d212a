"""Files that others made: opened only where they are plain, and no larger than told."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path, *, most_bytes: int) -> BinaryIO:
    """Open a plain file for reading; a link to one is one.

    A pipe is not waited for, and a device never read.

    Raises:
        OSError: It is missing, no plain file, or larger than that.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _expect_plain(path.name, os.fstat(number), most_bytes)
    except OSError:
        os.close(number)
        raise
    return os.fdopen(number, "rb")


def read_plain(path: Path, *, most_bytes: int) -> str:
    """Return the text of a plain file.

    Raises:
        OSError: It is missing, no plain file, or larger than that.
        UnicodeDecodeError: It is not in UTF-8.
    """
    with open_plain(path, most_bytes=most_bytes) as file:
        return file.read(most_bytes).decode("utf-8")


def _expect_plain(name: str, found: os.stat_result, most_bytes: int) -> None:
    """Refuse what is no plain file, or too large a one."""
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{name} is no plain file")
    if found.st_size > most_bytes:
        raise OSError(
            f"{name} of {found.st_size} bytes, where at most {most_bytes} are read"
        )
