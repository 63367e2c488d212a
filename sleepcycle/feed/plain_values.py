"""Values of containers that hold more than JSON does, made JSON at the border."""

from collections.abc import Mapping
from datetime import date, time
from typing import Any

from sleepcycle.errors import RowError


def plain_value(value: object) -> Any:  # noqa: ANN401 - containers hold anything
    """Return a value as JSON has it: dates as ISO text, keys and all else as text.

    Bytes stay what they are, since no text is theirs: they are kept as their number,
    and refused where something is learned of them.

    Raises:
        RowError: `E_DUPKEY`: two keys of an object have one text.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            fields = {key_text(key): plain_value(one) for key, one in value.items()}
            if len(fields) != len(value):
                raise RowError("E_DUPKEY", "expected each key once, got one twice")
            return fields
        case list() | tuple() | set():
            return [plain_value(one) for one in value]
        case bytes() | bytearray() | memoryview():
            return bytes(value)
    return _text(value)


def key_text(key: object) -> str:
    """Return the key of an object as text, written as JSON would write it."""
    match key:
        case str():
            return key
        case None:
            return "null"
        case bool():
            return str(key).lower()
    return _text(key)


def named_bytes(value: object) -> str:
    """Return words for what JSON cannot hold; bytes are counted alone."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else _text(value)


def _text(value: object) -> str:
    """Return the text of a value that JSON does not know."""
    return value.isoformat() if isinstance(value, date | time) else str(value)
