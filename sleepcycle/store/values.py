"""The values that the store hands out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - a night has a field of that name
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from sleepcycle.errors import StoreError
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.verdict import BatchScore, Kept
from sleepcycle.records.version import BaseIdentity, Version

PAUSED = "paused"  # the switch that lets nothing begin by itself
OPEN_BATCH = "open batch"  # the switch that hides a batch which is not whole yet


class ExampleState(StrEnum):
    """Where an example is; it is in exactly one of these places."""

    HELD_OUT = "held_out"
    PENDING = "pending"
    CLAIMED = "claimed"
    TRAINED = "trained"
    EXCLUDED = "excluded"


class NightState(StrEnum):
    """How far a night that was due has come."""

    BEGUN = "begun"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class Alias(StrEnum):
    """The aliases that the service moves itself; no user may."""

    LIVE = "live"
    PREVIOUS = "previous"
    DAY = "day"


K = TypeVar("K", bound=StrEnum)


def one_known(kind: type[K], written: str) -> K:
    """Return the member of an enumeration that a row names.

    Raises:
        StoreError: There is none.
    """
    try:
        return kind(written)
    except ValueError as error:
        raise StoreError(
            f"expected one of {', '.join(kind)} in the database, got {written!r}; it "
            "is damaged, see: sleepcycle doctor"
        ) from error


@dataclass(frozen=True, slots=True)
class Counts:
    """How many examples are where; all but `quarantined` add up to `accepted`."""

    accepted: int
    held_out: int
    pending: int
    claimed: int
    known: int
    """Trained in some version, live or not."""

    excluded: int
    quarantined: int
    """Rows that never became an example."""

    set_aside: int
    """Of the excluded, those that the base cannot learn."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one feed call brought."""

    id: int
    source: str
    """Where it came from, in the feeder's words."""

    format: str
    """Shapes of its rows, joined by commas; empty where no row had one."""

    created_at: datetime
    held_out_share: float
    """The setting at the time, in [0, 1)."""

    lines: int
    accepted: int
    duplicate: int
    quarantined: int
    held_out: int
    """How many of the accepted were held out when they were fed."""


@dataclass(frozen=True, slots=True)
class StoredExample:
    """One example as it is kept."""

    id: int
    line: int | None
    """In its file, where that is known."""

    state: ExampleState
    content: str
    """Canonical JSON."""

    provenance: str | None
    """JSON of what its row said beside what is learned."""


@dataclass(frozen=True, slots=True)
class FoundExample:
    """One example without its text, and where it came in."""

    id: int
    batch: int
    state: ExampleState
    source: str
    """The batch's."""


@dataclass(frozen=True, slots=True)
class Run:
    """One wake or one night."""

    id: int
    kind: RunKind
    state: RunState
    started_at: datetime
    ended_at: datetime | None
    pid: int
    """The process that owns it."""

    pid_started: str
    """What tells that process from a later one with the same number."""

    report: str | None
    """JSON of the `WakeReport` or `SleepReport`."""

    error: str | None


@dataclass(frozen=True, slots=True)
class ReportExcerpt:
    """What a run reported, as far as a list of many shows it; None where nothing."""

    accepted: bool | None = None
    reason: str | None = None
    """The verdict's, in words."""

    examples: int | None = None
    seconds: float | None = None
    tokens_per_second: float | None = None
    rem_cost: float | None = None
    """Compute of REM over that of the day."""

    known_live: float | None = None
    """Held-out loss of known batches, in nats per token."""

    known: float | None = None
    """The same of the candidate."""

    today_live: float | None = None
    """Held-out loss of today's batches, in nats per token."""

    today: float | None = None
    """The same of the candidate."""


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run as a list of many shows it."""

    id: int
    kind: RunKind
    state: RunState
    started_at: datetime
    ended_at: datetime | None
    error: str | None
    reported: ReportExcerpt
    version: int | None
    """What it made."""


@dataclass(frozen=True, slots=True)
class GateFigures:
    """What the gate measured of one accepted night, as shares in [0, 1]."""

    version: int
    known_exact: float | None
    """Known prompts answered by the letter; None where none was asked."""

    agreement: float | None
    """The bare base's own answers that are kept; None where none was asked."""


@dataclass(frozen=True, slots=True)
class NightScores:
    """What the gate measured of one accepted night."""

    version: int
    batches: tuple[BatchScore, ...] = ()
    agreement: Kept | None = None
    """On turns of the bare base; None where it has none."""

    anchors: Kept | None = None
    """On the owner's anchors; None where there are none."""


@dataclass(frozen=True, slots=True)
class Night:
    """A night that was due."""

    date: Date
    """The day it began on, in the owner's time zone."""

    state: NightState
    attempts: int
    """How often it was begun, at least once."""

    run: int | None
    """The run that ended it, if there was one."""

    reason: str
    """Why it was skipped or failed; empty otherwise."""

    at: datetime
    """When it came to its state."""


@dataclass(frozen=True, slots=True)
class Removed:
    """When a version's files went, and why."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that `status` shows."""

    base: BaseIdentity
    aliases: Mapping[str, int]
    counts: Counts
    versions: tuple[Version, ...]
    """Oldest first; the first is v0, the bare base."""

    runs: tuple[Run, ...]
    """The last ones, newest first."""

    orphaned: int
    """Known examples that neither live nor the open day learned."""

    interrupted: bool
    """Whether a run is on whose process is gone; whatever runs next settles it."""

    paused: bool
    """Whether the owner lets nothing begin by itself."""

    last_night: Night | None
    """The newest that was due."""

    failures: int
    """Runs that failed since one last ended otherwise."""

    phase: str | None
    """Phase of a curriculum that the newest run learns or learned, if it does."""

    @property
    def state(self) -> str:
        """`ready`, the kind of the run that is on, or `interrupted`."""
        if self.interrupted:
            return "interrupted"
        kinds = [run.kind for run in self.runs if run.state is RunState.RUNNING]
        return str(kinds[0]) if kinds else "ready"

    @property
    def live(self) -> str:
        """Name of the version that is live."""
        return f"v{self.aliases[Alias.LIVE]}"

    @property
    def previous(self) -> str | None:
        """Name of the version that was live before."""
        return self._name(Alias.PREVIOUS)

    @property
    def day(self) -> str | None:
        """Name of the open day's wake version."""
        return self._name(Alias.DAY)

    def _name(self, alias: Alias) -> str | None:
        """Return the name of an alias's version, if it is set."""
        return f"v{self.aliases[alias]}" if alias in self.aliases else None


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a migration did."""

    before: str
    after: str
    backup: Path | None
    """Copy of the database as it was; None where nothing had to change."""
