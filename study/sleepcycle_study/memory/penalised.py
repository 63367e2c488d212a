"""Training with a penalty beside the loss, by the package's own loop."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from sleepcycle.learning import wake
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.batching import BatchSource
from sleepcycle.model.encode import Encoded, encode_all
from sleepcycle.model.fit import fit, learning_rate
from sleepcycle.model.gradients import Objective
from sleepcycle.model.loss_reduction import reduced
from sleepcycle.model.monitor import FitPlan
from sleepcycle.model.score import encode_held_out, held_out_loss
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.settings import training_steps
from sleepcycle.settings.config import WakeSettings
from sleepcycle_study.memory.day import Lifetime, Today

MAX_LOSS = 1e6  # penalties are no losses: a large one is no explosion

Penalty = Callable[[], Tensor]
"""Returns what is added to the loss of each batch, as a scalar."""


def new_adapter(
    base: Base, settings: WakeSettings, seed: int, start: LayerChanges
) -> list[nn.Parameter]:
    """Put the day's adapter on the base as the wake does; return its parameters."""
    adapters.new_day(
        base,
        wake.DAY,
        adapters.day_config(settings.rank, settings.alpha, settings.dropout),
        seed=seed,
        start=start or None,
    )
    return adapters.parameters(base, wake.DAY)


def train(
    base: Base, life: Lifetime, today: Today, settings: WakeSettings, penalty: Penalty
) -> None:
    """Train the day's adapter on new examples alone, over whatever else is active."""
    source = BatchSource(
        new=reduced(encoded(base, today.new, settings), settings.loss_reduction),
        replay=[],
        replay_share=0,
        batch_size=settings.batch_size,
    )
    steps = training_steps.step_count(settings, len(source.new), source.room)

    result = fit(
        base,
        _plan(base, settings, steps, today.seed),
        source.draw(steps, today.seed),
        on_progress=ignore_progress,
        held_out_loss=held_out_loss(
            base,
            [encode_held_out(base, today.held_out)],
            ignore_progress,
            settings.loss_reduction,
        ),
        objective=Objective(penalty=penalty),
    )
    life.cost.trained += result.tokens


def encoded(
    base: Base, examples: Sequence[Example], settings: WakeSettings
) -> list[Encoded]:
    """Turn examples into token ids with weights."""
    weight = settings.prompt_weight
    contents = (example.content for example in examples)
    return encode_all(contents, base, prompt_weight=weight)


def _plan(base: Base, settings: WakeSettings, steps: int, seed: int) -> FitPlan:
    """Return how to train: as the wake would."""
    return FitPlan(
        adapter=wake.DAY,
        lr=learning_rate(settings, base.width),
        steps=steps,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        max_loss=MAX_LOSS,
        check_every=settings.check_every,
        patience=settings.patience,
        seed=seed,
    )
