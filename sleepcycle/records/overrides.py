"""How a run is planned where that is not as the settings say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """How a wake learns one phase of a curriculum."""

    curriculum: str
    name: str
    """The phase's."""

    source: str
    """Where its batches came from."""

    epochs: float
    """`wake.epochs` in this wake."""

    lr: float | None
    """`wake.lr` in this wake; None where it is as set."""

    lr_scale: float
    """What the learning rate is multiplied by."""


@dataclass(frozen=True, slots=True)
class RetryPlan:
    """How a night was planned after others on the same live version were rejected."""

    rejected: int
    """Nights on the same live version and open day that were rejected before."""

    max_share_of_wake: float | None
    """`sleep.rem.max_share_of_wake` in this night; None where it is as set."""

    rank: int | None
    """`sleep.svd.rank` in this night; None where it is as set."""
