"""The gate: compares a candidate with the live adapter on what neither trained on.

It knows nothing of training. Losses are held-out nats per learned token, so they
compare across lessons of different length.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sleepcycle.model.adapters import activate
from sleepcycle.model.base import Base
from sleepcycle.model.encode import encode
from sleepcycle.model.score import nll
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records import HEARTBEAT, Example, Loss, OnProgress, Verdict

BATCH_SIZE = 32  # examples scored at once; changes speed and memory, not results


@dataclass(frozen=True, eq=False)
class Sides:
    """Two sets of adapters on one base, to be scored on the same examples."""

    base: Base
    live: Sequence[str]
    """Names of the attached adapters that are live; none for the bare base."""

    candidate: Sequence[str]
    on_progress: OnProgress
    """Gets a heartbeat for each batch scored."""

    def compare(self, examples: Sequence[Example]) -> Loss | None:
        """Score both sides on held-out examples.

        Returns:
            Both losses, or None where there is nothing to score.
        """
        encoded = [
            encode(example.content, self.base, prompt_weight=0) for example in examples
        ]
        losses = []
        for names in (self.live, self.candidate):
            activate(self.base, names)
            nats, tokens = nll(
                self.base,
                encoded,
                BATCH_SIZE,
                on_batch=lambda: self.on_progress(HEARTBEAT),
            )
            if tokens == 0:
                return None
            losses.append(nats / tokens)
        return Loss(losses[0], losses[1], len(examples), tokens)


def is_finite(changes: LayerChanges) -> bool:
    """Say whether no factor holds a NaN or an infinity."""
    return all(
        bool(change.up.isfinite().all() and change.down.isfinite().all())
        for change in changes.values()
    )


def judge(
    acquisition: Loss | None, retention: Loss | None, *, finite: bool, max_rise: float
) -> Verdict:
    """Accept a candidate that keeps what is known and gains what is new.

    A loss that is not a number is refused, since NaN compares false.

    Args:
        acquisition: On batches learned since the last night; it must fall.
        retention: On batches known before; it may rise by `max_rise`.
        finite: Whether all the candidate's weights are finite.
        max_rise: In nats per token.
    """
    if not finite:
        return Verdict(
            False, "weights are not finite", retention, acquisition, finite=False
        )
    kept = retention is None or retention.rise <= max_rise
    gained = acquisition is None or acquisition.rise < 0
    if not kept:
        reason = f"{_known(retention)}, more than {max_rise:g}"
    elif not gained:
        reason = f"{_today(acquisition)}, and it must fall"
    else:
        reason = f"{_today(acquisition)}; {_known(retention)}"
    return Verdict(kept and gained, reason, retention, acquisition, finite=True)


def note(acquisition: Loss | None, retention: Loss | None, *, finite: bool) -> Verdict:
    """Sum up a wake, which is never live: only broken weights refuse it."""
    reason = f"{_today(acquisition)}; {_known(retention)}"
    if not finite:
        reason = "weights are not finite"
    return Verdict(finite, reason, retention, acquisition, finite=finite)


def _today(loss: Loss | None) -> str:
    """Say what happened to today's batches."""
    if loss is None:
        return "nothing of today's batches is held out, so acquisition is not measured"
    return f"held-out loss of today's batches {_change(loss)}"


def _known(loss: Loss | None) -> str:
    """Say what happened to known batches."""
    if loss is None:
        return "nothing known is held out, so retention is not measured"
    return f"held-out loss of known batches {_change(loss)}"


def _change(loss: Loss) -> str:
    """Say how a loss moved, in nats per token."""
    if math.isnan(loss.rise):
        return f"is not a number ({loss.live:.3f} to {loss.candidate:.3f})"
    verb = "rose" if loss.rise > 0 else "fell"
    size = f"{abs(loss.rise):.3f} nats per token"
    return f"{verb} {size} ({loss.live:.3f} to {loss.candidate:.3f})"
