"""A dreamer: what a day has learned, taught for one night to ask for it as well.

A wake learns to answer. To dream its lesson a version must write the questions too, and
learning those by day costs the answers. So a copy learns them in the night, dreams, and
is dropped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.batching import mix
from sleepcycle.model.encode import Encoded
from sleepcycle.model.fit import fit, learning_rate
from sleepcycle.model.monitor import FitPlan
from sleepcycle.records.progress import Progress
from sleepcycle.settings.config import WakeSettings

DREAMER = "dreamer"
"""Name of the adapter that is trained and dropped."""


@dataclass(frozen=True)
class DreamerPlan:
    """How a dreamer is trained."""

    wake: WakeSettings
    """Of the day whose lesson it is: rank, rate and batch."""

    steps: int
    seed: int
    """Of its start and its batches."""


def teach_to_ask(
    base: Base,
    active: Sequence[str],
    examples: Sequence[Encoded],
    course: DreamerPlan,
    *,
    on_progress: Callable[[Progress], None],
) -> int:
    """Put a dreamer over what is active, and teach it whole examples.

    Args:
        base: The base.
        active: Adapters that the dreamer stands on; they stay as they are.
        examples: What it learns; prompts must weigh in them.
        course: How.
        on_progress: Called after each step.

    Returns:
        How many tokens it trained on. The dreamer stays on the base, active.

    Raises:
        DivergedError: The loss exploded or is not a number.
    """
    settings, steps, seed = course.wake, course.steps, course.seed
    config = adapters.day_config(settings.rank, settings.alpha, dropout=0.0)
    adapters.new_day(base, DREAMER, config, seed=seed)
    adapters.activate(base, [*active, DREAMER])
    plan = FitPlan(
        adapter=DREAMER,
        lr=learning_rate(settings, base.width),
        steps=steps,
        warmup_steps=settings.warmup_steps,
        weight_decay=0.0,
        max_grad_norm=settings.max_grad_norm,
        max_loss=settings.max_loss,
        check_every=steps,
        patience=0,
        seed=seed,
        stage="dreamer",
    )
    batches = mix([(examples, Fraction(1))], Fraction(settings.batch_size), steps, seed)
    result = fit(base, plan, batches, on_progress=on_progress)
    adapters.activate(base, [*active, DREAMER])
    return result.tokens
