"""Compression, told by the first bytes and undone in bounded memory and work."""

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from io import BufferedReader
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

import zstandard

from sleepcycle.errors import FeedError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BUFFER_BYTES = 1 << 16
ZSTD_BYTES = 256  # 64 blocks at most, which can grow to no more than 8 MiB
XZ_MEMORY = 128 << 20  # bytes; `xz -9` asks for 65 MiB

MAX_GROWTH = 500
"""Bytes that one compressed byte may become; text, however often it repeats itself,
stays far below, and what is made of nothing is above."""

FREE_BYTES = 64 << 20
"""Bytes that may come out before their growth is looked at."""

BROKEN = (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)
"""What a stream that is cut off or damaged raises."""


class Frame(Protocol):
    """One frame (member, stream) of a compressed file, as `bz2` and `lzma` have it."""

    @property
    def eof(self) -> bool:
        """Whether its end was reached."""

    @property
    def needs_input(self) -> bool:
        """Whether no more comes out before more goes in."""

    @property
    def unused_data(self) -> bytes:
        """What was given and stands behind its end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Take in all of the data, and return what comes out, up to a length."""


class Codec(NamedTuple):
    """One way in which a file may be compressed."""

    suffix: str
    magic: bytes
    begin: Callable[[], Frame]
    piece_bytes: int = BUFFER_BYTES
    """How much goes in at once."""


class _GzipFrame:
    """A member of a gzip file."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._member.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        data = self._member.unconsumed_tail + data
        return self._member.decompress(data, max_length)


class _ZstdFrame:
    """A frame of a zstandard file; what comes out is bounded by what goes in."""

    needs_input = True

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._frame.decompress(data)


class _Bz2Frame:
    """A stream of a bzip2 file, whose damage is no error of the disk."""

    def __init__(self) -> None:
        self._stream = bz2.BZ2Decompressor()

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def needs_input(self) -> bool:
        return self._stream.needs_input

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        try:
            return self._stream.decompress(data, max_length)
        except OSError as error:
            raise EOFError("invalid bzip2 data") from error


CODECS = (
    Codec(".gz", b"\x1f\x8b", _GzipFrame),
    Codec(".zst", b"\x28\xb5\x2f\xfd", _ZstdFrame, ZSTD_BYTES),
    Codec(".bz2", b"BZh", _Bz2Frame),
    Codec(".xz", b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY)),
)
SUFFIXES = {each.suffix for each in CODECS}


def decompressed(file: BufferedReader) -> BufferedReader:
    """Undo the compression that the first bytes show; without one, return the file."""
    head = file.peek(BUFFER_BYTES)
    for each in CODECS:
        if head.startswith(each.magic):
            return BufferedReader(_Unpacker(file, each), BUFFER_BYTES)
    return file


class _Unpacker(io.RawIOBase):
    """What a compressed file holds, frame after frame.

    The libraries' own readers end without a word in the middle of a frame, or bound
    neither memory nor work.
    """

    def __init__(self, file: BinaryIO, compression: Codec) -> None:
        self._file = file
        self._compression = compression
        self._frame = compression.begin()
        self._begun = False
        self._input = self._output = b""
        self._taken = self._made = 0
        self._fault: Exception | None = None

    def readable(self) -> bool:
        """Return that this can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer; what is good before a damaged place is given first.

        Raises:
            EOFError: The input ends inside a frame, or is damaged; also the others of
                `BROKEN`.
            FeedError: What comes out is out of proportion to what goes in.
        """
        if self._fault:
            raise self._fault
        target = memoryview(buffer).cast("B")
        filled = 0
        try:
            while filled < len(target) and (part := self._next(len(target) - filled)):
                target[filled : filled + len(part)] = part
                filled += len(part)
        except (*BROKEN, FeedError) as fault:
            self._fault = fault
            if not filled:
                raise
        return filled

    def _next(self, size: int) -> bytes:
        """Return up to so many bytes; none at the end."""
        while not self._output and self._more():
            self._output = self._decompress()
        part, self._output = self._output[:size], self._output[size:]
        return part

    def _more(self) -> bool:
        """Return whether more can come out, reading the next piece if need be."""
        if self._begun and not self._frame.needs_input:
            return True
        if not self._input:
            self._input = self._file.read(self._compression.piece_bytes)
            self._taken += len(self._input)
        if not self._input and self._begun:
            raise EOFError("compressed file ended inside a frame")
        return bool(self._input)

    def _decompress(self) -> bytes:
        """Decompress the piece, as far as its frame goes."""
        if not self._begun:
            self._input = self._input.lstrip(b"\0")  # frames may be padded
            if not self._input:
                return b""
        output = self._frame.decompress(self._input, BUFFER_BYTES)
        self._begun, self._input = not self._frame.eof, self._frame.unused_data
        if self._frame.eof:
            self._frame = self._compression.begin()
        self._made += len(output)
        if self._made > max(FREE_BYTES, MAX_GROWTH * self._taken):
            raise FeedError(
                f"expected at most {MAX_GROWTH} bytes for each compressed byte, got "
                "more; if that is meant, decompress it and feed what comes out"
            )
        return output
