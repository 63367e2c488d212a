"""Records as plain JSON, and back."""

import dataclasses
import json
from typing import Any, TypeVar

from pydantic import TypeAdapter

R = TypeVar("R")


def to_json(record: Any) -> str:  # noqa: ANN401 - any of our dataclasses
    """Write a record as JSON; paths and times become text, NaN stays NaN."""
    return json.dumps(dataclasses.asdict(record), default=str, indent=1)


def from_json(text: str, kind: type[R]) -> R:
    """Read a record that `to_json` wrote."""
    return TypeAdapter(kind).validate_python(json.loads(text))
