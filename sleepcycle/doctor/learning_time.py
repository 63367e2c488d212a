"""How long a wake of some short examples takes: as the last one did, or a guess."""

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from sleepcycle.model.model_size import ModelSize
from sleepcycle.settings import training_steps
from sleepcycle.settings.config import WakeSettings
from sleepcycle.store.reader import RunText

EXAMPLES = 100
TOKENS = 64  # of a short example, its prompt included
TOKEN_FLOP = 4  # a frozen weight: two forward, two backward
WIDTH = 1024  # of the matrices whose product is timed
TRIES = 5
SHARE = 0.4  # of the speed of that product that learning reaches; a guess


@dataclass(frozen=True, slots=True)
class LearningTime:
    """How long the examples take."""

    examples: int
    seconds: float
    tokens_per_second: float
    guessed: bool
    """Whether it comes from a product of matrices, since no wake is to go by."""

    writes_turns: bool = False
    """Whether the base writes turns of its own before, which is not counted."""


def by_last_wake(
    runs: Iterable[RunText], settings: WakeSettings
) -> LearningTime | None:
    """Return how long it takes at the speed of the last wake; None without any.

    Args:
        runs: Newest first.
        settings: Of a wake.
    """
    for run in runs:
        if run.kind == "wake" and run.state == "done" and run.report:
            with suppress(ValueError, LookupError, TypeError):
                speed = float(json.loads(run.report)["tokens_per_second"])
                return _at(speed, settings, guessed=False)
    return None


def by_product(size: ModelSize, settings: WakeSettings) -> LearningTime:
    """Guess how long it takes on this machine's CPU, from a product that is timed.

    Args:
        size: Of the base.
        settings: Of a wake.
    """
    speed = SHARE * _product_flops() / (TOKEN_FLOP * max(1, size.matrices))
    return _at(speed, settings, guessed=True)


def in_words(found: LearningTime) -> str:
    """Return how long it takes, and how that is known."""
    said = timedelta(seconds=round(found.seconds))
    source = (
        "a guess from a product of matrices, until a wake has been timed"
        if found.guessed
        else f"by the last wake's {found.tokens_per_second:,.0f} tokens/s"
    )
    words = f"{found.examples} short examples take a wake about {said}, {source}"
    if not found.writes_turns:
        return words
    return (
        f"{words}; before it the base writes turns of its own, and how long that takes "
        "is not counted"
    )


def _at(speed: float, settings: WakeSettings, *, guessed: bool) -> LearningTime:
    """Return how long the examples take at a speed in tokens a second."""
    share = training_steps.shown_again(settings)
    room = training_steps.room(settings.batch_size, share, EXAMPLES)
    steps = training_steps.step_count(settings, EXAMPLES, room)
    seconds = steps * settings.batch_size * TOKENS / speed
    holds = training_steps.general_limit(settings, EXAMPLES) > 0
    return LearningTime(EXAMPLES, seconds, speed, guessed, holds)


def _product_flops() -> float:
    """Return the operations a second of a product of matrices in float32, at best."""
    one = np.ones((WIDTH, WIDTH), dtype=np.float32)
    took = []
    for _ in range(TRIES):
        start = time.perf_counter()
        one @ one
        took.append(time.perf_counter() - start)
    flop = 2.0 * WIDTH**3
    return flop / min(took)
