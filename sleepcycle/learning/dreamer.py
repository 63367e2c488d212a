"""A dreamer: what a day has learned, taught for one night to ask for it as well.

A wake learns to answer. To dream its lesson a version must write the questions too, and
learning those by day costs the answers. So a copy learns them in the night, dreams, and
is dropped. What today's examples show to be undreamt it learns once more, and dreams
again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from sleepcycle.learning.coverage import uncontradicted, undreamt
from sleepcycle.learning.dreams import DreamPlan, Dreamt, dream
from sleepcycle.learning.rem import PASSES_TO_LEARN
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.batching import mix
from sleepcycle.model.dream_start import (
    encode_dreams,
)
from sleepcycle.model.encode import (
    Encoded,
)
from sleepcycle.model.fit import fit, learning_rate
from sleepcycle.model.monitor import FitPlan
from sleepcycle.records.content import Content
from sleepcycle.records.progress import Progress
from sleepcycle.settings.config import WakeSettings

DREAMER = "dreamer"
"""Name of the adapter that is trained and dropped."""

HASTE = 2  # its rate over the wake's: it is dropped, so it has nothing to keep
ROUNDS = ((0.75, 0.6), (0.25, 0.4))
"""Part of the steps, and of the dreams, of each round; a guess."""

LEAST_STEPS = 80  # what a dreamer learns to ask in, however short the day was
LEAST_PASSES = 60  # over a handful of examples, in place of those steps


@dataclass(frozen=True)
class DreamerPlan:
    """How a dreamer is trained."""

    wake: WakeSettings
    """Of the day whose lesson it is: rank, rate and batch."""

    steps: int
    seed: int
    """Of its start and its batches."""


def least_steps(examples: int, batch_size: int) -> int:
    """Return how many steps a dreamer takes at least, however short the day was.

    Args:
        examples: What it learns to ask.
        batch_size: Examples a step.
    """
    return min(LEAST_STEPS, math.ceil(LEAST_PASSES * examples / batch_size))


def dream_of_today(
    base: Base,
    active: Sequence[str],
    today: Sequence[Content],
    course: DreamerPlan,
    plan: DreamPlan,
    *,
    on_batch: Callable[[], None],
) -> Dreamt:
    """Teach a dreamer to ask what today asks, and let it dream that, in rounds.

    The later round learns what the earlier one left undreamt, and has no part in it
    where that is nothing. Dreams that contradict today are left out.

    Args:
        base: The base.
        active: Adapters that the dreamer stands on; they alone are active afterwards.
        today: What the day has learned.
        course: How the dreamer learns.
        plan: How many dreams both rounds begin, and how.
        on_batch: Called after each step, and each batch that was written.

    Raises:
        DivergedError: The loss exploded or is not a number.
    """
    found = Dreamt([], 0)
    known: set[str] = set()
    config = adapters.day_config(course.wake.rank, course.wake.alpha, dropout=0.0)
    with adapters.removed_after(base, [DREAMER]):
        adapters.new_day(base, DREAMER, config, seed=course.seed)
        for number, (taught, begun) in enumerate(ROUNDS):
            left = undreamt(today, found.contents) if number else today
            part = replace(
                course, steps=round(taught * course.steps), seed=course.seed + number
            )
            learned = encode_dreams(left, base)
            tokens = teach_to_ask(
                base, active, learned, part, on_progress=lambda _: on_batch()
            )
            if not tokens:
                break
            dreams = replace(
                plan, count=round(begun * plan.count), seed=plan.seed + number
            )
            came = dream(base, dreams, known, on_batch=on_batch)
            found.contents.extend(uncontradicted(came.contents, today))
            spent = found.tokens + PASSES_TO_LEARN * tokens + came.tokens
            found = replace(found, tokens=spent)
    adapters.activate(base, active)
    return found


def teach_to_ask(
    base: Base,
    active: Sequence[str],
    examples: Sequence[Encoded],
    course: DreamerPlan,
    *,
    on_progress: Callable[[Progress], None],
) -> int:
    """Teach the dreamer that is on the base whole examples.

    Args:
        base: The base, with a dreamer.
        active: Adapters that the dreamer stands on; they stay as they are.
        examples: What it learns; prompts must weigh in them.
        course: How.
        on_progress: Called after each step.

    Returns:
        How many tokens it trained on; 0 where there is nothing to learn, or no step.
        The dreamer stays on the base, active.

    Raises:
        DivergedError: The loss exploded or is not a number.
    """
    settings, steps, seed = course.wake, course.steps, course.seed
    adapters.activate(base, [*active, DREAMER])
    if not examples or not steps:
        return 0
    plan = FitPlan(
        adapter=DREAMER,
        lr=HASTE * learning_rate(settings, base.width),
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
