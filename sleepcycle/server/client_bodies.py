"""Bodies that a client sends from the disk, a part at a time."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sleepcycle.errors import FeedError

CHUNK = 2**18  # bytes read at once
FILE = "file"
ESCAPES = {ord('"'): "%22", ord("\r"): "%0D", ord("\n"): "%0A"}  # as browsers do


@dataclass(frozen=True)
class SentFile:
    """A file that is open, to be sent."""

    stream: BinaryIO
    name: str
    """What the service calls it; empty where that is not known."""

    size_bytes: int | None = None
    """None for a stream, of which it is not known."""

    def chunks(self) -> Iterator[bytes]:
        """Yield all of it.

        Raises:
            FeedError: It cannot be read, or has become shorter meanwhile.
        """
        sent = 0
        while part := self._read(sent):
            sent += len(part)
            yield part
        if self.size_bytes is not None and sent < self.size_bytes:
            raise FeedError(
                f"expected {self.size_bytes} bytes in {self.name}, got {sent}: it was "
                "changed meanwhile; send it again"
            )

    def _read(self, sent: int) -> bytes:
        """Return the next part; what was added to a file meanwhile is left out."""
        left = CHUNK if self.size_bytes is None else self.size_bytes - sent
        try:
            part = self.stream.read(min(CHUNK, left))
        except OSError as error:
            raise FeedError(f"expected to read {self.name}, got: {error}") from error
        if not isinstance(part, bytes):
            raise FeedError(
                f"expected a stream of bytes, got one of {type(part).__name__}; open "
                'it with "rb"'
            )
        return part

    def length(self, beside: int = 0) -> dict[str, str]:
        """Return the header that tells the size, where it is known.

        Args:
            beside: Bytes that are sent beside it.
        """
        if self.size_bytes is None:
            return {}
        return {"Content-Length": str(self.size_bytes + beside)}


@contextmanager
def opened(
    file: str | os.PathLike[str] | BinaryIO, name: str | None
) -> Iterator[SentFile]:
    """Open a file of this machine for a block; a stream is taken as it is.

    Args:
        file: A path, or what is open for reading bytes.
        name: What it is called; that of the file if None.

    Raises:
        FeedError: It cannot be opened.
    """
    if not isinstance(file, str | os.PathLike):
        known = getattr(file, "name", "")  # a descriptor's number, of some
        own = Path(known).name if isinstance(known, str) else ""
        yield SentFile(file, own if name is None else name)
        return
    path = Path(file)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise FeedError(f"expected to read {path}, got: {error}") from error
    with stream:
        is_plain = path.is_file()  # a pipe has no size
        size = os.fstat(stream.fileno()).st_size if is_plain else None
        yield SentFile(stream, path.name if name is None else name, size)


@dataclass(frozen=True)
class FileForm:
    """A form of one file, as `multipart/form-data`."""

    file: SentFile
    purpose: str
    boundary: str

    @classmethod
    def of(cls, file: SentFile, purpose: str) -> "FileForm":
        """Return a form whose boundary nobody can know."""
        return cls(file, purpose, secrets.token_hex(16))

    @property
    def headers(self) -> dict[str, str]:
        """What is said of the body."""
        kind = f"multipart/form-data; boundary={self.boundary}"
        around = len(self._head) + len(self._end)
        return {"Content-Type": kind, **self.file.length(beside=around)}

    def chunks(self) -> Iterator[bytes]:
        """Yield the body.

        Raises:
            FeedError: As for `SentFile.chunks`.
        """
        yield self._head
        yield from self.file.chunks()
        yield self._end

    @property
    def _head(self) -> bytes:
        """What comes before the bytes of the file."""
        part = f"--{self.boundary}\r\nContent-Disposition: form-data; name="
        name = (self.file.name or FILE).translate(ESCAPES)
        said = f'{part}"purpose"\r\n\r\n{self.purpose}\r\n{part}"{FILE}"; '
        said += f'filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        return said.encode(errors="surrogateescape")

    @property
    def _end(self) -> bytes:
        """What comes behind them."""
        return f"\r\n--{self.boundary}--\r\n".encode()
