"""Heartbeats of a run: how far it is, as whoever waits for it learns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of a run's `progress.jsonl`: a heartbeat with what is known so far."""

    stage: str
    step: int
    steps: int
    loss: float | None = None
    """Training loss of this step, in nats per learned token: the mean over its
    examples that `wake.loss_reduction` names."""

    tokens_per_second: float | None = None
    left_s: float | None = None
    """Seconds until the last step of this stage; None where it cannot be told yet."""

    micro_batches: int = 1
    """Parts that a batch is split into, since it did not fit in memory whole."""

    mfu: float | None = None
    """Share of the device's peak that learning uses, in [0, 1]; None where that is not
    known, as on a CPU."""

    confidence: float | None = None
    """Least probability that was given to a token of what is to be learned, when a
    small wake last looked, in [0, 1]; None where it does not look."""

    held_out: float | None = None
    """Loss on what is held out, in nats per token, when it was last looked at; None
    before the first look. A look comes after the heartbeat of its step."""


def progress_from(fields: Mapping[str, Any]) -> Progress:
    """Return the heartbeat that parsed JSON holds.

    Not by `codec.from_plain`, since `status` and what waits for a run show one, and
    pydantic takes a tenth of a second to load.
    """
    return Progress(**fields)


HEARTBEAT = Progress("", 0, 0)
"""A heartbeat without figures: the worker is alive and busy."""


OnProgress = Callable[[Progress], None]


def ignore_progress(progress: Progress) -> None:
    """Take a heartbeat, and do nothing."""
