"""The watch over a training loop: what it has seen, when it ends, what is kept."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from transformers import (
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from sleepcycle.errors import DivergedError, ModelError
from sleepcycle.model.checkpoint import (
    Checkpoints,
    Seen,
    State,
    Student,
    best_of,
    gather,
    put_moments_back,
    put_weights_back,
)
from sleepcycle.records.progress import Progress

SPEED_STEPS = 20  # over which tokens a second are measured
MOST_PARTS = 8  # of a batch that does not fit in memory


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


@dataclass(frozen=True)
class MonitorOptions:
    """What a run is watched by."""

    plan: FitPlan
    on_progress: Callable[[Progress], None]
    held_out_loss: Callable[[], float] | None
    keep: Checkpoints | None


class TrainingMonitor(TrainerCallback):  # type: ignore[misc]
    """Watches a run: its losses, its speed, and when it has learned enough."""

    def __init__(
        self, terms: MonitorOptions, student: Student, start: State | None
    ) -> None:
        self._terms = terms
        self._plan = terms.plan
        self._student = student
        self._start = start
        self.finished = False
        self.micro_batches = 1
        self._losses: list[float] = []
        self._tokens: list[int] = []
        self._looks: list[tuple[int, float]] = []
        self._best: tuple[float, int, list[Tensor]] | None = None
        self._before_s = 0.0
        if start is not None:
            self._go_on(start.seen, start)
        self._first = len(self._losses)
        self._times = [time.perf_counter()]

    def _go_on(self, seen: Seen, start: State) -> None:
        """Know what was seen before a checkpoint, and have its weights."""
        self.finished = seen.finished
        self.micro_batches = seen.micro_batches
        self._losses = list(seen.losses)
        self._tokens = list(seen.tokens)
        self._looks = list(seen.looks)
        self._before_s = seen.seconds
        put_weights_back(self._student, start.tensors)
        if seen.best is not None:
            self._best = (*seen.best, best_of(self._student, start.tensors))

    def saw(self, loss: float, tokens: int) -> None:
        """Take the loss of a step whose update is still to come."""
        if not loss <= self._plan.max_loss:  # also where it is NaN
            raise self._diverged(
                f"the loss is {loss:.4g} nats per token, {self._plan.max_loss:g} is "
                "the most allowed"
            )
        gradients = [p.grad for p in self._student.weights if p.grad is not None]
        if not nn.utils.get_total_norm(gradients).isfinite():
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
                f"got: {cause}; lower {batch_size} or model.max_length"
            )
        self.micro_batches *= 2

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Look at the held-out loss of the start, if that may be kept."""
        if self._plan.may_keep_start and self._start is None:
            self._look(0)

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Let the first step after a checkpoint find all as the last one left it."""
        if self._start is not None:
            put_moments_back(self._student, self._start.tensors)
            self._start = None

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Report the step; look at the held-out loss, and keep the state, in time."""
        step = len(self._losses)
        self._times.append(time.perf_counter())
        self._terms.on_progress(self._progress(step))
        self.finished = last = step == self._plan.steps
        looks = self._terms.held_out_loss is not None
        if looks and (last or step % self._plan.check_every == 0):
            self._look(step)
            self.finished = last or self._waited_enough()
        control.should_training_stop = self.finished
        keep = self._terms.keep
        if keep is not None and (self.finished or keep.due(step)):
            keep.save(self._state(step))

    def result(self) -> FitResult:
        """Put the best weights back, and return what the run did."""
        steps = len(self._losses)
        best_step = steps
        if self._best is not None:
            _, best_step, weights = self._best
            _restore(self._student, weights)
        return FitResult(
            steps=steps,
            tokens=sum(self._tokens),
            seconds=self._seconds(),
            loss_first=self._losses[0],
            loss_last=self._losses[-1],
            best_step=best_step,
            stopped_early=steps < self._plan.steps,
            held_out=tuple(self._looks),
        )

    def _state(self, step: int) -> State:
        """Return all that it takes to go on after this step."""
        loss, best_step, weights = self._best or (0.0, 0, [])
        seen = Seen(
            step=step,
            steps=self._plan.steps,
            finished=self.finished,
            plan=asdict(self._plan),
            losses=tuple(self._losses),
            tokens=tuple(self._tokens),
            looks=tuple(self._looks),
            best=(loss, best_step) if self._best else None,
            seconds=self._seconds(),
            micro_batches=self.micro_batches,
        )
        return State(seen, gather(self._student, weights))

    def _seconds(self) -> float:
        """Return how long training took until now."""
        return self._before_s + time.perf_counter() - self._times[0]

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
        self._student.model.eval()
        loss = self._terms.held_out_loss()
        self._student.model.train()
        if not math.isfinite(loss):
            raise self._diverged(f"the held-out loss is {loss}")
        self._looks.append((step, loss))
        if self._best is None or loss < self._best[0]:
            weights = [weight.detach().clone() for weight in self._student.weights]
            self._best = (loss, step, weights)

    def _waited_enough(self) -> bool:
        """Return whether the last `patience` looks found nothing better."""
        if self._plan.patience == 0 or self._best is None:
            return False
        since = [step for step, _ in self._looks if step > self._best[1]]
        return len(since) >= self._plan.patience

    def _progress(self, step: int) -> Progress:
        """Return where the run is, and the speed of its last steps."""
        first = max(self._first, step - SPEED_STEPS)
        seconds = self._times[-1] - self._times[first - self._first]
        return Progress(
            stage=self._plan.stage,
            step=step,
            steps=self._plan.steps,
            loss=self._losses[-1],
            tokens_per_second=sum(self._tokens[first:step]) / seconds,
            left_s=seconds / (step - first) * (self._plan.steps - step),
            micro_batches=self.micro_batches,
        )


@torch.no_grad()
def _restore(student: Student, weights: list[Tensor]) -> None:
    """Put weights back."""
    for parameter, weight in zip(student.weights, weights, strict=True):
        parameter.copy_(weight)
