"""The archive of a backup: one tar file with a hash of every other byte in it.

Its last member is a manifest with the size and SHA-256 of all others, so a file that
was cut short has none. Only names that a backup has are taken out of it.
"""

import gzip
import hashlib
import io
import os
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol, cast

from sleepcycle.errors import BackupError, DiskError
from sleepcycle.files import disk
from sleepcycle.records.codec import from_json, to_json

MANIFEST = "backup.json"
FORMAT = 1
CHUNK_BYTES = 1 << 20
MAX_MANIFEST_BYTES = 1 << 26
GZIP = b"\x1f\x8b"
NAME = re.compile(
    r"sleepcycle\.db|config\.toml|journal\.head|"
    r"versions/v\d{4,9}-[0-9a-f]{12}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup is of, and every file in it."""

    format: int
    sleepcycle: str
    """Version of the package that made it."""

    created_at: datetime
    versions: int
    """How many have their files in it."""

    examples: int
    files: Mapping[str, Entry]


class _Readable(Protocol):
    """What can be read in parts."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


class _Hashed:
    """Reads a file and hashes what it read."""

    def __init__(self, source: _Readable) -> None:
        self._source = source
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int = CHUNK_BYTES, /) -> bytes:
        """Return up to `size` bytes."""
        data = self._source.read(size)
        self._digest.update(data)
        self.size_bytes += len(data)
        return data

    @property
    def entry(self) -> Entry:
        """What was read so far."""
        return Entry(self.size_bytes, self._digest.hexdigest())


class _Bounded:
    """An archive's file, of which no part is read at once that is larger than a chunk.

    `tarfile` takes a long name, or any header of another kind, into memory whole.
    """

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.seek, self.tell = source.seek, source.tell

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes.

        Raises:
            tarfile.TarError: They are more than a chunk.
        """
        if not 0 <= size <= CHUNK_BYTES:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._source.read(size)


def pack(target: Path, files: Mapping[str, Path], about: Contents) -> Contents:
    """Write an archive, compressed if its name ends in `.gz` or `.tgz`.

    It is flushed to the disk, and closed to other users.

    Args:
        target: A new file.
        files: Where each member comes from, by its name.
        about: All but the files.

    Returns:
        The contents with their files, as the manifest has them.
    """
    entries: dict[str, Entry] = {}
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file, _written(file, target) as tar:
        for name, source in files.items():
            with source.open("rb") as opened:
                reader = _Hashed(opened)
                size = os.fstat(opened.fileno()).st_size
                tar.addfile(_header(name, size, about), reader)
            entries[name] = reader.entry
        contents = Contents(
            FORMAT,
            about.sleepcycle,
            about.created_at,
            about.versions,
            about.examples,
            entries,
        )
        text = to_json(contents).encode()
        tar.addfile(_header(MANIFEST, len(text), about), io.BytesIO(text))
    disk.sync(target)
    return contents


def unpack(file: Path, folder: Path | None) -> Contents:
    """Read a whole archive, check all of it, and take its files out.

    Args:
        file: The archive.
        folder: An empty folder that gets the files; None to check them alone. What was
            taken out before a fault was found stays there.

    Returns:
        What its manifest says, which every byte agrees with.

    Raises:
        BackupError: It is no backup, or is not whole.
    """
    with _translated(file), _opened(file) as tar:
        found, manifest = _read(file, tar, folder)
    contents = _parsed(file, manifest)
    for name in sorted(found.keys() | contents.files.keys()):
        if found.get(name) != contents.files.get(name):
            raise _unwhole(file, f"{name} is not what {MANIFEST} says")
    return contents


def hash_file(file: Path) -> Entry:
    """Return the size and hash of a file."""
    with file.open("rb") as opened:
        reader = _Hashed(opened)
        while reader.read():
            pass
    return reader.entry


@contextmanager
def _written(file: IO[bytes], target: Path) -> Iterator[tarfile.TarFile]:
    """Write a tar file into an open one, in the form that its name asks for."""
    if target.name.removesuffix(".partial").endswith((".gz", ".tgz")):
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
            yield tar
    else:
        with tarfile.open(fileobj=file, mode="w") as tar:
            yield tar


def _header(name: str, size: int, about: Contents) -> tarfile.TarInfo:
    """Return the header of a member, without who made it."""
    header = tarfile.TarInfo(name)
    header.size = size
    header.mode = 0o600
    header.mtime = int(about.created_at.timestamp())
    return header


@contextmanager
def _translated(file: Path) -> Iterator[None]:
    """Turn what reading an archive raises into a `BackupError`."""
    try:
        yield
    except (BackupError, DiskError):
        raise
    except (
        *(tarfile.TarError, OSError, EOFError, zlib.error),
        *(ValueError, LookupError, OverflowError, MemoryError, struct.error),
        RecursionError,  # of headers of headers
    ) as error:
        reason = getattr(error, "strerror", None) or str(error) or repr(error)
        raise _unwhole(file, f"it cannot be read: {reason}") from error


def _read(
    file: Path, tar: tarfile.TarFile, folder: Path | None
) -> tuple[dict[str, Entry], bytes]:
    """Read every member, and return what was found and the manifest's text."""
    found: dict[str, Entry] = {}
    manifest: bytes | None = None
    for member in tar:
        reader = _plain(file, tar, member)
        if tar.pax_headers:  # they would add up
            raise _unwhole(file, "it has a header for all of its members")
        if manifest is not None:
            raise _unwhole(file, f"{member.name!r} comes after {MANIFEST}")
        if member.name == MANIFEST:
            manifest = _small(file, member, reader)
        elif not NAME.fullmatch(member.name) or member.name in found:
            raise _unwhole(file, f"{member.name!r} is no file of a backup")
        else:
            found[member.name] = _take(file, member, reader, folder)
    if manifest is None:
        raise _unwhole(file, f"{MANIFEST}, which comes last, is missing")
    return found, manifest


def _plain(file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """Open a member that is a plain file; links, folders and devices are refused."""
    plain = member.type in {tarfile.REGTYPE, tarfile.AREGTYPE}
    reader = tar.extractfile(member) if plain else None
    if reader is None or member.issparse():
        raise _unwhole(file, f"{member.name!r} is not a plain file")
    return reader


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive, compressed or not; no other compression is tried."""
    with ExitStack() as stack:
        opened: IO[bytes] = stack.enter_context(file.open("rb"))
        packed = opened.read(2) == GZIP
        opened.seek(0)
        if packed:
            unpacked = gzip.GzipFile(fileobj=opened)
            opened = cast(IO[bytes], stack.enter_context(unpacked))
        bounded = cast(IO[bytes], _Bounded(opened))
        yield stack.enter_context(tarfile.open(fileobj=bounded, mode="r:"))


def _take(
    file: Path, member: tarfile.TarInfo, reader: IO[bytes], folder: Path | None
) -> Entry:
    """Read one member, and write it into a folder if there is one."""
    hashed = _Hashed(reader)
    if folder is None:
        while hashed.read():
            pass
        return hashed.entry
    if member.size > disk.free_bytes(folder):
        raise BackupError(
            f"expected room for {member.name} of {file}, which is {member.size:,} "
            f"bytes, but {folder} has less; {disk.FREE}"
        )
    target = folder / member.name
    disk.make(target.parent)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        while data := hashed.read():
            _write(out, data, target)
    disk.sync(target)
    disk.sync(target.parent)
    return hashed.entry


def _write(out: IO[bytes], data: bytes, target: Path) -> None:
    """Write a part of a file; that this fails is no fault of the archive."""
    try:
        out.write(data)
        out.flush()
    except OSError as error:
        failed = DiskError(
            f"expected to write {target}, got: {error.strerror}; {disk.FREE}"
        )
        failed.errno = error.errno
        raise failed from error


def _small(file: Path, member: tarfile.TarInfo, reader: IO[bytes]) -> bytes:
    """Read the manifest, which is never large."""
    if member.size > MAX_MANIFEST_BYTES:
        raise _unwhole(file, f"{MANIFEST} is {member.size:,} bytes long")
    parts = iter(lambda: reader.read(CHUNK_BYTES), b"")
    return b"".join(parts)


def _parsed(file: Path, text: bytes) -> Contents:
    """Read the manifest's text."""
    try:
        contents = from_json(text.decode(), Contents)
    except (ValueError, RecursionError, TypeError) as error:
        first = str(error).splitlines()[0]
        raise _unwhole(file, f"{MANIFEST} cannot be read: {first}") from error
    if contents.format != FORMAT:
        raise BackupError(
            f"expected {file} to have format {FORMAT}, got {contents.format}; install "
            f"the sleepcycle that wrote it, which was {contents.sleepcycle}"
        )
    return contents


def _unwhole(file: Path, fault: str) -> BackupError:
    """Return the error for a file that is not a whole backup."""
    return BackupError(
        f"expected a whole backup in {file}, but {fault}; take another one"
    )
