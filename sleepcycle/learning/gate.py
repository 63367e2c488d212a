"""The gate: compares a candidate with the live adapter on what neither trained on.

It knows nothing of training. Losses are held-out nats per learned token, so they
compare across lessons of different length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sleepcycle.model.base import Base
from sleepcycle.model.drift import drifts
from sleepcycle.model.encode import Encoded
from sleepcycle.model.exam import ExamScore, by_batch, exact, examine, loss
from sleepcycle.model.score import compare
from sleepcycle.records.example import Example
from sleepcycle.records.progress import HEARTBEAT, OnProgress
from sleepcycle.records.verdict import (
    BatchScore,
    Drift,
    Exact,
    Loss,
    Verdict,
    acquisition_text,
    losses_text,
    retention_text,
)
from sleepcycle.settings.config import GateSettings

ENOUGH = 16  # prompts asked; of fewer, four answers more or less would be a quarter
ROUNDING = 1e-9  # a drop of exactly the bound, 11/20 to 6/20, comes out above 0.25


@dataclass(frozen=True, eq=False)
class GateSides:
    """Two sets of adapters on one base, to be scored on the same examples."""

    base: Base
    live: Sequence[str]
    """Names of the attached adapters that are live; none for the bare base."""

    candidate: Sequence[str]
    on_progress: OnProgress
    """Gets a heartbeat for each batch scored."""

    def compare(self, encoded: Sequence[Encoded]) -> Loss | None:
        """Score both sides by loss; None where no token counts."""
        return compare(
            self.base, encoded, self.live, self.candidate, on_batch=self._beat
        )

    def examine(self, examples: Sequence[Example], max_asked: int) -> list[ExamScore]:
        """Score both sides on each held-out example, live first."""
        return examine(
            self.base,
            [example.content for example in examples],
            [self.live, self.candidate],
            max_asked,
            on_batch=self._beat,
        )

    def drift(self, encoded: Sequence[Encoded]) -> Drift | None:
        """Measure how far both sides are from the bare base on what it dreamt."""
        sides = [self.live, self.candidate]
        nats, tokens = drifts(self.base, encoded, sides, on_batch=self._beat)
        if tokens == 0:
            return None
        return Drift(nats[0] / tokens, nats[1] / tokens, tokens)

    def _beat(self) -> None:
        """Send a heartbeat."""
        self.on_progress(HEARTBEAT)


@dataclass(frozen=True, eq=False)
class GateInputs:
    """What both sides are measured on."""

    today: Sequence[Example]
    """Held-out examples of today's batches."""

    known: Sequence[Example]
    """Held-out examples of known batches."""

    dreams: Sequence[Encoded]
    """What the bare base dreamt, and no night learned."""


@dataclass(frozen=True)
class Measures:
    """What was measured of both sides; None, or empty, where there was nothing to."""

    acquisition: Loss | None = None
    """On today's batches."""

    retention: Loss | None = None
    """On known batches."""

    general: Loss | None = None
    """On dreams of the bare base."""

    drift: Drift | None = None
    """From the bare base, on its dreams."""

    exact_today: Exact | None = None
    exact_known: Exact | None = None
    batches: tuple[BatchScore, ...] = ()
    finite: bool = True
    """Whether all the candidate's weights are finite."""


@dataclass(frozen=True)
class Check:
    """One bound that a candidate must keep."""

    name: str
    passed: bool
    refusal: str
    """Why it is refused, if it does not."""


def measure(
    sides: GateSides, inputs: GateInputs, *, max_asked: int, finite: bool
) -> Measures:
    """Measure both sides.

    Args:
        sides: Live and candidate, attached.
        inputs: What neither has trained on.
        max_asked: Most prompts of today's, and of known batches, to be answered.
        finite: Whether all the candidate's weights are.
    """
    known = sides.examine(inputs.known, max_asked)
    today = sides.examine(inputs.today, max_asked)
    return Measures(
        acquisition=loss(today),
        retention=loss(known),
        general=sides.compare(inputs.dreams),
        drift=sides.drift(inputs.dreams),
        exact_today=exact(today),
        exact_known=exact(known),
        batches=(
            *by_batch(inputs.known, known, known=True),
            *by_batch(inputs.today, today, known=False),
        ),
        finite=finite,
    )


def judge(found: Measures, limits: GateSettings) -> Verdict:
    """Accept a candidate that keeps what is known and gains what is new.

    The reason names the first number that refuses it. What was not measured refuses
    nothing; what is not a number does, since NaN compares false.
    """
    today, known = found.acquisition, found.retention
    checks = (check(found, limits) for check in CHECKS)
    failed = [check for check in checks if check and not check.passed]
    return Verdict(
        accepted=not failed,
        reason=failed[0].refusal if failed else losses_text(today, known),
        retention=known,
        acquisition=today,
        finite=found.finite,
        general=found.general,
        drift=found.drift,
        exact_known=found.exact_known,
        exact_today=found.exact_today,
        learned_bits=today.bits if today else None,
        batches=found.batches,
        failed=tuple(check.name for check in failed),
    )


def _finite(found: Measures, limits: GateSettings) -> Check:
    """Return the check that all weights are finite."""
    return Check("finite", found.finite, "weights are not finite")


def _retention(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the loss of known batches did not rise too far."""
    moved, most = found.retention, limits.max_rise
    if moved is None:
        return None
    refusal = f"{retention_text(moved)}, more than {most:g}"
    return Check("retention", moved.rise <= most, refusal)


def _exact(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that enough known prompts are still answered."""
    share, most = found.exact_known, limits.max_exact_drop
    if share is None or share.asked < ENOUGH:
        return None
    return Check("exact", share.drop <= most + ROUNDING, _dropped(share, most))


def _acquisition(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the loss of today's batches fell."""
    moved = found.acquisition
    if moved is None:
        return None
    refusal = f"{acquisition_text(moved)}, and it must fall"
    return Check("acquisition", moved.rise < 0, refusal)


def _ability(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the loss on dreams of the base did not rise too far."""
    moved, most = found.general, limits.max_general_rise
    if moved is None:
        return None
    refusal = f"{_general(moved)}, more than {most:g}"
    return Check("general", moved.rise <= most, refusal)


def _drift(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the candidate is not too far from the base."""
    drift = found.drift
    if drift is None:
        return None
    bound = max(limits.max_general_kl, drift.live)  # or no night could pass
    return Check("drift", drift.candidate <= bound, _far(drift, bound))


CHECKS: tuple[Callable[[Measures, GateSettings], Check | None], ...] = (
    _finite,
    _retention,
    _exact,
    _acquisition,
    _ability,
    _drift,
)
"""What a candidate must hold to, the gravest first; None where nothing was measured."""


def _general(loss: Loss) -> str:
    """Return in words what happened to the base's own dreams."""
    return f"loss on dreams of the base {loss.movement}"


def _dropped(share: Exact, most: float) -> str:
    """Return in words how many known prompts are no longer answered."""
    return (
        f"known prompts answered by the letter fell from {share.live:.0%} to "
        f"{share.candidate:.0%} of {share.asked}, more than {100 * most:g} points"
    )


def _far(drift: Drift, most: float) -> str:
    """Return in words how far the candidate is from the base."""
    return (
        f"KL to the base on its dreams went from {drift.live:.3f} to "
        f"{drift.candidate:.3f} nats per token, more than {most:.3g}"
    )
