"""REM: relearn, from answers and from teachers, what day or fold have made worse.

The student is the night's candidate. Its teachers are versions on the same base, each
for what it knows best: the pre-sleep adapters for today, the last good version for
what was known, past wake versions for their own lessons, the bare base for the rest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from sleepcycle.learning.distillation import (
    DISTILLATION,
    TaughtExample,
    as_heavy,
    reduced_taught,
)
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.batching import mix
from sleepcycle.model.fit import fit
from sleepcycle.model.monitor import FitPlan, FitResult
from sleepcycle.numerics.lowrank import LayerChanges, LowRank, trim
from sleepcycle.records.progress import OnProgress
from sleepcycle.settings.choices import Reduction
from sleepcycle.settings.config import RemSettings

STUDENT = "student"
GENERAL = "general"
ANCHORS = "anchors"
PASSES_TO_LEARN = (
    3  # passes that a learned token costs: one forward, two's worth backward
)
MAX_LOSS = 30.0  # nats per token; a night that exceeds it is exploding


@dataclass(frozen=True, eq=False)
class ReplaySource:
    """Material of one kind."""

    name: str
    share: float
    """Its part of the night, before what is empty is left out."""

    taught: Sequence[TaughtExample]


@dataclass(frozen=True)
class Budget:
    """What REM may cost, in tokens that pass forward once."""

    whole: float
    spent: int
    """On teachers and dreams."""

    @property
    def left(self) -> float:
        """What is left to learn with."""
        return max(0.0, self.whole - self.spent)


@dataclass(frozen=True)
class RemPlan:
    """What one night's REM is bound by."""

    steps: int
    lr: float
    seed: int
    on_progress: OnProgress
    held_out_loss: Callable[[], float] | None
    """What the student is stopped and chosen by; None keeps the last step."""

    reduction: Reduction
    """What the loss of a step is the mean of."""


def relearn(
    base: Base,
    student: LayerChanges,
    sources: Sequence[ReplaySource],
    settings: RemSettings,
    terms: RemPlan,
) -> tuple[dict[str, LowRank], FitResult]:
    """Let the student relearn from its teachers; no layer's rank grows, but 0 to 1.

    The student is off the base afterwards.

    Returns:
        The student's change, which is as it came where nothing was better, and what
        training did.

    Raises:
        DivergedError: The loss exploded or is not a number.
    """
    batch_size = Fraction(settings.batch_size)
    sources = _balanced([_reduced(source, terms.reduction) for source in sources])
    with adapters.removed_after(base, [STUDENT]):
        adapters.new_day(
            base,
            STUDENT,
            adapters.student_config(student),
            seed=terms.seed,
            start=student,
        )
        adapters.activate(base, [STUDENT])
        result = fit(
            base,
            _plan(settings, terms),
            mix(_parts(sources), batch_size, terms.steps, terms.seed),
            on_progress=terms.on_progress,
            held_out_loss=terms.held_out_loss,
            objective=DISTILLATION,
        )
        return trim(adapters.read(base, STUDENT)), result


def steps_within(
    sources: Sequence[ReplaySource], batch_size: int, budget: Budget, max_steps: int
) -> int:
    """Return how many steps the budget pays for; 0 where it is spent already."""
    size = sum(share * _mean_tokens(taught) for taught, share in _parts(sources))
    if not size:
        return 0
    return min(int(budget.left / (PASSES_TO_LEARN * batch_size * size)), max_steps)


def _reduced(source: ReplaySource, reduction: Reduction) -> ReplaySource:
    """Return material whose tokens weigh what a reduction gives them."""
    return replace(source, taught=reduced_taught(source.taught, reduction))


def _balanced(sources: Sequence[ReplaySource]) -> list[ReplaySource]:
    """Return sources of which the base's turns weigh what others do, as by day.

    Their share of the night is then their share of the loss.
    """
    others = [
        one.encoded
        for source in sources
        if source.name not in {GENERAL, ANCHORS}
        for one in source.taught
    ]
    return [
        replace(source, taught=as_heavy(source.taught, others))
        if source.name == GENERAL and others
        else source
        for source in sources
    ]


def _parts(
    sources: Sequence[ReplaySource],
) -> list[tuple[Sequence[TaughtExample], Fraction]]:
    """Return what there is, with shares that add up to 1."""
    present = [source for source in sources if source.taught]
    whole = sum(Fraction(source.share) for source in present)
    return [(source.taught, Fraction(source.share) / whole) for source in present]


def _mean_tokens(taught: Sequence[TaughtExample]) -> float:
    """Return how long an example is on average."""
    return sum(len(example.encoded.ids) for example in taught) / len(taught)


def _plan(settings: RemSettings, terms: RemPlan) -> FitPlan:
    """Return how to train: fresh optimizer, short warm-up, and the start may stay."""
    return FitPlan(
        adapter=STUDENT,
        lr=terms.lr,
        steps=terms.steps,
        warmup_steps=settings.warmup_steps,
        weight_decay=0.0,
        max_grad_norm=1.0,
        max_loss=MAX_LOSS,
        check_every=settings.check_every,
        patience=settings.patience,
        seed=terms.seed,
        stage="rem",
        setting="sleep.rem.lr",
        may_keep_start=True,
    )
