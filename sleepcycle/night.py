"""One night: fold live and day into one small adapter, then ask the gate."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sleepcycle import gate
from sleepcycle.config import Settings
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records import Example, OnProgress, Progress, SleepReport
from sleepcycle.sleep.consolidate import consolidate

LIVE = "live"
CANDIDATE = "candidate"


@dataclass(frozen=True, eq=False)
class Evening:
    """What stands before the night begins."""

    live: LayerChanges
    """The live adapter; empty for the bare base."""

    whole: LayerChanges
    """Live and day as one exact change: the wake version."""

    today: Sequence[Example]
    """Held-out examples of today's batches."""

    known: Sequence[Example]
    """Held-out examples of known batches."""


def sleep(
    base: Base,
    evening: Evening,
    settings: Settings,
    *,
    on_progress: OnProgress,
) -> tuple[LayerChanges, SleepReport]:
    """Consolidate one day and judge the result; what is live stays as it is.

    Returns:
        The candidate's change per layer, and the report with the gate's verdict.
    """
    started = time.perf_counter()
    on_progress(Progress("consolidate", 0, 2))
    folded = consolidate(evening.whole, settings.sleep)
    on_progress(Progress("gate", 1, 2))
    live = [LIVE] if evening.live else []
    if live:
        adapters.attach(base, LIVE, evening.live)
    adapters.attach(base, CANDIDATE, folded.change)
    sides = gate.Sides(base, live, [CANDIDATE], on_progress)
    verdict = gate.judge(
        sides.compare(evening.today),
        sides.compare(evening.known),
        finite=gate.is_finite(folded.change),
        max_rise=settings.gate.max_rise,
    )
    on_progress(Progress("gate", 2, 2))
    return folded.change, SleepReport(
        seconds=time.perf_counter() - started,
        rank=folded.rank,
        kept_energy=folded.kept_energy,
        verdict=verdict,
        layers=folded.layers,
    )
