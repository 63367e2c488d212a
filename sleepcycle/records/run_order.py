"""What a run is to do, and how far it has come."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from sleepcycle.records.overrides import PhasePlan, RetryPlan
from sleepcycle.records.version import BaseIdentity


class RunKind(StrEnum):
    """What a run does."""

    WAKE = "wake"
    SLEEP = "sleep"


class RunState(StrEnum):
    """How far a run has come."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class RunRequest(StrEnum):
    """What the owner of a run may ask of it while it runs."""

    PAUSE = "pause"
    """Break it off where it can go on later."""

    CANCEL = "cancel"
    """End it, and give back what it had claimed."""


@dataclass(frozen=True, slots=True)
class RunOrder:
    """Everything a worker must know, as `run.json` holds it.

    Folders are written as they lay when the run was ordered; `RunFolder.locate` finds
    them in a home that was moved since.
    """

    run: int
    kind: RunKind
    base: BaseIdentity
    """What the home's versions were trained on; its hash is empty before the first
    run."""

    live: Path | None
    """Folder of the live version; None where the bare base is live."""

    live_rank: int
    day: Path | None
    """Folder of the open day's wake version, if there is one."""

    day_rank: int
    seed: int
    settings: Mapping[str, object]
    """The whole configuration as plain data, so the run can be done again."""

    archive: Mapping[int, Path | None] = field(default_factory=dict)
    """Past wake versions, and their folders: they may dream and teach in this night.
    None where the files were removed; what such a version dreamt is learned still."""

    day_version: int = 0
    """Number of the open day's wake version; 0 where there is none."""

    wake_tokens: int = 0
    """Tokens that the open day trained on: the measure of what a night may cost."""

    gentler: RetryPlan | None = None
    """Where `settings` differ from the user's, after rejected nights."""

    phase: PhasePlan | None = None
    """Where `settings` differ from the user's, in a wake of a phase."""
