"""The training loop: one, whatever is minimised."""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

import torch
from accelerate.utils.memory import clear_device_cache
from loguru import logger
from torch import Tensor, nn
from torch.optim import AdamW

from sleepcycle.model.base import Base
from sleepcycle.model.checkpoint import Checkpoints, State
from sleepcycle.model.checkpointing import checkpointed, needs_checkpoints
from sleepcycle.model.compiled_layers import compiles
from sleepcycle.model.gradients import NLL, Gradients, Objective
from sleepcycle.model.monitor import FitPlan, FitResult, MonitorOptions, TrainingMonitor
from sleepcycle.model.out_of_memory import is_full
from sleepcycle.model.pace import LearningCost, Pace
from sleepcycle.model.peak_speed import peak_of
from sleepcycle.model.readback import Readback
from sleepcycle.model.seeded import seeded
from sleepcycle.model.student import Student
from sleepcycle.records.progress import Progress
from sleepcycle.settings.config import WakeSettings

# The best LoRA rate falls with the width of the model, and not with the rank: the fit
# for the Llama family in Tinker's documentation ("Hyperparameters", 2025), after
# "LoRA Without Regret" (2025). The cap is a guess.
LORA_LR = 5e-4
REFERENCE_WIDTH = 2000
WIDTH_POWER = 0.78
MAX_LR = 3e-3
HELD = 2  # times that, where the base is held; docs/explanation/experiments.md

LATER = {"holds_zeros": False}  # of a plan as earlier releases kept it
ENDS = ("ends_from", "ends_every")  # of none of them; they change nothing learned
FINAL_SHARE = 0.1  # of the peak learning rate, at the last step


def auto_lr(width: int) -> float:
    """Return the peak learning rate of a LoRA on a base of hidden size `width`."""
    return min(MAX_LR, LORA_LR * math.pow(REFERENCE_WIDTH / width, WIDTH_POWER))


def learning_rate(settings: WakeSettings, width: int, *, held: bool = False) -> float:
    """Return a wake's peak learning rate on a base of hidden size `width`.

    The automatic one is twice as high where the base's own turns hold it: their part
    of a gradient is the larger one, and what is learned of the rest would be little.
    """
    automatic = min(auto_lr(width) * (HELD if held else 1), MAX_LR)
    lr = automatic if settings.lr == "auto" else settings.lr
    return lr * settings.lr_scale


def fit(  # noqa: PLR0913 - what is trained on, watched and minimised are options
    base: Base,
    plan: FitPlan,
    batches: Sequence[Sequence[Any]],
    *,
    on_progress: Callable[[Progress], None],
    held_out_loss: Callable[[], float] | None = None,
    confidence: Callable[[], float] | None = None,
    objective: Objective = NLL,
    keep: Checkpoints | None = None,
) -> FitResult:
    """Train the plan's adapter, one batch a step, over whatever else is active.

    With `held_out_loss` the weights of its lowest value are kept, and training stops
    where `patience` looks bring nothing better. With `confidence`, the least that a
    token to be learned is given, it ends once that is high, from the plan's `ends_from`
    on. With `keep` it goes on from the state
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
    student = Student(base, plan.adapter)
    optimizer = AdamW(
        [student.weights], lr=plan.lr, weight_decay=plan.weight_decay, fused=True
    )
    cost = learning_cost(base, student.weights.numel())
    ahead = [objective.work(batch, cost) for batch in batches[: plan.steps]]
    peak = peak_of(base.device)
    pace = Pace(ahead, plan.check_every if held_out_loss else 0, peak)
    watch = TrainingMonitor(
        MonitorOptions(plan, on_progress, held_out_loss, keep, pace, confidence),
        student,
    )
    left = ahead[start.seen.step if start else 0 :]
    compiled = compiles(base, left, peak)
    with (
        closing(Gradients(base, student, objective, batches, compiled)) as gradients,
        seeded(plan.seed, base.device),
        student.learning(),
        checkpointed(base.model, wanted=_twice(base, student, gradients)),
    ):
        watch.begin(optimizer, start)
        run = _Steps(plan, student, gradients, watch, optimizer)
        done = start.seen.step if start else 0
        for step in range(done, plan.steps):
            if watch.finished:
                break
            run.take(batches[step : step + 2], step)
        run.settle()
        return watch.result()


def _twice(base: Base, student: Student, gradients: Gradients) -> bool:
    """Return whether layers are computed twice."""
    return needs_checkpoints(
        base,
        tokens=gradients.most_at_once,
        longest=gradients.longest,
        rank=len(student.masters[0]),
    )


def _start(plan: FitPlan, keep: Checkpoints | None) -> State | None:
    """Return where to go on; None at the beginning, or where the plan is another."""
    start = keep.load() if keep else None
    now = asdict(plan)
    later = LATER | {name: now[name] for name in ENDS}
    if start is not None and {**later, **start.seen.plan} != now:
        logger.warning("left a checkpoint of another plan, and began anew")
        return None
    return start


def learning_cost(base: Base, adapter: int) -> LearningCost:
    """Return what it takes to learn a token, as far as it hangs on the model.

    Args:
        base: The base.
        adapter: How many weights learn.
    """
    config = base.model.config.get_text_config()
    return LearningCost(
        matrices=sum(rows * columns for rows, columns in base.targets.shapes.values()),
        adapter=adapter,
        head=config.vocab_size * base.width,
        channels=config.num_hidden_layers * base.width,
    )


class _Steps:
    """The steps of a run.

    On a GPU a step's loss is read while the gradient of the next is computed. A step
    that is broken moves nothing, and what is looked at or kept after a step is what it
    made, since the next one's weights wait for that.
    """

    def __init__(
        self,
        plan: FitPlan,
        student: Student,
        gradients: Gradients,
        watch: TrainingMonitor,
        optimizer: AdamW,
    ) -> None:
        self._plan = plan
        self._student = student
        self._gradients = gradients
        self._watch = watch
        self._optimizer = optimizer
        self._moves = student.weights != 0 if plan.holds_zeros else None
        self._unsettled: tuple[Readback, int] | None = None

    def take(self, batches: Sequence[Sequence[Any]], step: int) -> None:
        """Do one step, unless the one before it turns out to have been the last.

        Args:
            batches: Its examples, and those of the next, which are put together while
                a GPU computes.
            step: Which it is, from 0 on.
        """
        examples, *ahead = batches
        try:
            loss = self._learn(examples)
        finally:  # also where this step fails: the one before it was done
            self.settle()
        if self._watch.finished:
            return
        self._move(loss, step, self._gradients.tokens(examples))
        for following in ahead:
            self._gradients.prepare(following, self._watch.micro_batches)
        if self._student.device.type == "cpu":
            self.settle()

    def settle(self) -> None:
        """Look at the last step, report it and keep it.

        Raises:
            DivergedError: It was broken, and has moved nothing.
        """
        if self._unsettled is None:
            return
        found, tokens = self._unsettled
        self._unsettled = None
        loss, norm = found.read()
        self._watch.saw(loss, norm, tokens)
        self._watch.after_step(self._optimizer)

    def _move(self, loss: Tensor, step: int, tokens: int) -> None:
        """Move the weights by the gradient of a step, if that is not broken."""
        if self._moves is not None:
            self._student.gradient.mul_(self._moves)
        norm = nn.utils.clip_grad_norm_(self._student.weights, self._plan.max_grad_norm)
        self._unsettled = Readback(torch.stack([loss, norm])), tokens
        whole = (loss <= self._plan.max_loss) & norm.isfinite()
        # what a gradient scaler tells an optimizer: 1 lets all be as it was
        self._optimizer.found_inf = 1 - whole.float()  # type: ignore[attr-defined]
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.lr * rate_share(self._plan, step)
        self._optimizer.step()
        self._student.moved()

    def _learn(self, examples: Sequence[Any]) -> Tensor:
        """Make a batch's gradient, in as many parts as memory asks for."""
        while True:
            try:
                return self._gradients.make(examples, self._watch.micro_batches)
            except RuntimeError as error:
                cause = str(error).partition("\n")[0]
                if not is_full(error):
                    raise
            self._watch.split(len(examples), cause)
            clear_device_cache(garbage_collection=True)


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
