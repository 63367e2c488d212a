"""A job of fine-tuning, as who asked for it sees it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TuningState(StrEnum):
    """How far a job is."""

    OPEN = "open"
    """Its examples wait, or are being learned."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class TuningJob:
    """A batch that is to be learned, for who asked for it."""

    id: str
    created_at: datetime
    batch: int
    file: str
    """The id of the file that was fed; it may be gone."""

    model: str
    """What was asked to be fine-tuned, as it was named."""

    metadata: dict[str, str]
    state: TuningState
    ended_at: datetime | None
    version: int | None
    """What it became."""

    error: str | None
    run: int | None
    """The run that learns its examples now."""
