"""What the gate measured of live and a candidate, and what it decided."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loss:
    """Held-out loss of two adapters on the same examples, in nats per token."""

    live: float
    candidate: float
    examples: int
    tokens: int
    median_rise: float | None = None
    """Median, over the examples, of how much worse the candidate is, in nats per token:
    one long or odd example moves the mean, not this. None on older cards."""

    @property
    def rises(self) -> tuple[float, ...]:
        """How much worse the candidate is by the mean, and by the median if known."""
        return (self.rise, *(() if self.median_rise is None else (self.median_rise,)))

    @property
    def rise(self) -> float:
        """How much worse the candidate is; negative where it is better."""
        return self.candidate - self.live

    @property
    def bits(self) -> float:
        """What the candidate knows more of all these tokens; negative where less."""
        return -self.rise * self.tokens / math.log(2)

    @property
    def movement(self) -> str:
        """How far it rose or fell, in words."""
        if math.isnan(self.rise):
            return f"is not a number ({self.live:.3f} to {self.candidate:.3f})"
        verb = "rose" if self.rise > 0 else "fell"
        size = f"{abs(self.rise):.3f} nats per token"
        median = "" if self.median_rise is None else f"; median {self.median_rise:+.3f}"
        return f"{verb} {size} ({self.live:.3f} to {self.candidate:.3f}{median})"


@dataclass(frozen=True, slots=True)
class Exact:
    """How many prompts two adapters answer by the letter, as shares in [0, 1]."""

    live: float
    candidate: float
    asked: int

    @property
    def drop(self) -> float:
        """How much less the candidate answers; negative where it answers more."""
        return self.live - self.candidate


@dataclass(frozen=True, slots=True)
class Kept:
    """How many questions whose answers must be kept two adapters answer, as shares."""

    live: float
    candidate: float
    asked: int
    base: float = 1.0
    """Share that the bare base answers; of its own turns all."""

    unasked: int = 0
    """Anchors that were not asked, being too long or more than `gate.max_asked`."""

    @property
    def lost(self) -> float:
        """Share of what base or live answers that the candidate does not, at most 1.

        It is the larger of the two; 0 where neither answers any, negative where the
        candidate answers more than both.
        """
        most = max(self.base, self.live)
        return 1 - self.candidate / most if most else 0.0


@dataclass(frozen=True, slots=True)
class Drift:
    """KL(base ‖ adapter) on the bare base's own dreams, in nats per token."""

    live: float
    candidate: float
    tokens: int


@dataclass(frozen=True, slots=True)
class BatchScore:
    """What was held out of one batch, before a night and after it."""

    batch: int
    known: bool
    """Whether live had learned it before; if not, it is today's."""

    loss: Loss
    exact: Exact | None
    """None where no prompt of it was asked."""


@dataclass(frozen=True, slots=True)
class CheckMove:
    """How far a number that a check looks at moved while a candidate was weakened."""

    name: str
    """Of the check."""

    whole: float
    """Of the candidate as the night left it."""

    weakened: float
    bound: float
    """What refuses a candidate; by the check it is the most or the least."""


@dataclass(frozen=True, slots=True)
class Mending:
    """What weakening a refused candidate towards live came to."""

    weight: float | None
    """λ of (1 - λ) live + λ candidate that met the gate; None where none did."""

    tried: tuple[float, ...]
    """Each λ that was measured, in order."""

    refusal: str
    """Why the whole candidate was refused."""

    failed: tuple[str, ...]
    """Names of the checks that refused it."""

    moves: tuple[CheckMove, ...] = ()
    """Each check of the whole candidate, and of the λ that was kept, or tried last."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate may go live, and which number decided."""

    accepted: bool
    reason: str
    retention: Loss | None
    """On known batches; None where nothing known is held out."""

    acquisition: Loss | None
    """On today's batches; None where nothing of today is held out."""

    finite: bool
    general: Loss | None = None
    """On the bare base's own dreams; None where it does not dream."""

    drift: Drift | None = None
    """How far both are from the bare base; None where it does not dream."""

    exact_known: Exact | None = None
    """On known batches; None where no prompt with a short answer is held out."""

    exact_today: Exact | None = None
    """On today's batches, alike."""

    learned_bits: float | None = None
    """What the candidate knows more of today's held-out tokens than live does, all
    together; None where nothing of today is held out."""

    batches: tuple[BatchScore, ...] = ()
    """Each measured batch, known ones first."""

    failed: tuple[str, ...] = ()
    """Names of the checks that refuse it; `reason` is the first one's."""

    agreement: Kept | None = None
    """On held-out turns of the bare base, asked anew; None where it has none."""

    anchors: Kept | None = None
    """On the owner's anchors; None where there are none."""

    mending: Mending | None = None
    """None where the candidate was not weakened."""


def losses_text(acquisition: Loss | None, retention: Loss | None) -> str:
    """Return what happened to today's and to known batches."""
    return f"{acquisition_text(acquisition)}; {retention_text(retention)}"


def acquisition_text(loss: Loss | None) -> str:
    """Return what happened to today's batches, for a verdict's reason."""
    if loss is None:
        return "nothing of today's batches is held out, so acquisition is not measured"
    return f"held-out loss of today's batches {loss.movement}"


def retention_text(loss: Loss | None) -> str:
    """Return what happened to known batches, for a verdict's reason."""
    if loss is None:
        return "nothing known is held out, so retention is not measured"
    return f"held-out loss of known batches {loss.movement}"
