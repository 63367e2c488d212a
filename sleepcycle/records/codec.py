"""Records as plain JSON, and back."""

import dataclasses
import json
import math
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from sleepcycle.records.plain_text import escaped_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

R = TypeVar("R")
_readers: "dict[type, TypeAdapter[Any]]" = {}


def dumps(value: Any, *, indent: int | None = None) -> str:  # noqa: ANN401
    """Write what a program asked for as JSON, on one line or indented.

    Records are their fields, times ISO 8601, paths and numbers of other kinds text, NaN
    and infinity null, since JSON has no word for them. What would steer a terminal is
    escaped.
    """
    text = json.dumps(
        finite(value),
        default=_plain,
        ensure_ascii=False,
        indent=indent,
        allow_nan=False,
    )
    return escaped_json(text)


def to_json(record: Any) -> str:  # noqa: ANN401 - any of our dataclasses
    """Write a record as the JSON that files keep, which `from_json` reads."""
    plain = finite(dataclasses.asdict(record))
    return json.dumps(plain, default=str, indent=1, allow_nan=False)


def from_json(text: str, kind: type[R]) -> R:
    """Read a record that `to_json` wrote.

    A null is None where the record allows it; in any other float it is NaN.
    """
    return from_plain(json.loads(text), kind)


def from_plain(value: Any, kind: type[R]) -> R:  # noqa: ANN401 - plain data
    """Return the record that parsed JSON holds, as `from_json` does of its text."""
    record: R = _reader(kind).validate_python(_restored(value, kind))
    return record


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a record holds
    """Turn a record or a time into what `json` knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return finite(dataclasses.asdict(value))
    return value.isoformat() if isinstance(value, date) else str(value)


def _reader(kind: type) -> "TypeAdapter[Any]":
    """Return what reads one kind of record; making it takes a hundredth of a second."""
    from pydantic import TypeAdapter  # a tenth of a second that `status` does not need

    if kind not in _readers:
        _readers[kind] = TypeAdapter(kind)
    return _readers[kind]


def finite(value: Any) -> Any:  # noqa: ANN401 - plain data has any shape
    """Return plain data with None for every float that JSON has no word for."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value


def _restored(value: Any, kind: Any) -> Any:  # noqa: ANN401
    """Return parsed JSON with NaN for every null that must be a float."""
    if value is None:
        return math.nan if kind is float else None
    inner = get_args(kind)
    if isinstance(value, list) and inner:
        return [_restored(item, inner[0]) for item in value]
    if isinstance(value, dict):
        record = next((k for k in (kind, *inner) if _has(k, value)), None)
        hints = get_type_hints(record) if record else {}
        return {key: _restored(item, hints.get(key)) for key, item in value.items()}
    return value


def _has(kind: Any, keys: dict[str, Any]) -> bool:  # noqa: ANN401
    """Return whether a type is a record with all these fields."""
    if not dataclasses.is_dataclass(kind):
        return False
    return keys.keys() <= {field.name for field in dataclasses.fields(kind)}
