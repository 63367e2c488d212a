"""How a verdict looks: its measures, batch by batch, and as JSON."""

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sleepcycle.cli.render import console, counted, show_table

if TYPE_CHECKING:
    from sleepcycle.records.overrides import RetryPlan
    from sleepcycle.records.verdict import (
        BatchScore,
        Exact,
        Kept,
        Loss,
        Mending,
        Verdict,
    )

MAX_BATCHES = 20  # rows; more scroll what matters off the screen, and are in --json

BATCH_COLUMNS = ("batch", "", "loss", "exact", "examples", "tokens")
Row = list[object]


def show_measures(verdict: "Verdict") -> None:
    """Print what the gate measured, and each batch where there are a few."""
    rows = list(_measures(verdict))
    if rows:
        show_table(["measure", "live", "candidate", "measured on"], rows)
    if verdict.learned_bits is not None:
        console.print(f"{verdict.learned_bits:,.0f} bits of today's held-out learned")
    if 1 < len(verdict.batches) <= MAX_BATCHES:
        show_table(BATCH_COLUMNS, [_batch(score) for score in verdict.batches])
    if verdict.mending:
        _show_mending(verdict.mending)


def _show_mending(mending: "Mending") -> None:
    """Print what weakening the candidate came to, and how each check moved."""
    tried = ", ".join(f"{weight:.3g}" for weight in mending.tried)
    kept = "none" if mending.weight is None else f"{mending.weight:.3g}"
    console.print(f"weakened towards live, to {tried}: {kept} met the gate")
    show_table(
        ("check", "whole", "weakened", "bound"),
        [[one.name, one.whole, one.weakened, one.bound] for one in mending.moves],
    )


def show_plan(plan: "RetryPlan | None") -> None:
    """Print how a night was planned, if not as set."""
    if plan is None:
        return
    console.print(
        f"{counted(plan.rejected, 'night')} before it {_were(plan.rejected)} rejected, "
        f"so this one was planned gentler: {', '.join(_changes(plan))}"
    )


def verdict_json(verdict: "Verdict") -> dict[str, Any]:
    """Return a verdict's JSON: each loss by how it moved, and in full beside it."""
    return {
        "reason": verdict.reason,
        "failed": verdict.failed,
        "finite": verdict.finite,
        "retention": _rise(verdict.retention),
        "acquisition": _rise(verdict.acquisition),
        "general": _rise(verdict.general),
        "learned_bits": verdict.learned_bits,
        "losses": {
            "known": _fields(verdict.retention),
            "today": _fields(verdict.acquisition),
            "general": _fields(verdict.general),
        },
        "exact": {
            "known": _fields(verdict.exact_known),
            "today": _fields(verdict.exact_today),
        },
        "drift": _fields(verdict.drift),
        "agreement": _fields(verdict.agreement),
        "anchors": _fields(verdict.anchors),
        "mending": _fields(verdict.mending),
        "batches": [dataclasses.asdict(score) for score in verdict.batches],
    }


def _changes(plan: "RetryPlan") -> Iterator[str]:
    """Yield each setting that the plan changes."""
    if plan.max_share_of_wake is not None:
        yield f"REM for up to {plan.max_share_of_wake:.0%} of the day's compute"
    if plan.rank is not None:
        yield f"rank {plan.rank}"


def _measures(verdict: "Verdict") -> Iterator[Row]:
    """Yield a row for each thing that was measured."""
    for name, loss in (
        ("loss, today's batches", verdict.acquisition),
        ("loss, known batches", verdict.retention),
        ("loss, dreams of the base", verdict.general),
    ):
        if loss is not None:
            yield [name, loss.live, loss.candidate, _seen(loss)]
    for name, exact in (
        ("exact, today's batches", verdict.exact_today),
        ("exact, known batches", verdict.exact_known),
    ):
        if exact is not None:
            yield [name, *_shares(exact), counted(exact.asked, "prompt")]
    for name, kept in (
        ("answers of the base kept", verdict.agreement),
        ("anchors right", verdict.anchors),
    ):
        if kept is not None:
            yield [name, *_kept(kept)]
    if drift := verdict.drift:
        seen = counted(drift.tokens, "token")
        yield ["KL to the base", drift.live, drift.candidate, seen]


def _kept(kept: "Kept") -> Row:
    """Return the cells of questions whose answers must be kept."""
    if not kept.unasked:
        return [*_shares(kept), counted(kept.asked, "prompt")]
    asked = f"{kept.asked} of {counted(kept.asked + kept.unasked, 'prompt')}"
    shares = _shares(kept) if kept.asked else (None, None)
    return [*shares, f"{asked}; see: sleepcycle doctor"]


def _seen(loss: "Loss") -> str:
    """Return what a loss was measured on, and the median of its rise."""
    seen = counted(loss.examples, "example")
    median = loss.median_rise
    return seen if median is None else f"{seen}, median rise {median:+.3f}"


def _batch(score: "BatchScore") -> Row:
    """Return a batch's row: live, then the candidate."""
    loss, exact = score.loss, score.exact
    return [
        score.batch,
        "known" if score.known else "today",
        f"{loss.live:.3f} to {loss.candidate:.3f}",
        " to ".join(_shares(exact)) if exact else None,
        loss.examples,
        loss.tokens,
    ]


def _shares(exact: "Exact | Kept") -> tuple[str, str]:
    """Return both shares of right answers."""
    return f"{exact.live:.0%}", f"{exact.candidate:.0%}"


def _were(count: int) -> str:
    """Return the verb for that many."""
    return "was" if count == 1 else "were"


def _rise(loss: "Loss | None") -> float | None:
    """Return how much a loss rose, in nats per token."""
    return loss.rise if loss else None


def _fields(record: Any) -> dict[str, Any] | None:  # noqa: ANN401 - any of ours
    """Return a record's fields, if there is one."""
    return dataclasses.asdict(record) if record else None
