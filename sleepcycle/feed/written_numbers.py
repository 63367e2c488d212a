"""Numbers of rows, as they are written."""

import math
from collections.abc import Mapping
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed.rows import Number
from sleepcycle.records.content import plain_json

MOST_DIGITS = 300  # of a whole number that is kept as one; more are kept as text


def number_text(value: object) -> object:
    """Return a number as it is written; another value as it is."""
    if isinstance(value, Number):
        return value.written
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(value) if math.isfinite(value) else value


def as_written(value: object) -> Any:  # noqa: ANN401 - JSON has any shape
    """Return JSON whose numbers are written as they were: `5` is none of `5.0`."""
    match value:
        case Number():
            return _written(value)
        case Mapping():
            return {key: as_written(one) for key, one in value.items()}
        case list():
            return [as_written(one) for one in value]
    return value


def written_json(value: object, what: str) -> str:
    """Write JSON that is learned, without white space, each number as it was written.

    Raises:
        RowError: `E_NAN` for a number that is none or too big for one, `E_SHAPE` for
            bytes.
    """
    match value:
        case float() if not math.isfinite(value):
            raise RowError("E_NAN", f"expected numbers in {what}, got {float(value)}")
        case Number() if isinstance(_written(value), int | float):
            return value.written
        case Number():
            return plain_json(value.written)
        case Mapping():
            pairs = (
                f"{plain_json(str(key))}:{written_json(one, what)}"
                for key, one in value.items()
            )
            return "{" + ",".join(pairs) + "}"
        case list():
            return "[" + ",".join(written_json(one, what) for one in value) + "]"
        case bytes():
            raise RowError("E_SHAPE", f"expected JSON in {what}, got bytes")
    return plain_json(value)


def _written(number: Number) -> object:
    """Return a number that is written as it was; its text where none can be."""
    digits = number.written.removeprefix("-")
    if digits.isdecimal() and len(digits) <= MOST_DIGITS:
        return int(number.written)
    return float(number) if math.isfinite(number) else number.written
