"""A zstandard stream that says so when it is cut off."""

import io
from typing import TYPE_CHECKING, BinaryIO

import zstandard

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE_BYTES = 256  # 64 blocks at most, which can grow to no more than 8 MiB


class ZstdReader(io.RawIOBase):
    """Decompress one frame after the other, a small piece of input at a time.

    The library's own reader ends without a word in the middle of a frame.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._begun = False
        self._input = b""
        self._output = b""

    def readable(self) -> bool:
        """Return that this can be read."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer as far as the next piece goes.

        Raises:
            EOFError: The input ends inside a frame.
            zstandard.ZstdError: The input is damaged.
        """
        while not self._output and self._more():
            self._output = self._decompress()
        target = memoryview(buffer).cast("B")
        part, self._output = self._output[: len(target)], self._output[len(target) :]
        target[: len(part)] = part
        return len(part)

    def _more(self) -> bool:
        """Return whether there is input left, reading the next piece if need be."""
        self._input = self._input or self._file.read(PIECE_BYTES)
        if not self._input and self._begun:
            raise EOFError("compressed file ended inside a frame")
        return bool(self._input)

    def _decompress(self) -> bytes:
        """Decompress the piece, as far as its frame goes."""
        output = self._frame.decompress(self._input)
        self._begun, self._input = not self._frame.eof, self._frame.unused_data
        if self._frame.eof:
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        return output
