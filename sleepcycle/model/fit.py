"""The training loop: one, on `transformers.Trainer`, whatever the objective."""

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from sleepcycle.config import WakeSettings
from sleepcycle.errors import DivergedError
from sleepcycle.model.adapters import parameters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Batch, collate, pad_id
from sleepcycle.model.score import token_losses
from sleepcycle.records import Progress

# The best LoRA rate falls with the width of the model, and not with the rank: the fit
# for the Llama family in Tinker's documentation ("Hyperparameters", 2025), after
# "LoRA Without Regret" (2025). The cap is a guess.
LORA_LR = 5e-4
REFERENCE_WIDTH = 2000
WIDTH_POWER = 0.78
MAX_LR = 3e-3

FINAL_SHARE = 0.1  # of the peak learning rate, at the last step
SPEED_STEPS = 20  # over which tokens a second are measured

Objective = Callable[[nn.Module, Any], Tensor]
"""Returns the loss of one batch, of the kind that `collate` makes, as a scalar."""

Collate = Callable[[Sequence[Any], int], Any]
"""Makes a dataclass of tensors, a `mask` among them, of examples and a padding id."""


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


def auto_lr(width: int) -> float:
    """Return the peak learning rate of a LoRA on a base of hidden size `width`."""
    return min(MAX_LR, LORA_LR * math.pow(REFERENCE_WIDTH / width, WIDTH_POWER))


def learning_rate(settings: WakeSettings, width: int) -> float:
    """Return a wake's peak learning rate on a base of hidden size `width`."""
    return auto_lr(width) if settings.lr == "auto" else settings.lr


def weighted_nll(model: nn.Module, batch: Batch) -> Tensor:
    """Return the weighted mean loss of a batch's tokens, in nats per token."""
    weights = batch.weights[:, 1:]
    total = (token_losses(model, batch) * weights).sum()
    learned = weights.sum().clamp_min(1e-6)  # a batch cut to nothing learns nothing
    return total / learned


def fit(  # noqa: PLR0913 - what is trained on, watched and minimised are options
    base: Base,
    plan: FitPlan,
    batches: Sequence[Sequence[Any]],
    *,
    on_progress: Callable[[Progress], None],
    held_out_loss: Callable[[], float] | None = None,
    objective: Objective = weighted_nll,
    collate: Collate = collate,
) -> FitResult:
    """Train the plan's adapter, one batch a step, over whatever else is active.

    With `held_out_loss` the weights of its lowest value are kept, and training stops
    where `patience` looks bring nothing better.

    Raises:
        DivergedError: The loss is not a number, or above `max_loss`; the weights are
            those of the step before.
    """
    trained = parameters(base, plan.adapter)
    steps = _Steps(batches, pad_id(base), collate)
    watch = _Watch(plan, base.model, trained, held_out_loss, on_progress)
    with tempfile.TemporaryDirectory() as unused, torch.random.fork_rng():
        trainer = _Trainer(
            lambda model, inputs: objective(model, steps.batch(inputs)),
            watch,
            model=base.model,
            args=_arguments(plan, base, unused),
            train_dataset=steps,
            data_collator=_only,
            optimizers=_optimizer(plan, trained),
            callbacks=[watch],
        )
        trainer.remove_callback(PrinterCallback)
        started = time.perf_counter()
        try:
            trainer.train()
        finally:
            base.model.eval()
            base.model.requires_grad_(False)
        seconds = time.perf_counter() - started
    return watch.result(seconds)


class _Trainer(Trainer):  # type: ignore[misc]
    """Trainer with our objective, whose every loss is watched before it counts."""

    def __init__(self, objective: Objective, watch: "_Watch", **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self._objective = objective
        self._watch = watch

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        **_: object,
    ) -> Tensor:
        """Return the loss of one batch."""
        return self._objective(model, inputs)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Tensor], *rest: object
    ) -> Tensor:
        """Do one step; a loss that is broken ends the run before the weights move."""
        loss: Tensor = super().training_step(model, inputs, *rest)
        self._watch.saw(float(loss), int(inputs["mask"].sum()))
        return loss


class _Watch(TrainerCallback):  # type: ignore[misc]
    """Watches a run: its losses, its speed, and when it has learned enough."""

    def __init__(
        self,
        plan: FitPlan,
        model: nn.Module,
        trained: list[nn.Parameter],
        held_out_loss: Callable[[], float] | None,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._plan = plan
        self._model = model
        self._trained = trained
        self._held_out_loss = held_out_loss
        self._on_progress = on_progress
        self._losses: list[float] = []
        self._tokens: list[int] = []
        self._times = [time.perf_counter()]
        self._looks: list[tuple[int, float]] = []
        self._best: tuple[float, int, list[Tensor]] | None = None

    def saw(self, loss: float, tokens: int) -> None:
        """Take the loss of a step whose update is still to come."""
        if not loss <= self._plan.max_loss:  # also where it is NaN
            raise self._diverged(
                f"the loss is {loss:.4g} nats per token, {self._plan.max_loss:g} is "
                "the most allowed"
            )
        gradients = [p.grad for p in self._trained if p.grad is not None]
        if not nn.utils.get_total_norm(gradients).isfinite():
            raise self._diverged("the gradient is not finite")
        self._losses.append(loss)
        self._tokens.append(tokens)

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Look at the held-out loss of the start, if that may be kept."""
        if self._plan.may_keep_start:
            self._look(0)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Report the step; look at the held-out loss when it is time."""
        step = len(self._losses)
        self._times.append(time.perf_counter())
        self._on_progress(self._progress(step))
        last = step == self._plan.steps
        if self._held_out_loss and (last or step % self._plan.check_every == 0):
            self._look(step)
            control.should_training_stop = last or self._waited_enough()

    def result(self, seconds: float) -> FitResult:
        """Put the best weights back, and say what the run did."""
        steps = len(self._losses)
        best_step = steps
        if self._best is not None:
            _, best_step, weights = self._best
            _restore(self._trained, weights)
        return FitResult(
            steps=steps,
            tokens=sum(self._tokens),
            seconds=seconds,
            loss_first=self._losses[0],
            loss_last=self._losses[-1],
            best_step=best_step,
            stopped_early=steps < self._plan.steps,
            held_out=tuple(self._looks),
        )

    def _diverged(self, what: str) -> DivergedError:
        """Say at which step it went wrong, and what to try."""
        step = len(self._losses) + 1
        return DivergedError(
            f"training diverged at step {step} of {self._plan.steps}: {what}; try a "
            f"lower {self._plan.setting} than {self._plan.lr:.3g}"
        )

    def _look(self, step: int) -> None:
        """Measure the held-out loss, and keep the weights where it is the lowest."""
        if self._held_out_loss is None:
            return
        self._model.eval()
        loss = self._held_out_loss()
        self._model.train()
        if not math.isfinite(loss):
            raise self._diverged(f"the held-out loss is {loss}")
        self._looks.append((step, loss))
        if self._best is None or loss < self._best[0]:
            weights = [parameter.detach().clone() for parameter in self._trained]
            self._best = (loss, step, weights)

    def _waited_enough(self) -> bool:
        """Say whether the last `patience` looks brought nothing better."""
        if self._plan.patience == 0 or self._best is None:
            return False
        since = [step for step, _ in self._looks if step > self._best[1]]
        return len(since) >= self._plan.patience

    def _progress(self, step: int) -> Progress:
        """Say where the run is, by the speed of its last steps."""
        first = max(0, step - SPEED_STEPS)
        seconds = self._times[step] - self._times[first]
        return Progress(
            stage=self._plan.stage,
            step=step,
            steps=self._plan.steps,
            loss=self._losses[-1],
            tokens_per_second=sum(self._tokens[first:step]) / seconds,
            left_s=seconds / (step - first) * (self._plan.steps - step),
        )


class _Steps(torch.utils.data.Dataset[dict[str, Tensor]]):
    """The batches of a run, in order, padded when they are needed."""

    def __init__(
        self, batches: Sequence[Sequence[Any]], pad: int, collate: Collate
    ) -> None:
        self._batches = batches
        self._pad = pad
        self._collate = collate
        self._kind = type(collate(batches[0], pad))

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return dict(vars(self._collate(self._batches[step], self._pad)))

    def batch(self, inputs: dict[str, Tensor]) -> Any:  # noqa: ANN401
        """Return a loaded step as the dataclass that it was."""
        return self._kind(**inputs)


def _only(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the one batch that a step loads."""
    [batch] = items
    return batch


def _arguments(plan: FitPlan, base: Base, folder: str) -> TrainingArguments:
    """Tell the trainer to write nothing, say nothing and keep our order."""
    return TrainingArguments(
        output_dir=folder,
        max_steps=plan.steps,
        per_device_train_batch_size=1,  # each item is a whole batch
        train_sampling_strategy="sequential",
        max_grad_norm=plan.max_grad_norm,
        seed=plan.seed,
        use_cpu=base.device.type == "cpu",
        remove_unused_columns=False,
        dataloader_pin_memory=base.device.type == "cuda",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def _optimizer(plan: FitPlan, trained: list[nn.Parameter]) -> tuple[AdamW, LambdaLR]:
    """Return AdamW, and a rate that warms up and falls to a tenth as a cosine."""
    optimizer = AdamW(trained, lr=plan.lr, weight_decay=plan.weight_decay)

    def share(step: int) -> float:
        if step < plan.warmup_steps:
            return (step + 1) / plan.warmup_steps
        falling = max(1, plan.steps - plan.warmup_steps)
        done = min(1.0, (step - plan.warmup_steps) / falling)
        height = (1 + math.cos(math.pi * done)) / 2
        return FINAL_SHARE + (1 - FINAL_SHARE) * height

    return optimizer, LambdaLR(optimizer, share)


@torch.no_grad()
def _restore(trained: list[nn.Parameter], weights: list[Tensor]) -> None:
    """Put weights back."""
    for parameter, weight in zip(trained, weights, strict=True):
        parameter.copy_(weight)
