"""The arms of the study: ways to learn the same lessons from as many tokens."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sleepcycle.settings.choices import Stage
from sleepcycle_study.errors import StudyError

HALF = 8
"""Rank that the article folds 16 to."""

BANK = 1 / 8
"""Part of a batch that the base's own turns have."""

SVD, REM = Stage.SVD, Stage.REM


@dataclass(frozen=True)
class Arm:
    """One way to learn."""

    teaches: bool = True
    mixed: bool = False
    """All phases at once, in no order."""

    full_rate: bool = False
    """No phase scales the learning rate down."""

    last_only: bool = False
    """The last phase alone, on the bare base."""

    stages: tuple[Stage, ...] = ()
    """What happens before a phase that asks for consolidation."""

    sleeps_last: bool = False
    """A night when all is learned, which must cost no tokens: without REM."""

    sleep: Mapping[str, object] = field(default_factory=dict)
    """Settings of `[sleep]` other than the defaults."""

    rank: int | None = None
    """Rank of the adapter from the beginning; None for the plan's."""

    is_cycle: bool = False
    """The service's own way: a fresh day over the frozen live adapter, replay of what
    is known, and a night after every phase; without stages, all but the nights."""

    general_share: float = 0.0
    """Of a cycle's batches, for turns that the bare base asked and answered itself."""

    @property
    def relearns(self) -> bool:
        """Whether nights train, and take their tokens from the phases."""
        return REM in self.stages


PRUNED = {"compression": "magnitude", "prune_share": 0.3}
"""As in the first paper."""


def _dream(*stages: Stage, rank: int = HALF, **svd: object) -> Arm:
    """Return phases with a fold, behind which learning goes on at the fold's rank."""
    settings = {"svd": {"rank": rank, **svd}}
    return Arm(stages=stages or (SVD,), sleep=settings)


ARMS: Mapping[str, Arm] = {
    "base": Arm(teaches=False),
    "flat": Arm(mixed=True, full_rate=True),
    "flat, folded": Arm(
        mixed=True,
        full_rate=True,
        stages=(SVD,),
        sleeps_last=True,
        sleep={"svd": {"rank": HALF}},
    ),
    "flat, pruned": Arm(
        mixed=True, full_rate=True, stages=(SVD,), sleeps_last=True, sleep=PRUNED
    ),
    "phases": Arm(),
    "phases, full rate": Arm(full_rate=True),
    "magnitude": Arm(stages=(SVD,), sleep=PRUNED),
    "dream": _dream(),
    "dream, energy": _dream(rank=16, policy="energy", energy=0.95),
    "dream, budget": _dream(policy="budget", max_rank=16),
    "dream, activations": _dream(weighting="activations"),
    "rem": Arm(stages=(REM,)),
    "dream + rem": _dream(SVD, REM),
    "rem + dream": _dream(REM, SVD),
    "cycle": Arm(full_rate=True, stages=(SVD, REM), is_cycle=True),
    "replay": Arm(full_rate=True, is_cycle=True),
    "replay + fold + bank": Arm(
        full_rate=True, stages=(SVD,), is_cycle=True, general_share=BANK
    ),
    "last phase": Arm(last_only=True),
    "rank 8": Arm(rank=HALF),
    "dream 12": _dream(rank=12),
    "dream 4": _dream(rank=4),
    "dream 2": _dream(rank=2),
}
"""What separates the fold from what comes along with it: `phases` has the order of the
lessons without a fold, and `phases, full rate` that order alone; `rank 8` is a small
adapter without a fold; `replay` is `cycle` without its nights; `replay + fold + bank`
has its nights without REM, and learns some of what the base says by day; `flat, folded`
and `flat, pruned` do nothing else to an adapter that has learned all."""


def arm_of(name: str) -> Arm:
    """Return an arm.

    Raises:
        StudyError: There is none of that name.
    """
    if name not in ARMS:
        known = ", ".join(repr(arm) for arm in ARMS)
        raise StudyError(f"expected one of the arms {known}, got {name!r}")
    return ARMS[name]
