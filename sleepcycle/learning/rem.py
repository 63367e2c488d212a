"""REM: relearn, from answers and from teachers, what day or fold have made worse.

The student is the night's candidate. Its teachers are versions on the same base, each
for what it knows best: the pre-sleep adapters for today, the last good version for
what was known, past wake versions for their own lessons, the bare base for the rest.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter

import torch
from torch import Tensor

from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.batching import mix
from sleepcycle.model.encode import Encoded
from sleepcycle.model.fit import fit
from sleepcycle.model.forward import token_nll
from sleepcycle.model.gradients import Objective
from sleepcycle.model.monitor import FitPlan, FitResult
from sleepcycle.model.token_batch import LearnedTokens, learned_tokens
from sleepcycle.numerics.distill import TopScores, top_divergence
from sleepcycle.numerics.lowrank import LayerChanges, LowRank, trim
from sleepcycle.records.progress import OnProgress
from sleepcycle.settings.config import RemSettings

STUDENT = "student"
PASSES_TO_LEARN = (
    3  # passes that a learned token costs: one forward, two's worth backward
)
MAX_LOSS = 30.0  # nats per token; a night that exceeds it is exploding


@dataclass(frozen=True, eq=False)
class ReplayExample:
    """One example, and its teacher's scores of each learned token."""

    encoded: Encoded
    scores: TopScores | None
    """None where no teacher was asked."""

    gold: float
    """Part of the loss that is the example's own tokens, in [0, 1]; 1 with no teacher,
    whose opinion is the rest."""


@dataclass(frozen=True, eq=False)
class ReplaySource:
    """Material of one kind."""

    name: str
    share: float
    """Its part of the night, before what is empty is left out."""

    taught: Sequence[ReplayExample]


@dataclass(frozen=True, eq=False)
class TaughtTokens(LearnedTokens):
    """Learned tokens, and what their teachers think of each."""

    gold: Tensor  # (learned,)
    top_ids: Tensor  # (learned, k)
    top_logs: Tensor  # (learned, k)
    tail: Tensor  # (learned,)


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
            objective=REM,
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


def rem_losses(logits: Tensor, tokens: TaughtTokens) -> Tensor:
    """Return the loss of each learned token, in nats.

    It is the cross-entropy of the example's own token in part, and the rest its
    teacher's KL divergence.
    """
    own = token_nll(logits, tokens)
    teacher = TopScores(tokens.top_ids, tokens.top_logs, tokens.tail)
    opinion = top_divergence(logits, teacher)
    return tokens.gold * own + (1 - tokens.gold) * opinion


def taught_tokens(examples: Sequence[ReplayExample]) -> TaughtTokens:
    """Return the learned tokens of examples, with their teachers' scores."""
    learned = learned_tokens([example.encoded for example in examples])
    k = max((s.ids.shape[1] for e in examples if (s := e.scores)), default=1)
    scores = [_scores(example, k) for example in examples]
    counts = torch.tensor([example.encoded.learned for example in examples])
    gold = torch.tensor([example.gold for example in examples])
    return TaughtTokens(
        **vars(learned),
        gold=gold.repeat_interleave(counts),
        top_ids=torch.cat([score.ids for score in scores]),
        top_logs=torch.cat([score.logs for score in scores]),
        tail=torch.cat([score.tail for score in scores]),
    )


REM = Objective(rem_losses, taught_tokens, attrgetter("encoded"))


def _scores(example: ReplayExample, k: int) -> TopScores:
    """Return a teacher's scores; where there was none, some that do not count."""
    if example.scores is not None:
        return example.scores
    count = example.encoded.learned
    return TopScores(
        torch.zeros(count, k, dtype=torch.long),
        torch.full((count, k), -math.log(2 * k)),
        torch.full((count,), -math.log(2)),
    )


def _parts(
    sources: Sequence[ReplaySource],
) -> list[tuple[Sequence[ReplayExample], Fraction]]:
    """Return what there is, with shares that add up to 1."""
    present = [source for source in sources if source.taught]
    whole = sum(Fraction(source.share) for source in present)
    return [(source.taught, Fraction(source.share) / whole) for source in present]


def _mean_tokens(taught: Sequence[ReplayExample]) -> float:
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
