"""The values that modules hand each other: what an example, a version, a run is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sleepcycle.content import Content
from sleepcycle.errors import ModelError
from sleepcycle.planned import Gentler as Gentler
from sleepcycle.planned import PhasePlan as PhasePlan
from sleepcycle.verdict import Loss as Loss
from sleepcycle.verdict import Verdict as Verdict


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


class Wish(StrEnum):
    """What the owner of a run may wish of it while it runs."""

    PAUSE = "pause"
    """Break it off where it can go on later."""

    CANCEL = "cancel"
    """End it, and give back what it had claimed."""


class VersionKind(StrEnum):
    """Where a version comes from."""

    BASE = "base"
    WAKE = "wake"
    SLEEP = "sleep"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Example:
    """One training item as a run sees it."""

    id: int
    batch: int
    content: Content


@dataclass(frozen=True, slots=True)
class BadRow:
    """One input row that could not become an example."""

    file: str
    line: int
    """Line or row number in the file, counted from 1."""

    offset: int
    """Byte offset of the row in the (decompressed) file."""

    code: str
    message: str
    raw: bytes
    """The row itself, cut to a bound, so that it can be exported and mended."""

    size_bytes: int
    """Size of the whole row; larger than `raw` where that was cut."""


@dataclass(frozen=True, slots=True)
class FeedReport:
    """What one feed call brought: accepted + duplicate + quarantined = lines."""

    batch: int | None
    """The batch's number, or None on a dry run."""

    lines: int
    accepted: int
    duplicate: int
    quarantined: int
    held_out: int
    """How many of the accepted are held out, never to be trained on."""

    reasons: Mapping[str, int]
    """How many rows each code quarantined."""


@dataclass(frozen=True, slots=True)
class BaseIdentity:
    """Which frozen model a version belongs to."""

    id: str
    """`builtin:nano`, a hub id, or a path."""

    revision: str | None
    sha256: str
    """Of configuration, tokenizer and weights; empty for v0, which is written before
    any of them is read."""

    def expect(self, expected: "BaseIdentity") -> None:
        """Refuse to be another model than the one that versions belong to.

        Raises:
            ModelError: The name differs, or the bytes do.
        """
        if self.id != expected.id:
            raise ModelError(
                f"expected the base {expected.id}, which this home's versions belong "
                f"to, got {self.id}; set model.base back, or make a new home for the "
                "new base"
            )
        if expected.sha256 and self.sha256 != expected.sha256:
            raise ModelError(
                f"expected the base that this home's versions were trained on (sha256 "
                f"{expected.sha256[:12]}), got {self.id} with sha256 "
                f"{self.sha256[:12]}; restore the old files, or make a new home for "
                "the new ones"
            )


@dataclass(frozen=True, slots=True)
class Version:
    """A sealed, immutable adapter, as the store knows it."""

    number: int
    """0 is the bare base, which has no folder."""

    kind: VersionKind
    folder: str | None
    """Name below `home/versions`."""

    parents: tuple[int, ...]
    rank: int
    """Uniform rank of the portable adapter; 0 for the bare base."""

    accepted: bool
    created_at: datetime
    run: int | None = None

    @property
    def name(self) -> str:
        """The name people use, such as `v1`."""
        return f"v{self.number}"


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What consolidation did to one layer."""

    name: str
    shape: tuple[int, int]
    """(out, in) of the layer's weight."""

    rank_before: int
    rank: int
    kept_energy: float
    """Share of the squared Frobenius norm kept, in [0, 1]."""

    stable_rank: float
    """Squared Frobenius norm over squared spectral norm; 0 for a zero change."""

    spectrum: tuple[float, ...]
    """Singular values before, strongest first."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of a run's `progress.jsonl`: a heartbeat with what is known so far."""

    stage: str
    step: int
    steps: int
    loss: float | None = None
    """Training loss of this step, in nats per learned token."""

    tokens_per_second: float | None = None
    left_s: float | None = None
    micro_batches: int = 1
    """Parts that a batch is split into, since it did not fit in memory whole."""


HEARTBEAT = Progress("", 0, 0)
"""Says that the worker is alive and busy, and nothing else."""

OnProgress = Callable[[Progress], None]


def quiet(progress: Progress) -> None:
    """Take a heartbeat and say nothing."""


@dataclass(frozen=True, slots=True)
class WakeReport:
    """What one wake learned."""

    examples: int
    """New examples trained on (replayed ones not counted)."""

    cut: int
    """New examples left out, since nothing that is learned is within the context."""

    replayed: int
    steps: int
    tokens: int
    """Tokens that passed through the model while training, padding not counted."""

    seconds: float
    """Of training alone, without loading the model."""

    tokens_per_second: float
    loss_first: float
    loss_last: float
    best_step: int
    """The step whose weights were kept: the lowest held-out loss, or the last."""

    stopped_early: bool
    verdict: Verdict
    held_out: tuple[tuple[int, float], ...]
    """Step and held-out loss of each look while training."""

    live_rank: int
    """Columns of the sealed adapter that are the frozen live adapter's."""

    day_rank: int
    """Columns after those that the day learned."""

    phase: PhasePlan | None = None
    """None where the wake learned no phase, but all that was pending."""


@dataclass(frozen=True, slots=True)
class Dream:
    """What a version wrote from what it knows."""

    version: int
    """Who dreamt: a wake version, or -1 for the last good one."""

    content: Content


@dataclass(frozen=True, slots=True)
class RemReport:
    """What one night relearned."""

    steps: int
    """0 where dreams and teachers left no compute for any, or nothing was learned."""

    tokens: int
    seconds: float
    loss_first: float | None
    loss_last: float | None
    best_step: int
    """The step whose weights were kept; 0 where nothing was better than the start."""

    stopped_early: bool
    sources: Mapping[str, int]
    """Examples of each kind."""

    cost: float
    """Compute of learning, teachers and dreams over that of the day; what is looked at
    to stop in time is not counted."""

    held_out: tuple[tuple[int, float], ...]
    """Step and held-out loss of each look: the mean of today's, of known batches', and
    of the base's dreams'."""


@dataclass(frozen=True, slots=True)
class SleepReport:
    """What one night folded."""

    seconds: float
    rank: int
    """Largest rank of any layer after the fold."""

    kept_energy: float
    """Share of the whole change's squared norm kept, in [0, 1]."""

    verdict: Verdict
    layers: tuple[LayerReport, ...] = field(default_factory=tuple)
    rem: RemReport | None = None
    """None where the night had no REM, or nothing to relearn from."""

    gentler: Gentler | None = None
    """None where the night was planned as the settings say."""

    damped: int = 0
    """Intruding directions that downscaling weakened, over all layers."""


@dataclass(frozen=True, slots=True)
class RunOrder:
    """Everything a worker must know, as `run.json` holds it."""

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

    gentler: Gentler | None = None
    """Where `settings` differ from the user's, after rejected nights."""

    phase: PhasePlan | None = None
    """Where `settings` differ from the user's, in a wake of a phase."""


@dataclass(frozen=True, slots=True)
class Card:
    """All there is to say about a version, sealed with it as `card.json`."""

    number: int
    kind: VersionKind
    parents: tuple[int, ...]
    accepted: bool
    rank: int
    created_at: datetime
    base: BaseIdentity
    batches: Mapping[int, int]
    """Examples that this version itself learned, by batch."""

    sleepcycle: str
    """Version of this package."""

    run: int | None = None
    seed: int | None = None
    settings: Mapping[str, object] | None = None
    report: WakeReport | SleepReport | None = None
    live_rank: int = 0
    """Leading columns that are the live adapter's; of a wake version alone."""

    day_rank: int = 0
    """Columns after those, learned since the last night."""

    origin: str | None = None
    """Where an imported adapter came from."""
