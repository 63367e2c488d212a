"""The training loop: one, on `transformers.Trainer`, whatever the objective."""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from loguru import logger
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, Trainer, TrainingArguments

from sleepcycle.model.adapters import parameters
from sleepcycle.model.base import Base
from sleepcycle.model.checkpoint import Checkpoints, State, Student
from sleepcycle.model.encode import PaddedBatch, collate, pad_id
from sleepcycle.model.monitor import FitPlan, FitResult, MonitorOptions, TrainingMonitor
from sleepcycle.model.score import token_losses
from sleepcycle.records.progress import Progress
from sleepcycle.settings.config import WakeSettings

# The best LoRA rate falls with the width of the model, and not with the rank: the fit
# for the Llama family in Tinker's documentation ("Hyperparameters", 2025), after
# "LoRA Without Regret" (2025). The cap is a guess.
LORA_LR = 5e-4
REFERENCE_WIDTH = 2000
WIDTH_POWER = 0.78
MAX_LR = 3e-3

FINAL_SHARE = 0.1  # of the peak learning rate, at the last step
LEAST_WEIGHT = 1e-6  # of a batch: one that is cut to nothing learns nothing

Objective = Callable[[nn.Module, Any], Tensor]
"""Returns the loss of one batch, of the kind that `collate` makes, as a scalar: the
mean of its tokens' losses by weight, so that parts of a batch add up to it."""

Collate = Callable[[Sequence[Any], int], Any]
"""Makes a dataclass of tensors, `mask` and `weights` among them, of examples and a
padding id."""


def auto_lr(width: int) -> float:
    """Return the peak learning rate of a LoRA on a base of hidden size `width`."""
    return min(MAX_LR, LORA_LR * math.pow(REFERENCE_WIDTH / width, WIDTH_POWER))


def learning_rate(settings: WakeSettings, width: int) -> float:
    """Return a wake's peak learning rate on a base of hidden size `width`."""
    lr = auto_lr(width) if settings.lr == "auto" else settings.lr
    return lr * settings.lr_scale


def weighted_nll(model: nn.Module, batch: PaddedBatch) -> Tensor:
    """Return the weighted mean loss of a batch's tokens, in nats per token."""
    weights = batch.weights[:, 1:]
    total = (token_losses(model, batch) * weights).sum()
    return total / weights.sum().clamp_min(LEAST_WEIGHT)


def fit(  # noqa: PLR0913 - what is trained on, watched and minimised are options
    base: Base,
    plan: FitPlan,
    batches: Sequence[Sequence[Any]],
    *,
    on_progress: Callable[[Progress], None],
    held_out_loss: Callable[[], float] | None = None,
    objective: Objective = weighted_nll,
    collate: Collate = collate,
    keep: Checkpoints | None = None,
) -> FitResult:
    """Train the plan's adapter, one batch a step, over whatever else is active.

    With `held_out_loss` the weights of its lowest value are kept, and training stops
    where `patience` looks bring nothing better. With `keep` it goes on from the state
    that is kept; on a CPU to the same bytes as if it had never been broken off. A
    batch that does not fit in memory is learned in parts, to the same gradient but
    for rounding.

    Raises:
        DivergedError: The loss is not a number, or above `max_loss`; the weights are
            those of the step before.
        ModelError: Not even part of a batch fits in memory.
        Paused: `keep` asked for it.
    """
    start = _start(plan, keep)
    done = start.seen.step if start else 0
    trained = parameters(base, plan.adapter)
    optimizer, scheduler = _optimizer(plan, trained, done)
    student = Student(base.model, trained, optimizer, base.device)
    watch = TrainingMonitor(
        MonitorOptions(plan, on_progress, held_out_loss, keep), student, start
    )
    steps = _Steps(batches[done:] or batches, pad_id(base), collate)
    try:
        with tempfile.TemporaryDirectory() as unused, torch.random.fork_rng():
            trainer = _Trainer(
                objective,
                watch,
                model=base.model,
                args=_arguments(plan, base, done, unused),
                train_dataset=steps,
                data_collator=_only,
                optimizers=(optimizer, scheduler),
                callbacks=[watch],
            )
            trainer.remove_callback(PrinterCallback)
            if not watch.finished:
                trainer.train()
    finally:
        base.model.eval()
        base.model.requires_grad_(False)
    return watch.result()


def _start(plan: FitPlan, keep: Checkpoints | None) -> State | None:
    """Return where to go on; None at the beginning, or where the plan is another."""
    start = keep.load() if keep else None
    if start is not None and start.seen.plan != asdict(plan):
        logger.warning("left a checkpoint of another plan, and began anew")
        return None
    return start


class _Trainer(Trainer):  # type: ignore[misc]
    """Trainer with our objective, whose every loss is watched before it counts."""

    train_dataset: "_Steps"

    def __init__(
        self,
        objective: Objective,
        watch: TrainingMonitor,
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**options)
        self._objective = objective
        self._watch = watch

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        **_: object,
    ) -> Tensor:
        """Return the loss of one batch, or the share that a part has in it."""
        inputs = dict(inputs)
        share = inputs.pop("share", None)
        loss = self._objective(model, self.train_dataset.batch(inputs))
        return loss if share is None else loss * share

    def training_step(
        self, model: nn.Module, inputs: dict[str, Tensor], *rest: object
    ) -> Tensor:
        """Do one step; a loss that is broken ends the run before the weights move."""
        tokens = int(inputs["mask"].sum())
        loss = self._learn(model, inputs, *rest)
        self._watch.saw(float(loss), tokens)
        return loss

    def _learn(
        self, model: nn.Module, inputs: dict[str, Tensor], *rest: object
    ) -> Tensor:
        """Do a batch forward and backward, in as many parts as memory asks for."""
        step = self.state.global_step
        while True:
            parts = self._watch.micro_batches
            split = self.train_dataset.split(step, parts) if parts > 1 else [inputs]
            try:
                return self._backward(model, split, *rest)
            except RuntimeError as error:
                cause = str(error).partition("\n")[0]
                if not _is_full(error):
                    raise
            self._watch.split(len(self.train_dataset.examples(step)), cause)
            _make_room(model)

    def _backward(
        self, model: nn.Module, parts: list[dict[str, Tensor]], *rest: object
    ) -> Tensor:
        """Add up the loss of a batch's parts, and their gradients."""
        losses: list[Tensor] = []
        for part in parts:
            losses.append(super().training_step(model, part, *rest))
        return torch.stack(losses).sum()


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

    def examples(self, step: int) -> Sequence[Any]:
        """Return what a step learns."""
        return self._batches[step]

    def split(self, step: int, count: int) -> list[dict[str, Tensor]]:
        """Return a step in parts, each with the share that its loss has in the whole.

        A part's loss is a mean by weight, so its share is its part of all weight.
        """
        examples = self._batches[step]
        size = math.ceil(len(examples) / count)
        parts = [
            dict(vars(self._collate(examples[first : first + size], self._pad)))
            for first in range(0, len(examples), size)
        ]
        weights = [part["weights"][:, 1:].sum() for part in parts]
        whole = sum(weights, torch.zeros(())).clamp_min(LEAST_WEIGHT)
        for part, weight in zip(parts, weights, strict=True):
            part["share"] = weight.clamp_min(LEAST_WEIGHT) / whole
        return parts


def _is_full(error: RuntimeError) -> bool:
    """Return whether memory has run out, of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError) or should_reduce_batch_size(error)


def _make_room(model: nn.Module) -> None:
    """Drop what a step that failed has left in memory."""
    model.zero_grad()
    clear_device_cache(garbage_collection=True)


def _only(items: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the one batch that a step loads."""
    [batch] = items
    return batch


def _arguments(plan: FitPlan, base: Base, done: int, folder: str) -> TrainingArguments:
    """Return what lets the trainer write nothing, print nothing and keep our order."""
    return TrainingArguments(
        output_dir=folder,
        max_steps=max(1, plan.steps - done),
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


def _optimizer(
    plan: FitPlan, trained: list[nn.Parameter], done: int
) -> tuple[AdamW, LambdaLR]:
    """Return AdamW, and what gives each step its share of the rate.

    Args:
        plan: What to train.
        trained: Its parameters.
        done: Steps that were done before.
    """
    optimizer = AdamW(trained, lr=plan.lr, weight_decay=plan.weight_decay)
    return optimizer, LambdaLR(optimizer, lambda after: rate_share(plan, done + after))


def rate_share(plan: FitPlan, step: int) -> float:
    """Return a step's share of the peak rate: it warms up, then falls as a cosine.

    The first step has a part of the rate already, the last a tenth and a little.
    """
    if step < plan.warmup_steps:
        return (step + 1) / plan.warmup_steps
    falling = max(1, plan.steps - plan.warmup_steps)
    fallen = min(1.0, (step - plan.warmup_steps) / falling)
    height = (1 + math.cos(math.pi * fallen)) / 2
    return FINAL_SHARE + (1 - FINAL_SHARE) * height
