"""The watch over a training loop: what it has seen, when it ends, what is kept."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from torch import Tensor
from torch.optim import AdamW

from sleepcycle.errors import DivergedError, ModelError
from sleepcycle.model.checkpoint import Checkpoints, Seen, State, gather, put_back
from sleepcycle.model.pace import Pace
from sleepcycle.model.student import Student
from sleepcycle.records.progress import Progress

MOST_PARTS = 8  # of a batch that does not fit in memory
SURE = 0.8  # least probability of a token of what is learned; above 0.5 it is said


@dataclass(frozen=True)
class FitPlan:
    """How to train one adapter."""

    adapter: str
    lr: float
    steps: int
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    max_loss: float
    check_every: int
    patience: int
    seed: int
    stage: str = "wake"
    """What to call it in heartbeats."""

    setting: str = "wake.lr"
    """Which setting its learning rate comes from, for the user to change."""

    may_keep_start: bool = False
    """Look before the first step too, and keep what was there if nothing is better."""

    holds_zeros: bool = False
    """Whether what is zero in the adapter's factors stays zero."""

    ends_from: int = 0
    """First step after which it ends once all is learned; 0 for never."""

    ends_every: int = 1
    """Steps between two looks whether it is."""


@dataclass(frozen=True)
class FitResult:
    """What training did."""

    steps: int
    tokens: int
    """Passed through the model, padding not counted."""

    seconds: float
    loss_first: float
    loss_last: float
    best_step: int
    """The step whose weights were kept."""

    stopped_early: bool
    held_out: tuple[tuple[int, float], ...]
    """Step and held-out loss of each look."""

    mfu: float | None = None
    """Share of the device's peak that was used; None where that is not known."""

    confidence: tuple[tuple[int, float], ...] = ()
    """Step, and least probability that was given to a token of what is to be learned,
    of each look at it."""

    learned: bool = False
    """Whether it ended since all was learned, with the weights that did."""


@dataclass(frozen=True)
class MonitorOptions:
    """What a run is watched by."""

    plan: FitPlan
    on_progress: Callable[[Progress], None]
    held_out_loss: Callable[[], float] | None
    keep: Checkpoints | None
    pace: Pace
    confidence: Callable[[], float] | None = None
    """Least probability of a token of what is to be learned; what `ends_from` needs."""


class TrainingMonitor:
    """Watches a run: its losses, its speed, and when it has learned enough."""

    def __init__(self, terms: MonitorOptions, student: Student) -> None:
        self._terms = terms
        self._plan = terms.plan
        self._student = student
        self.finished = False
        self.micro_batches = 1
        self._losses: list[float] = []
        self._tokens: list[int] = []
        self._looks: list[tuple[int, float]] = []
        self._confidence: list[tuple[int, float]] = []
        self._best: tuple[float, int, Tensor] | None = None
        self._before_s = 0.0
        self._began = time.perf_counter()

    def begin(self, optimizer: AdamW, start: State | None) -> None:
        """Go on from a state, or look at the start if that may be kept."""
        if start is not None:
            self._go_on(start, put_back(self._student, optimizer, start.tensors))
        self._began = time.perf_counter()
        self._terms.pace.begin(len(self._losses))
        if start is None and self._plan.may_keep_start:
            self._look(0)

    def _go_on(self, start: State, best: Tensor | None) -> None:
        """Know what was seen before a checkpoint."""
        seen = start.seen
        self.finished = seen.finished
        self.micro_batches = seen.micro_batches
        self._losses = list(seen.losses)
        self._tokens = list(seen.tokens)
        self._looks = list(seen.looks)
        self._confidence = list(seen.confidence)
        self._before_s = seen.seconds
        if seen.best is not None and best is not None:
            self._best = (*seen.best, best)

    def saw(self, loss: float, norm: float, tokens: int) -> None:
        """Take a step whose update is still to come.

        Args:
            loss: Its loss, in nats per token.
            norm: Length of its gradient.
            tokens: How many it read.

        Raises:
            DivergedError: One is no number, or the loss is too large.
        """
        if not loss <= self._plan.max_loss:  # also where it is NaN
            raise self._diverged(
                f"the loss is {loss:.4g} nats per token, {self._plan.max_loss:g} is "
                "the most allowed"
            )
        if not math.isfinite(norm):
            raise self._diverged("the gradient is not finite")
        self._losses.append(loss)
        self._tokens.append(tokens)

    def split(self, examples: int, cause: str) -> None:
        """Let batches be split into more parts from now on, as one had no room.

        Raises:
            ModelError: They are in as many parts as may be.
        """
        if self.micro_batches >= min(MOST_PARTS, examples):
            least = math.ceil(examples / self.micro_batches)
            batch_size = self._plan.setting.removesuffix("lr") + "batch_size"
            raise ModelError(
                f"expected {least} of a batch's {examples} examples to fit in memory, "
                f"got: {cause}; lower {batch_size} or model.max_length, or set "
                'model.gradient_checkpointing = "on"'
            )
        self.micro_batches *= 2

    def after_step(self, optimizer: AdamW) -> None:
        """Report a step; look at the held-out loss, and keep the state, in time."""
        step = len(self._losses)
        self._terms.pace.learned()
        self._look_at_lesson(step)
        self._terms.on_progress(self._progress(step))
        self.finished = last = step == self._plan.steps or self._has_learned
        looks = self._terms.held_out_loss is not None
        if looks and (last or step % self._plan.check_every == 0):
            self._look(step)
            self.finished = last or self._waited_enough()
        keep = self._terms.keep
        if keep is not None and (self.finished or keep.due(step)):
            keep.save(self._state(step, optimizer))
            self._terms.pace.paused()

    def result(self) -> FitResult:
        """Put the best weights back, and return what the run did."""
        steps = len(self._losses)
        best_step = steps
        if self._best is not None:
            _, best_step, weights = self._best
            self._student.put_back(weights)
        return FitResult(
            steps=steps,
            tokens=sum(self._tokens),
            seconds=self._seconds(),
            loss_first=self._losses[0],
            loss_last=self._losses[-1],
            best_step=best_step,
            stopped_early=steps < self._plan.steps,
            held_out=tuple(self._looks),
            mfu=self._terms.pace.mfu,
            confidence=tuple(self._confidence),
            learned=self._has_learned and best_step == steps,
        )

    @property
    def _has_learned(self) -> bool:
        """Whether it was sure of all when it was last looked at."""
        return bool(self._confidence) and self._confidence[-1][1] >= SURE

    def _state(self, step: int, optimizer: AdamW) -> State:
        """Return all that it takes to go on after this step."""
        best = self._best
        seen = Seen(
            step=step,
            steps=self._plan.steps,
            finished=self.finished,
            plan=asdict(self._plan),
            losses=tuple(self._losses),
            tokens=tuple(self._tokens),
            looks=tuple(self._looks),
            confidence=tuple(self._confidence),
            best=(best[0], best[1]) if best else None,
            seconds=self._seconds(),
            micro_batches=self.micro_batches,
        )
        kept = best[2] if best else None
        return State(seen, gather(self._student, optimizer, kept))

    def _seconds(self) -> float:
        """Return how long training took until now."""
        return self._before_s + time.perf_counter() - self._began

    def _diverged(self, what: str) -> DivergedError:
        """Return the error of a step that went wrong, with what to try."""
        step = len(self._losses) + 1
        return DivergedError(
            f"training diverged at step {step} of {self._plan.steps}: {what}; try a "
            f"lower {self._plan.setting} than {self._plan.lr:.3g}"
        )

    def _look(self, step: int) -> None:
        """Measure the held-out loss, and keep the weights where it is the lowest."""
        if self._terms.held_out_loss is None:
            return
        with self._student.evaluating():
            loss = self._terms.held_out_loss()
        self._terms.pace.looked()
        if not math.isfinite(loss):
            raise self._diverged(f"the held-out loss is {loss}")
        self._looks.append((step, loss))
        if self._best is None or loss < self._best[0]:
            self._best = (loss, step, self._student.weights.detach().clone())

    def _look_at_lesson(self, step: int) -> None:
        """Measure how sure it is of all that is to be learned, if that may end it.

        Not in the last round, of which it could save no more than it costs.
        """
        first, every = self._plan.ends_from, self._plan.ends_every
        measure = self._terms.confidence
        if measure is None or not first <= step <= self._plan.steps - every:
            return
        if not first or (step - first) % every:
            return
        with self._student.evaluating():
            self._confidence.append((step, measure()))
        self._terms.pace.paused()

    def _waited_enough(self) -> bool:
        """Return whether the last `patience` looks found nothing better."""
        if self._plan.patience == 0 or self._best is None:
            return False
        since = [step for step, _ in self._looks if step > self._best[1]]
        return len(since) >= self._plan.patience

    def _progress(self, step: int) -> Progress:
        """Return where the run is, how fast, and how long it will go on."""
        pace = self._terms.pace
        return Progress(
            stage=self._plan.stage,
            step=step,
            steps=step if self._has_learned else self._plan.steps,
            loss=self._losses[-1],
            tokens_per_second=pace.tokens_per_second,
            left_s=0.0 if self._has_learned else pace.left_s,
            micro_batches=self.micro_batches,
            mfu=pace.mfu,
            confidence=self._confidence[-1][1] if self._confidence else None,
            held_out=self._looks[-1][1] if self._looks else None,
        )
