"""The state of the service: what it is doing, and what comes next."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.target_state import TargetState


class Activity(StrEnum):
    """What the service is doing, in one word."""

    AWAKE = "awake"
    """A wake runs."""

    ASLEEP = "asleep"
    """A night runs."""

    PAUSED = "paused"
    """The user paused it: nothing begins by itself."""

    WAITING = "waiting"
    """Something is in the way, which an alert names; it is tried again later."""

    IDLE = "idle"
    """There is nothing to do now."""


@dataclass(frozen=True, slots=True)
class DaemonState:
    """Where the service stands at one moment."""

    word: Activity
    run: int | None
    """The run that is on; None while it is being prepared, too."""

    kind: RunKind | None
    progress: Progress | None
    """The last heartbeat of the run that is on."""

    next_night: datetime
    next_window: datetime
    """When the service may learn next; now, where it may already."""

    banner: str | None
    """What needs a look, in a sentence."""

    since: datetime
    """When the word became true; aware UTC."""

    paused: bool
    """Whether the user paused the service, though a night may still be ending."""

    targets: tuple[TargetState, ...] = ()
    """How the servers stand that are to have a version."""
