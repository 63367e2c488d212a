"""The header of a GGUF file: what it says of its model, and where tensors lie.

Arrays are skipped and only counted, so that a vocabulary costs no time. The form is
that which the project ggml writes down as its specification of GGUF.
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from sleepcycle.errors import ModelError

MAGIC = b"GGUF"
VERSIONS = (2, 3)  # the first one, of July 2023, counted in 32 bits
ALIGNMENT = 32  # of tensors, where the file says nothing else
MOST_DIMENSIONS = 8  # ggml knows four; what has more is no tensor
STRING, ARRAY = 8, 9
NUMBERS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""How each kind of number is packed, as `struct` writes it."""

Value = str | int | float | bool


class ArrayLength(int):
    """How many values an array has, of which none is read."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """One tensor, as a header describes it."""

    shape: list[int]
    """Rows first, as in torch."""

    kind: int
    """ggml's number for how its values are packed."""

    offset: int
    """In bytes from where the data begins."""


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What stands before the data of a GGUF file."""

    values: Mapping[str, Value]
    """By key; an array is its length."""

    tensors: Mapping[str, StoredTensor]
    data_start: int
    """Where the data begins, in bytes."""

    @property
    def architecture(self) -> str:
        """What llama.cpp calls this kind of model; empty where it says none."""
        return str(self.values.get("general.architecture", ""))

    def of_model(self, key: str) -> Value | None:
        """Return what is said under a key of this architecture; None for an array."""
        found = self.values.get(f"{self.architecture}.{key}")
        return None if isinstance(found, ArrayLength) else found


def is_gguf(path: Path) -> bool:
    """Return whether a file begins as GGUF does, whatever its name."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_header(path: Path) -> GgufHeader:
    """Read the header of a GGUF file.

    Raises:
        ModelError: It cannot be read, is cut short, or is no GGUF that is known.
    """
    try:
        with path.open("rb") as file:
            whole = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with whole:
                return _read(_Cursor(whole))
    except struct.error as error:
        raise ModelError(
            f"the GGUF file {path}, whose header is cut short or damaged"
        ) from error
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise ModelError(f"{path}, which cannot be read as GGUF: {error}") from error


class _Cursor:
    """A place in the bytes of a file, which moves on by what is read."""

    def __init__(self, whole: mmap.mmap) -> None:
        self.whole = whole
        self.at = 0

    def numbers(self, form: str) -> tuple[int, ...]:
        """Return numbers as `struct` unpacks them, little-endian."""
        found = struct.unpack_from(f"<{form}", self.whole, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def number(self, form: str) -> int:
        """Return one number."""
        return self.numbers(form)[0]

    def skip(self, size_bytes: int) -> None:
        """Move on.

        Raises:
            struct.error: The file ends before.
        """
        self.at += size_bytes
        if self.at > len(self.whole):
            raise struct.error("the file ends before")

    def text(self) -> str:
        """Return a string, with a replacement for what is no UTF-8."""
        start = self.at + 8
        self.skip(8 + self.number_ahead())
        return self.whole[start : self.at].decode("utf-8", errors="replace")

    def number_ahead(self) -> int:
        """Return the length that stands here, without moving on."""
        found: int = struct.unpack_from("<Q", self.whole, self.at)[0]
        return found


def _read(cursor: _Cursor) -> GgufHeader:
    """Read a header from its first byte."""
    if cursor.whole[: len(MAGIC)] != MAGIC:
        raise ValueError("other first bytes than GGUF has")
    cursor.skip(len(MAGIC))
    version, tensor_count, value_count = cursor.numbers("IQQ")
    if version not in VERSIONS:
        raise ValueError(f"version {version} of the format, of which 2 and 3 are read")
    values = dict(_read_pair(cursor) for _ in range(value_count))
    tensors = dict(_read_tensor(cursor) for _ in range(tensor_count))
    alignment = values.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"tensors aligned by {alignment!r}")
    return GgufHeader(values, tensors, -(-cursor.at // alignment) * alignment)


def _read_pair(cursor: _Cursor) -> tuple[str, Value]:
    """Read a key and its value."""
    return cursor.text(), _read_value(cursor, cursor.number("I"))


def _read_value(cursor: _Cursor, kind: int) -> Value:
    """Read a value; of an array its length."""
    if kind == STRING:
        return cursor.text()
    if kind == ARRAY:
        return _skip_array(cursor)
    if kind not in NUMBERS:
        raise ValueError(f"a value of the unknown kind {kind}")
    return cursor.number(NUMBERS[kind])


def _skip_array(cursor: _Cursor) -> ArrayLength:
    """Move past an array; return its length."""
    kind, length = cursor.numbers("IQ")
    if kind == STRING:
        for _ in range(length):
            cursor.skip(8 + cursor.number_ahead())
    elif kind in NUMBERS:
        cursor.skip(length * struct.calcsize(NUMBERS[kind]))
    else:
        raise ValueError(f"an array of the unknown kind {kind}")
    return ArrayLength(length)


def _read_tensor(cursor: _Cursor) -> tuple[str, StoredTensor]:
    """Read where one tensor lies."""
    name = cursor.text()
    dimensions = cursor.number("I")
    if dimensions > MOST_DIMENSIONS:
        raise ValueError(f"a tensor of {dimensions} dimensions")
    shape = list(reversed(cursor.numbers(f"{dimensions}Q")))
    kind, offset = cursor.numbers("IQ")
    return name, StoredTensor(shape, kind, offset)


def elements(tensor: StoredTensor) -> int:
    """Return how many values a tensor has."""
    return prod(tensor.shape)
