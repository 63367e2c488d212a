"""Bytes that come in piece by piece, in a file of the home that is not whole yet."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from sleepcycle.errors import DiskError
from sleepcycle.files import disk

PREFIX = ".arriving-"


class ArrivingFile:
    """A file that takes what comes; `close` deletes it, unless it was kept."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self._file = path, file
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Take some more.

        Raises:
            DiskError: The disk could not keep it.
        """
        with disk.translated("write", self.path):
            self._file.write(data)
        self._hash.update(data)
        self.size += len(data)

    @property
    def digest(self) -> bytes:
        """The SHA-256 of all that came."""
        return self._hash.digest()

    @contextmanager
    def reader(self, name: str) -> Iterator[BinaryIO]:
        """Open what came, under the name that it is to be known by."""
        with disk.translated("read", self.path):
            self._file.flush()
            file = self.path.open("rb", buffering=0)
        with file:
            file.name = name
            yield cast("BinaryIO", file)  # read through a buffer of its own

    def flush(self) -> None:
        """Bring all that came to the disk.

        One that is full is told as such here too: who sent it is refused, so that
        nothing is lost that anybody counts on.

        Raises:
            DiskError: The disk could not keep it.
        """
        with disk.translated("write", self.path):
            self._file.flush()
            disk.system.fsync(self._file.fileno())

    def keep(self, path: Path) -> None:
        """Give what came its place; it is there after a crash too.

        Raises:
            DiskError: The disk could not keep it.
        """
        self.flush()
        disk.move(self.path, path)

    def close(self) -> None:
        """Let go of it; what was not kept is deleted."""
        with suppress(OSError):  # of what could not be written, and is not wanted
            self._file.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def arriving(folder: Path) -> ArrivingFile:
    """Return a new file in a folder, which is made where it is missing.

    Raises:
        DiskError: The disk could not keep it.
    """
    disk.make(folder)
    path = folder / f"{PREFIX}{secrets.token_hex(8)}"
    with disk.translated("open", path):
        handle = disk.system.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    return ArrivingFile(path, os.fdopen(handle, "wb"))


def forget_arriving(folder: Path) -> None:
    """Delete what a process that was killed had begun to take in.

    What cannot be deleted stays, and is hidden.
    """
    for path in folder.glob(f"{PREFIX}*"):
        with suppress(DiskError):
            disk.remove(path)
