"""The gate: compares a candidate with the live adapter on what neither trained on.

It knows nothing of training. Losses are held-out nats per learned token, so they
compare across lessons of different length.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sleepcycle.config import GateSettings
from sleepcycle.model.adapters import activate
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded, encode
from sleepcycle.model.score import BATCH_SIZE, nll
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records import HEARTBEAT, Example, Loss, OnProgress, Verdict


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
        return self.compare_encoded(encode_held_out(self.base, examples))

    def compare_encoded(self, encoded: Sequence[Encoded]) -> Loss | None:
        """Score both sides on what is encoded already."""
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
        return Loss(losses[0], losses[1], len(encoded), tokens)


def encode_held_out(base: Base, examples: Sequence[Example]) -> list[Encoded]:
    """Encode examples as they are measured: by what the model shall say alone."""
    return [encode(example.content, base, prompt_weight=0) for example in examples]


def held_out_loss(
    base: Base, parts: Sequence[Sequence[Encoded]], on_progress: OnProgress
) -> Callable[[], float] | None:
    """Return what measures the loss of whatever is active, the mean over parts.

    Parts that hold nothing to learn are left out; None where that is all of them.
    The loss is in nats per token.
    """
    present = [part for part in parts if any(example.learned for example in part)]
    if not present:
        return None

    def measure() -> float:
        """Return nats per token."""
        sums = [
            nll(base, part, BATCH_SIZE, on_batch=lambda: on_progress(HEARTBEAT))
            for part in present
        ]
        return sum(nats / tokens for nats, tokens in sums) / len(sums)

    return measure


def is_finite(changes: LayerChanges) -> bool:
    """Say whether no factor holds a NaN or an infinity."""
    return all(
        bool(change.up.isfinite().all() and change.down.isfinite().all())
        for change in changes.values()
    )


def judge(
    acquisition: Loss | None,
    retention: Loss | None,
    general: Loss | None,
    *,
    finite: bool,
    limits: GateSettings,
) -> Verdict:
    """Accept a candidate that keeps what is known and gains what is new.

    A loss that is not a number is refused, since NaN compares false.

    Args:
        acquisition: On batches learned since the last night; it must fall.
        retention: On batches known before; it may rise by `limits.max_rise`.
        general: On the base's own dreams; it may rise by `limits.max_general_rise`.
        finite: Whether all the candidate's weights are finite.
        limits: Both in nats per token.
    """
    gained = acquisition is None or acquisition.rise < 0
    kept = retention is None or retention.rise <= limits.max_rise
    able = general is None or general.rise <= limits.max_general_rise
    if not finite:
        reason = "weights are not finite"
    elif not kept:
        reason = f"{_known(retention)}, more than {limits.max_rise:g}"
    elif not gained:
        reason = f"{_today(acquisition)}, and it must fall"
    elif not able:
        reason = f"{_general(general)}, more than {limits.max_general_rise:g}"
    else:
        reason = f"{_today(acquisition)}; {_known(retention)}"
    accepted = finite and kept and gained and able
    return Verdict(accepted, reason, retention, acquisition, finite, general)


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


def _general(loss: Loss | None) -> str:
    """Say what happened to the base's own dreams."""
    return f"loss on dreams of the base {_change(loss)}" if loss else ""


def _change(loss: Loss) -> str:
    """Say how a loss moved, in nats per token."""
    if math.isnan(loss.rise):
        return f"is not a number ({loss.live:.3f} to {loss.candidate:.3f})"
    verb = "rose" if loss.rise > 0 else "fell"
    size = f"{abs(loss.rise):.3f} nats per token"
    return f"{verb} {size} ({loss.live:.3f} to {loss.candidate:.3f})"
