"""Phases of a curriculum: which one a wake learns, how, and what stands before it.

A phase that says `consolidate` begins on a day that a night has folded. Until then its
wake is refused. Nights that are rejected do not hold it up for ever: once `TRIES` of
them were, each with all that earlier phases taught the open day, the phase is learned
over it all the same. The service runs the first such night at once and leaves the
second to the clock, so after a rejected one it does nothing more until the night of
the date; whichever way that one ends, the phase goes on.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sleepcycle.curricula.curriculum import (
    Curriculum,
    Phase,
    builtin,
    builtins,
    read_curriculum,
)
from sleepcycle.errors import RunError
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.overrides import PhasePlan
from sleepcycle.runs.lineage import Lineage, read_lineage
from sleepcycle.runs.retry import rejected_nights
from sleepcycle.settings.config import Settings, WakeSettings
from sleepcycle.store import batch_table, example_table
from sleepcycle.store.database import Session

TRIES = 2  # rejected nights, after which a phase is learned without one


@dataclass(frozen=True, slots=True)
class Barrier:
    """What keeps the next wake from its phase: a night must come first."""

    phase: str
    rejected: int
    """Nights that were to come before it, and were rejected; fewer than `TRIES`."""


@dataclass(frozen=True)
class CurriculumProgress:
    """A curriculum over what was fed: batches belong to a phase by their source."""

    curriculum: Curriculum

    def plan(self, session: Session) -> PhasePlan | None:
        """Return how the next wake's phase is learned; None where it has none."""
        phase = self._next(session)
        if phase is None:
            return None
        return PhasePlan(
            curriculum=self.curriculum.name,
            name=phase.name,
            source=phase.fed_as,
            epochs=phase.epochs,
            lr=None if phase.lr == "auto" else phase.lr,
            lr_scale=phase.lr_scale,
        )

    def barrier(self, session: Session, lineage: Lineage) -> Barrier | None:
        """Return what keeps the next wake from its phase; None where nothing does."""
        phase = self._next(session)
        if phase is None or not phase.consolidate:
            return None
        newest = self._taught_before(session, lineage, phase)
        if newest is None:
            return None
        rejected = rejected_nights(session, lineage, since=newest)
        return Barrier(phase.name, rejected) if rejected < TRIES else None

    def _next(self, session: Session) -> Phase | None:
        """Return the first phase that has anything pending; None where none has.

        All that is pending then is of no phase: it is learned last.
        """
        pending = example_table.pending_sources(session)
        phases = self.curriculum.phases
        return next((phase for phase in phases if phase.fed_as in pending), None)

    def _taught_before(
        self, session: Session, lineage: Lineage, phase: Phase
    ) -> int | None:
        """Return the newest of the day's versions that learned what comes earlier.

        That is what belongs to an earlier phase, or to none.
        """
        start = self.curriculum.phases.index(phase)
        later = {other.fed_as for other in self.curriculum.phases[start:]}
        learned = batch_table.sources_of(session, lineage.day_versions)
        earlier = (v for v, sources in learned.items() if sources - later)
        return max(earlier, default=None)


def find_curriculum(paths: HomePaths, wake: WakeSettings) -> CurriculumProgress | None:
    """Read the curriculum that `wake.curriculum` names; None where it names none.

    A relative path begins in the folder of the home's `config.toml`.

    Raises:
        ConfigError: It is missing or wrong.
    """
    name = wake.curriculum
    if not name:
        return None
    if name in builtins():
        return CurriculumProgress(builtin(name))
    return CurriculumProgress(read_curriculum(paths.config.parent / name))


def find_barrier(session: Session, course: CurriculumProgress | None) -> Barrier | None:
    """Return what keeps the next wake from its phase; None where nothing does."""
    return course.barrier(session, read_lineage(session)) if course else None


def expect_open(barrier: Barrier | None) -> None:
    """Refuse to learn a phase before the night that it asks for.

    Raises:
        RunError: That night has not come yet, or was rejected too few times.
    """
    if barrier is None:
        return
    came = (
        f"{barrier.rejected} of {TRIES} that may be rejected"
        if barrier.rejected
        else "an open day with what was learned before"
    )
    raise RunError(
        f'expected a night before the phase "{barrier.phase}", got {came}; run one: '
        "sleepcycle sleep"
    )


def with_phase(settings: Settings, plan: PhasePlan | None) -> Settings:
    """Return the settings of a wake that learns a phase; without one, as they are.

    A phase's own learning rate stands for itself, and an `auto` one is that of
    `wake.lr`, as `wake.lr_scale` scales it.
    """
    if plan is None:
        return settings
    wake = settings.wake
    own: Mapping[str, float] = (
        {"lr_scale": wake.lr_scale * plan.lr_scale}
        if plan.lr is None
        else {"lr": plan.lr, "lr_scale": plan.lr_scale}
    )
    taught = wake.model_copy(update={"epochs": plan.epochs, **own})
    return settings.model_copy(update={"wake": taught})
