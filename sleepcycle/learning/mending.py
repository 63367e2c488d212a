"""Mending: what the gate refuses is weakened towards live, until the gate is met.

candidate(λ) = (1 - λ) · live + λ · candidate is a line from what is live to what the
night made of it (docs/explanation/math.md, "Mending").
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sleepcycle.learning import gate
from sleepcycle.learning.gate_scores import GateExam
from sleepcycle.model import adapters
from sleepcycle.numerics.downscale import scaled
from sleepcycle.numerics.lowrank import (
    LayerChanges,
    compose_layers,
    decompose,
)
from sleepcycle.records.progress import OnProgress, Progress
from sleepcycle.records.verdict import CheckMove, Mending, Verdict
from sleepcycle.settings.config import GateSettings

SIDE = "side"
MENDABLE = frozenset({"retention", "exact", "anchors", "agreement", "general", "drift"})
"""Checks that live passes, as far as they compare with it; weakening leads to it."""

MOST_TRIED = 5  # measurements, each as long as the gate's own of one side
NEAR_ENOUGH = 1 / 8  # of the line: closer to the bound is not worth a measurement


@dataclass(frozen=True, eq=False)
class Tried:
    """One candidate, and what the gate said of it."""

    weight: float
    change: LayerChanges
    verdict: Verdict
    checks: Sequence[gate.Check]


class GateTrials:
    """Judges one candidate after the other against what is live, measured once."""

    def __init__(
        self, exam: GateExam, live: LayerChanges, limits: GateSettings
    ) -> None:
        self._exam = exam
        self._limits = limits
        with adapters.on_base(exam.base, {SIDE: live} if live else {}):
            self._live = exam.score([SIDE] if live else [])
            self._anchored = exam.hold([]) if live else self._live.anchors

    def judge(self, change: LayerChanges, weight: float = 1.0) -> Tried:
        """Measure one candidate, and return the gate's verdict."""
        with adapters.on_base(self._exam.base, {SIDE: change}):
            scores = self._exam.score([SIDE])
        found = gate.measure(
            self._live,
            scores,
            self._exam.inputs,
            anchored=self._anchored,
            finite=adapters.is_finite(change),
        )
        verdict = gate.judge(found, self._limits)
        return Tried(weight, change, verdict, gate.checked(found, self._limits))


def judge_or_mend(
    trials: GateTrials,
    live: LayerChanges,
    candidate: LayerChanges,
    *,
    mend: bool,
    on_progress: OnProgress,
) -> tuple[LayerChanges, Verdict]:
    """Judge a candidate; weaken a refused one until the gate is met, if that can be.

    What is not finite, or has not learned today, stays as it is.

    Returns:
        The candidate, or the weakened one that was accepted, and the verdict on it.
    """
    whole = trials.judge(candidate)
    failed = whole.verdict.failed
    if not (mend and failed and MENDABLE.issuperset(failed)):
        return candidate, whole.verdict
    tried: list[Tried] = []
    best = _search(trials, live, candidate, tried, on_progress)
    kept = best or tried[-1]
    mending = Mending(
        weight=best.weight if best else None,
        tried=tuple(one.weight for one in tried),
        refusal=whole.verdict.reason,
        failed=failed,
        moves=_moves(whole, kept),
    )
    if best is None:
        reason = (
            f"{whole.verdict.reason}; weakened to {kept.weight:.3g} of the way from "
            f"live, still refused: {kept.verdict.reason}"
        )
        return candidate, replace(whole.verdict, reason=reason, mending=mending)
    reason = (
        f"{best.verdict.reason}; weakened to {best.weight:.3g} of the way from live, "
        f"since the whole was refused: {whole.verdict.reason}"
    )
    return best.change, replace(best.verdict, reason=reason, mending=mending)


def between(live: LayerChanges, candidate: LayerChanges, weight: float) -> LayerChanges:
    """Return (1 - weight) · live + weight · candidate, no wider than the candidate.

    The sum is exact; the fold to the candidate's rank keeps its strongest directions.
    Over the bare base nothing is folded.

    Args:
        live: Where the line begins; empty for the bare base.
        candidate: Where it ends.
        weight: Place on it, in (0, 1].
    """
    part = {name: scaled(change, weight) for name, change in candidate.items()}
    if not live:
        return part
    rest = {name: scaled(change, 1 - weight) for name, change in live.items()}
    found = decompose(compose_layers(rest, part))
    ranks = {name: change.rank for name, change in candidate.items()}
    return {
        name: whole.keep(min(ranks.get(name, whole.rank), len(whole.sigma)))
        for name, whole in found.items()
    }


def _search(
    trials: GateTrials,
    live: LayerChanges,
    candidate: LayerChanges,
    tried: list[Tried],
    on_progress: OnProgress,
) -> Tried | None:
    """Halve the line until the gate is met near enough to its bound.

    Returns:
        The strongest that was accepted; None where none was. All are put into `tried`.
    """
    low, high = 0.0, 1.0
    best: Tried | None = None
    while len(tried) < MOST_TRIED and not (best and high - low <= NEAR_ENOUGH):
        on_progress(Progress("mend", len(tried), MOST_TRIED))
        weight = (low + high) / 2
        one = trials.judge(between(live, candidate, weight), weight)
        tried.append(one)
        if one.verdict.accepted:
            best = one
        if MENDABLE.isdisjoint(one.verdict.failed):
            low = weight  # or too weak to have learned anything
        else:
            high = weight
    on_progress(Progress("mend", MOST_TRIED, MOST_TRIED))
    return best


def _moves(whole: Tried, kept: Tried) -> tuple[CheckMove, ...]:
    """Return how far each check's number moved."""
    after = {check.name: check.value for check in kept.checks}
    return tuple(
        CheckMove(check.name, check.value, value, check.bound)
        for check in whole.checks
        if check.value is not None
        and check.bound is not None
        and (value := after.get(check.name)) is not None
    )
