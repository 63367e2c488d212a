"""The state of a target: which version it is to have, and which it has."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TargetCondition(StrEnum):
    """How a target stands, in one word."""

    IN_SYNC = "in_sync"
    """It has the version that it is to have."""

    BEHIND = "behind"
    """It has another, or none; it is tried again and again."""

    IDLE = "idle"
    """Its alias points at nothing, so it is left as it is."""


@dataclass(frozen=True, slots=True)
class TargetState:
    """How a target stood when it was looked at last."""

    name: str
    kind: str
    wanted: str | None
    """The version that its alias points at."""

    has: str | None
    """The version that it has; None where that is not known, too."""

    state: TargetCondition
    error: str | None
    """What went wrong last; None once it went right."""

    checked_at: datetime | None
    """When the target was looked at last; aware UTC."""
