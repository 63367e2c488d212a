"""What every section of the settings is made of: its form, and checked values."""

import re
from datetime import time
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

T = TypeVar("T")
Share = Annotated[float, Field(ge=0, le=1)]
OpenShare = Annotated[float, Field(ge=0, lt=1)]
Rank = Annotated[int, Field(ge=1, le=256)]  # two of them fit the portable form's 512


def once(words: list[T]) -> list[T]:
    """Refuse a word that is said twice."""
    if len(set(words)) < len(words):
        raise ValueError("expected no word twice")
    return words


def _local_time(text: str) -> str:
    """Refuse what is no time of day."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError('expected a time of day such as "03:00"')
    return text


def _zone(name: str) -> str:
    """Refuse a time zone that nobody knows."""
    try:
        if name:
            ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            'expected a time zone such as "Europe/Rome", or "" for the system\'s'
        ) from error
    return name


def _window(text: str) -> str:
    """Refuse what is no span of the day."""
    start, dash, end = text.partition("-")
    if text and (not dash or _local_time(start) == _local_time(end)):
        raise ValueError('expected two times such as "08:00-22:30", or ""')
    return text


def _host_name(name: str) -> str:
    """Refuse what is no name of a host, or has a port, a scheme or a pattern."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]", name):
        raise ValueError(
            "expected a host's name in small letters without a port, such as "
            '"model.example"'
        )
    return name


HostName = Annotated[str, AfterValidator(_host_name)]
LocalTime = Annotated[str, AfterValidator(_local_time)]
Zone = Annotated[str, AfterValidator(_zone)]
Window = Annotated[str, AfterValidator(_window)]


def clock(text: str) -> time:
    """Return a checked time of day."""
    return time.fromisoformat(text)


class Section(BaseModel):
    """One table of `config.toml`: frozen, and refusing what it does not know."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,  # run folders keep settings as JSON, which has neither
    )
