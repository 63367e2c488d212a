"""What a wake and a night report when they are done."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sleepcycle.records.example import SetAside
from sleepcycle.records.overrides import PhasePlan, RetryPlan
from sleepcycle.records.verdict import Verdict


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
class WakeReport:
    """What one wake learned."""

    examples: int
    """New examples trained on (replayed ones not counted)."""

    cut: int
    """New examples of which not all fits: a prompt lost its middle, or a conversation
    an answer."""

    replayed: int
    steps: int
    tokens: int
    """Tokens that passed through the model while training, padding not counted."""

    seconds: float
    """Of training alone, without loading the model."""

    tokens_per_second: float
    loss_first: float
    """Loss of the first step, in nats per learned token: the mean over its examples
    that `wake.loss_reduction` names."""

    loss_last: float
    """The same of the last step."""

    best_step: int
    """The step whose weights were kept: the lowest held-out loss, or the last."""

    stopped_early: bool
    verdict: Verdict
    held_out: tuple[tuple[int, float], ...]
    """Step and held-out loss of each look while training, the same mean."""

    live_rank: int
    """Columns of the sealed adapter that are the frozen live adapter's."""

    day_rank: int
    """Columns after those that the day learned."""

    split: int = 0
    """New texts that were learned in several parts."""

    set_aside: tuple[SetAside, ...] = ()
    """New examples that the base cannot learn; they are not trained."""

    held_out_left_out: int = 0
    """Held-out examples that cannot be measured, for the same reasons."""

    phase: PhasePlan | None = None
    """None where the wake learned no phase, but all that was pending."""

    mfu: float | None = None
    """Share of the device's peak that training used, in [0, 1]; None where that is not
    known, as on a CPU."""

    general: int = 0
    """Turns of the bare base that were learned beside."""

    anchors: int = 0
    """Anchors of the owner that were learned beside; where there are many, some."""

    anchors_left_out: int = 0
    """Anchors that the base cannot learn, since they are too long."""

    confidence: tuple[tuple[int, float], ...] = ()
    """Step, and least probability that was given to a token of what is to be learned,
    of each look by which a small wake ends."""

    learned: bool = False
    """Whether it ended before `wake.min_steps`, since all was learned."""


@dataclass(frozen=True, slots=True)
class RemReport:
    """What one night relearned."""

    steps: int
    """0 where dreams and teachers left no compute for any, or nothing was learned."""

    tokens: int
    seconds: float
    loss_first: float | None
    """Loss of the first step, in nats per learned token: the mean over its examples
    that `wake.loss_reduction` names."""

    loss_last: float | None
    """The same of the last step."""

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
    of the base's dreams', each of which is the same mean over its examples."""


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

    gentler: RetryPlan | None = None
    """None where the night was planned as the settings say."""

    damped: int = 0
    """Intruding directions that downscaling weakened, over all layers."""
