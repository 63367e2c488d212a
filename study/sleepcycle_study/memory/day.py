"""One day of the memory benchmark: what a life holds, and two ways to learn a lesson.

Both are the package's own wake; the baselines beside this module have their own ways.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from sleepcycle.files.dream_archive import spread
from sleepcycle.learning import wake
from sleepcycle.learning.bank import Bank
from sleepcycle.learning.replay import ArchivedVersion
from sleepcycle.model.base import Base
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.example import Dream, Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.settings import training_steps
from sleepcycle.settings.choices import Memory
from sleepcycle.settings.config import Settings
from sleepcycle_study.experiment.token_count import TokenCount
from sleepcycle_study.memory.lessons import TaughtLesson

NUMBERS = 10_000  # more examples than a day has
SEEDS = 1_000  # more days than a life has


@dataclass
class Cost(TokenCount):
    """What a life has cost so far; what is only measured for the table is free."""

    wake_seconds: list[float] = field(default_factory=list)
    night_seconds: list[float] = field(default_factory=list)
    night_cost: list[float] = field(default_factory=list)
    """Compute of each night's REM over that of its day."""

    accepted: list[bool] = field(default_factory=list)
    """Whether the gate would let each night go live; it does here in any case."""

    agreement: list[float | None] = field(default_factory=list)
    """Share of the base's own turns that each night's candidate answers as it did."""

    gate_drift: list[float | None] = field(default_factory=list)
    """KL of each night's candidate from the base, as the gate measures it."""


@dataclass
class Lifetime:
    """What one run has learned so far."""

    live: LayerChanges = field(default_factory=dict)
    archive: list[ArchivedVersion] = field(default_factory=list)
    dreamt: list[Dream] = field(default_factory=list)
    stored: list[Example] = field(default_factory=list)
    held_out: list[Example] = field(default_factory=list)
    importance: list[Tensor] = field(default_factory=list)
    """How much each weight of the one adapter matters, with EWC."""

    cost: Cost = field(default_factory=Cost)
    asked: frozenset[str] = frozenset()
    """What its exam asks of common knowledge, which no turn of the base may teach."""


@dataclass(frozen=True)
class Today:
    """One day's lesson as examples."""

    number: int
    seed: int
    new: Sequence[Example]
    held_out: Sequence[Example]


Learn = Callable[[Base, Lifetime, Today, Settings], LayerChanges]
"""Learns a day's lesson and returns what then stands; adds to the life's cost."""


def begin(lesson: TaughtLesson, number: int, seed: int) -> Today:
    """Return a lesson as the examples of day `number`, from 0."""
    first = NUMBERS * number
    return Today(
        number,
        SEEDS * seed + number,
        [Example(first + i, number, row) for i, row in enumerate(lesson.rows)],
        [Example(-first - i - 1, number, r) for i, r in enumerate(lesson.held_out)],
    )


def learn_fresh(
    base: Base, life: Lifetime, today: Today, settings: Settings
) -> LayerChanges:
    """Learn with a fresh adapter over the frozen live one, as the service does."""
    replay = recall(life, today, settings)
    return wake_up(base, wake.WakeStart(life.live, {}), replay, settings, today, life)


def learn_on(
    base: Base, life: Lifetime, today: Today, settings: Settings
) -> LayerChanges:
    """Learn with one adapter that goes on from day to day."""
    replay = recall(life, today, settings)
    return wake_up(base, wake.WakeStart({}, life.live), replay, settings, today, life)


def recall(life: Lifetime, today: Today, settings: Settings) -> list[Example]:
    """Draw what is shown again, as the service does: what the day has places for."""
    places = training_steps.replay_limit(settings.wake, len(today.new))
    if Memory.STORE not in settings.sleep.rem.memory:
        drawn = spread(life.dreamt, places, today.seed)
        return [Example(-i, 0, dream.content) for i, dream in enumerate(drawn, 1)]
    known = life.stored
    return random.Random(today.seed).sample(known, min(places, len(known)))


def wake_up(
    base: Base,
    start_from: wake.WakeStart,
    replay: Sequence[Example],
    settings: Settings,
    today: Today,
    life: Lifetime,
) -> LayerChanges:
    """Learn by the package's wake."""
    lesson = wake.Lesson(today.new, replay, today.held_out, [])
    whole, report = wake.learn(
        base,
        start_from,
        lesson,
        settings.wake,
        seed=today.seed,
        on_progress=ignore_progress,
        bank=Bank(base, settings.bank, avoid=life.asked),
    )
    life.cost.trained += report.tokens
    return whole
