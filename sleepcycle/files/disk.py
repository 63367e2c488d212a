"""The file layer: what is written to last goes through here, and lasts or fails.

A failed flush is never tried again: the system may have dropped what it could not
write (PostgreSQL's fsyncgate, 2018), so a second one that succeeds would be a lie.
"""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sleepcycle.errors import DiskError, SleepcycleError

CHUNK_BYTES = 1 << 20
PROBE_BYTES = 1 << 16
FREE = "free some space, such as with: sleepcycle versions gc"
OWNER = "check its owner and its mode"
ADVICE = {
    errno.ENOSPC: FREE,
    errno.EDQUOT: f"your quota is used up; {FREE}",
    errno.EROFS: "mount it for writing, or name a home elsewhere with --home",
    errno.EMFILE: "let the process open more files: ulimit -n",
    errno.ENFILE: "let the machine open more files: sysctl fs.file-max",
    errno.EACCES: OWNER,
    errno.EPERM: OWNER,
}
MISTRUST = "check the disk before anything else"
SCARCE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT}
"""The machine has run out of something; no file is to blame."""

PASSING = SCARCE | {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTEMPTY}
"""The disk refused, yet lost nothing, so that it can be asked again."""


class System:
    """The calls that this layer is made of; tests put others in their place."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file or a folder; a new file is closed to other users."""
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def write(self, handle: int, data: bytes | memoryview) -> int:
        """Write some of the data, and return how much."""
        return os.write(handle, data)

    def fsync(self, handle: int) -> None:
        """Flush an open file or folder."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        """Close what was opened."""
        os.close(handle)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or folder another name."""
        os.rename(source, target)

    def mkdir(self, path: Path) -> None:
        """Make a folder that is closed to other users."""
        os.mkdir(path, 0o700)

    def unlink(self, path: Path) -> None:
        """Delete a file."""
        os.unlink(path)

    def rmdir(self, path: Path) -> None:
        """Delete an empty folder."""
        os.rmdir(path)

    def free_bytes(self, path: Path) -> int:
        """Return how much can still be written where a folder lies."""
        return shutil.disk_usage(path).free


system = System()


def write(path: Path, text: str) -> None:
    """Write a file so that readers, and a crash, find all of it or what was before.

    Raises:
        DiskError: The disk could not keep it.
    """
    write_lines(path, [text])


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write pieces of text as `write` does, few of them in memory at a time.

    Raises:
        DiskError: The disk could not keep it.
    """
    _write(path, _chunks(lines))


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes as `write` does text.

    The study alone calls it; it stands here, so that there is one way to a file.

    Raises:
        DiskError: The disk could not keep it.
    """
    _write(path, [data])


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    The study alone calls it; it stands here, so that there is one way to a file.

    Raises:
        DiskError: It cannot be read.
    """
    with translated("read", path):
        return path.read_bytes()


def open_log(path: Path, *, anew: bool = False) -> IO[bytes]:
    """Open a file to be added to; what is added is not flushed to the disk.

    Args:
        path: A file, which need not be there.
        anew: Empty it first.

    Raises:
        DiskError: It cannot be opened.
    """
    with translated("open", path):
        return path.open("wb" if anew else "ab")


def copy(source: Path, target: Path) -> None:
    """Write the bytes of one file to another, as `write` does.

    The study alone calls it; it stands here, so that there is one way to a file.

    Raises:
        DiskError: The source cannot be read, or the disk could not keep it.
    """
    with translated("read", source), source.open("rb") as file:
        _write(target, iter(lambda: file.read(CHUNK_BYTES), b""))


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file that is whole or not there.

    Nothing is left of a file that failed, so that a full disk gets its room back.
    """
    partial = partial_of(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    try:
        with translated("write", partial), _opened(partial, flags) as handle:
            for chunk in chunks:
                _write_all(handle, chunk)
            _flush(handle, partial)
    except BaseException:
        with suppress(OSError):
            system.unlink(partial)
        raise
    move(partial, path)


def partial_of(path: Path) -> Path:
    """Return where a file is written before it is whole."""
    return path.with_name(f".{path.name}.partial")


def move(source: Path, target: Path) -> None:
    """Rename a file or folder, in place of a file that is there; durable on return.

    Raises:
        DiskError: The disk could not keep it.
    """
    with translated("move", source):
        system.rename(source, target)
    for folder in dict.fromkeys([target.parent, source.parent]):
        sync(folder)


def make(folder: Path) -> None:
    """Make a folder and those above it, where they are not there; durable on return.

    Raises:
        DiskError: The disk could not keep it.
    """
    if folder.is_dir():
        return
    make(folder.parent)
    with translated("make", folder):
        try:
            system.mkdir(folder)
        except FileExistsError:
            if not folder.is_dir():  # somebody else was faster
                raise
    sync(folder.parent)


def remove(*paths: Path) -> None:
    """Delete files, and folders with all in them; what is not there is no fault.

    Raises:
        DiskError: The disk could not do it.
    """
    there = [path for path in paths if os.path.lexists(path)]
    for path in there:
        with translated("delete", path):
            _delete(path)
    for folder in dict.fromkeys(path.parent for path in there):
        sync(folder)


def sync(path: Path) -> None:
    """Flush a file or folder to the disk.

    Raises:
        DiskError: The disk could not keep it; stop, and never try again.
    """
    with translated("open", path), _opened(path, os.O_RDONLY) as handle:
        _flush(handle, path)


def free_bytes(path: Path) -> int:
    """Return how much can still be written where a folder lies."""
    return system.free_bytes(path)


def is_full(error: DiskError) -> bool:
    """Return whether the disk only lacked space, of which it may have some later."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def is_failed(error: BaseException) -> bool:
    """Return whether an error is of a disk that failed: nothing more is written to it.

    One that only refused, as without space or permission, lost nothing. A failed flush
    is never taken for that, whatever its reason.
    """
    return isinstance(error, DiskError) and error.errno not in PASSING


def said(error: Exception) -> str:
    """Return what an error says; one of the system's own gets a sentence and advice."""
    if isinstance(error, SleepcycleError) or not isinstance(error, OSError):
        return str(error)
    what = error.filename or error.filename2
    reason = error.strerror or str(error) or type(error).__name__
    advice = ADVICE.get(error.errno or 0, "see: sleepcycle doctor")
    place = f" {os.fsdecode(what)}" if isinstance(what, str | bytes) else " a file"
    return f"expected to use{place}, got: {reason}; {advice}"


def refusal(folder: Path) -> int | None:
    """Return the system's number for why nothing can be written in a folder, if so."""
    probe = folder / f".probe-{os.getpid()}"
    try:
        with _opened(probe, os.O_CREAT | os.O_WRONLY) as handle:
            _write_all(handle, bytes(PROBE_BYTES))
    except OSError as error:
        return error.errno
    finally:
        with suppress(OSError):
            system.unlink(probe)
    return None


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file for a block."""
    handle = system.open(path, flags)
    try:
        yield handle
    finally:
        system.close(handle)


@contextmanager
def translated(verb: str, path: Path) -> Iterator[None]:
    """Turn what the system raises into a `DiskError` that says what to do about it."""
    try:
        yield
    except DiskError:
        raise
    except OSError as error:
        advice = ADVICE.get(error.errno or 0, MISTRUST)
        reason = error.strerror or str(error)
        failed = DiskError(f"expected to {verb} {path}, got: {reason}; {advice}")
        failed.errno = error.errno
        raise failed from error


def _flush(handle: int, path: Path) -> None:
    """Flush an open file or folder, once.

    Whatever the reason, what was written may be gone: a lack of room is no excuse.
    """
    try:
        system.fsync(handle)
    except OSError as error:
        reason = error.strerror or str(error)
        failed = DiskError(f"expected to flush {path}, got: {reason}; {MISTRUST}")
        failed.errno = errno.EIO
        raise failed from error


def _write_all(handle: int, data: bytes) -> None:
    """Write every byte, however few the system takes at a time."""
    left = memoryview(data)
    while left:
        left = left[system.write(handle, left) :]


def _chunks(lines: Iterable[str]) -> Iterator[bytes]:
    """Gather pieces of text into writes that are worth a call."""
    chunk = bytearray()
    for line in lines:
        chunk += line.encode()
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


def _delete(path: Path) -> None:
    """Delete a file, or a folder from its leaves up; a link is not followed."""
    if path.is_symlink() or not path.is_dir():
        system.unlink(path)
        return
    for inside in sorted(path.iterdir()):
        _delete(inside)
    system.rmdir(path)
