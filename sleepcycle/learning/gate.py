"""The gate: compares a candidate with the live adapter on what neither trained on.

It knows nothing of training. Losses are held-out nats per learned token, so they
compare across lessons of different length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sleepcycle.learning.gate_scores import GateInputs, SideScores
from sleepcycle.model.exam import by_batch, exact, loss, paired
from sleepcycle.model.score import paired_loss
from sleepcycle.records.verdict import (
    BatchScore,
    Drift,
    Exact,
    Kept,
    Loss,
    Verdict,
    acquisition_text,
    losses_text,
    retention_text,
)
from sleepcycle.settings.config import GateSettings

FEWEST_ASKED = 16  # prompts; of fewer, four answers more or less would be a quarter
ROUNDING = 1e-9  # a drop of exactly the bound, 11/20 to 6/20, comes out above 0.25


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
    agreement: Kept | None = None
    """On held-out turns of the bare base."""

    anchors: Kept | None = None
    """On the owner's anchors."""

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

    value: float | None = None
    """The number that it looks at."""

    bound: float | None = None
    """The most or the least that this may be."""


def measure(
    live: SideScores,
    candidate: SideScores,
    inputs: GateInputs,
    *,
    anchored: Sequence[bool] = (),
    finite: bool,
) -> Measures:
    """Compare what was found of both sides.

    Args:
        live: What is live.
        candidate: What might be.
        inputs: What both were scored on.
        anchored: Which anchors the bare base answers right.
        finite: Whether all the candidate's weights are.
    """
    known = paired(live.known, candidate.known)
    today = paired(live.today, candidate.today)
    counts = [dream.learned for dream in inputs.dreams]
    return Measures(
        acquisition=loss(today),
        retention=loss(known),
        general=paired_loss(live.dreams, candidate.dreams, counts),
        drift=_drifted(live.drift, candidate.drift, sum(counts)),
        exact_today=exact(today),
        exact_known=exact(known),
        agreement=_kept(live.turns, candidate.turns),
        anchors=_anchored(live, candidate, anchored, len(inputs.anchors)),
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
    failed = [check for check in checked(found, limits) if not check.passed]
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
        agreement=found.agreement,
        anchors=found.anchors,
    )


def checked(found: Measures, limits: GateSettings) -> list[Check]:
    """Return every check for which something was measured, the gravest first."""
    checks = (check(found, limits) for check in CHECKS)
    return [check for check in checks if check is not None]


def _kept(
    live: Sequence[bool], candidate: Sequence[bool], base: Sequence[bool] | None = None
) -> Kept | None:
    """Return the shares of questions that are answered; None where none was asked.

    The bare base answers all where it is not said which.
    """
    asked = len(live)
    if asked == 0:
        return None
    kept = asked if base is None else sum(base)
    return Kept(sum(live) / asked, sum(candidate) / asked, asked, kept / asked)


def _anchored(
    live: SideScores, candidate: SideScores, base: Sequence[bool], count: int
) -> Kept | None:
    """Return the shares of anchors that are answered, and how many were not asked."""
    unasked = count - len(live.anchors)
    kept = _kept(live.anchors, candidate.anchors, base)
    if kept is None:
        return Kept(0.0, 0.0, 0, 0.0, unasked) if unasked else None
    return replace(kept, unasked=unasked)


def _drifted(live: float, candidate: float, tokens: int) -> Drift | None:
    """Return how far both are from the base; None where no token counts."""
    return Drift(live / tokens, candidate / tokens, tokens) if tokens else None


def _finite(found: Measures, limits: GateSettings) -> Check:
    """Return the check that all weights are finite."""
    return Check("finite", found.finite, "weights are not finite")


def _retention(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the loss of known batches did not rise too far."""
    moved, most = found.retention, limits.max_rise
    if moved is None:
        return None
    refusal = f"{retention_text(moved)}, more than {most:g}"
    return _rose("retention", moved, most, refusal)


def _exact(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that enough known prompts are still answered."""
    share, most = found.exact_known, limits.max_exact_drop
    if share is None or share.asked < FEWEST_ASKED:
        return None
    kept = share.drop <= most + ROUNDING
    return Check("exact", kept, _dropped(share, most), share.drop, most)


def _anchors(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the owner's anchors are still answered."""
    kept, most = found.anchors, limits.max_anchor_loss
    if kept is None:
        return None
    return _lost("anchors", kept, most, f"anchors answered right {_fell(kept, most)}")


def _acquisition(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the loss of today's batches fell.

    It fell if its mean did, or if that of most examples did and the mean rose no
    further than known batches may.
    """
    moved = found.acquisition
    if moved is None:
        return None
    fell = min(moved.rises) < 0 and moved.rise <= limits.max_rise
    refusal = f"{acquisition_text(moved)}, and it must fall"
    return Check("acquisition", fell, refusal, min(moved.rises), 0.0)


def _agreement(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the base's own turns are still answered as it did."""
    kept, most = found.agreement, float(limits.max_agreement_loss)
    if kept is None or kept.asked < FEWEST_ASKED:
        return None
    words = f"turns of the base answered as it did {_fell(kept, most)}"
    return _lost("agreement", kept, most, words)


def _ability(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the loss on dreams of the base did not rise too far."""
    moved, most = found.general, limits.max_general_rise
    if moved is None:
        return None
    refusal = f"{_general(moved)}, more than {most:g}"
    return _rose("general", moved, most, refusal)


def _drift(found: Measures, limits: GateSettings) -> Check | None:
    """Return the check that the candidate is not too far from the base."""
    drift = found.drift
    if drift is None:
        return None
    bound = max(float(limits.max_general_kl), drift.live)  # or no night could pass
    near = drift.candidate <= bound
    return Check("drift", near, _far(drift, bound), drift.candidate, bound)


def _rose(name: str, moved: Loss, most: float, refusal: str) -> Check:
    """Return the check that neither mean nor median of a loss rose by more."""
    kept = all(rise <= most for rise in moved.rises)
    return Check(name, kept, refusal, max(moved.rises), most)


def _lost(name: str, kept: Kept, most: float, refusal: str) -> Check:
    """Return the check that less than a share of what the base or live answers is lost.

    No less than live answers is enough, or no night could pass once much is lost.
    """
    passed = kept.lost < most - ROUNDING or kept.candidate >= kept.live
    return Check(name, passed, refusal, kept.lost, most)


CHECKS: tuple[Callable[[Measures, GateSettings], Check | None], ...] = (
    _finite,
    _retention,
    _exact,
    _anchors,
    _acquisition,
    _agreement,
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


def _fell(kept: Kept, most: float) -> str:
    """Return in words how many questions are no longer answered."""
    return (
        f"fell from {kept.live:.0%} (the bare base: {kept.base:.0%}) to "
        f"{kept.candidate:.0%} of {kept.asked}, and a loss of {most:.0%} of what base "
        "or live answered is too much"
    )


def _far(drift: Drift, most: float) -> str:
    """Return in words how far the candidate is from the base."""
    return (
        f"KL to the base on its dreams went from {drift.live:.3f} to "
        f"{drift.candidate:.3f} nats per token, more than {most:.3g}"
    )
