"""The timeline: days and nights, newest first, the dull ones folded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.dashboard.paging import number_or_none
from sleepcycle.dashboard.readable import counted, decimal, duration, share
from sleepcycle.dashboard.site import Site
from sleepcycle.home.run_history import RunHistory
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.server.access import needs
from sleepcycle.store.values import Night, NightState, RunEntry

PAGE = 30  # runs
MOST_FOLDED = 30  # dull ones of a row that are named
NAMES = {RunKind.WAKE: "Wake", RunKind.SLEEP: "Night"}
STATES = {
    RunState.RUNNING: "is on now",
    RunState.PAUSED: "was broken off, and goes on later",
    RunState.FAILED: "failed",
    RunState.CANCELLED: "was cancelled",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing of the timeline, in words."""

    at: datetime
    headline: str
    kind: str
    """`wake` or `sleep`."""

    tone: str = ""
    """`good`, `bad`, or empty where it is neither."""

    word: str = ""
    """What came of it, in a word."""

    told: tuple[str, ...] = ()
    """What it cost and what changed, each in a sentence."""

    address: str = ""
    version: str = ""
    dull: str = ""
    """What it is counted as where it is folded; empty where it is not."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Moments that follow each other, and are shown alike."""

    moments: tuple[Moment, ...]
    folded: str
    """What they are together; empty where each is shown."""

    @property
    def named(self) -> tuple[Moment, ...]:
        """Those that are named."""
        return self.moments[:MOST_FOLDED] if self.folded else self.moments

    @property
    def ends_at(self) -> datetime:
        """When the last of them was."""
        return self.moments[0].at


def add_timeline_page(app: FastAPI, site: Site) -> None:
    """Add the timeline."""

    @app.get("/timeline", include_in_schema=False)
    @needs(TokenScope.READ)
    def timeline(request: Request, before: str = "") -> Response:
        """Show wakes and nights, newest first; `before` ends the page before."""
        stretches, older = timeline_of(site.home.runs, number_or_none(before, "a run"))
        return site.page(
            request,
            "timeline.html",
            section="timeline",
            stretches=stretches,
            older=older,
            before=before,
        )


def timeline_of(
    runs: RunHistory, before: int | None, limit: int = PAGE
) -> tuple[list[Stretch], int | None]:
    """Return a page of the timeline, and before which run the next one is.

    Args:
        runs: The runs of the home.
        before: Runs of a lower number alone; None for the last ones.
        limit: How many runs at most.
    """
    found = runs.entries(before, limit + 1)
    shown, has_more = found[:limit], len(found) > limit
    until = None if before is None else runs.get(before).started_at
    since = shown[-1].started_at if has_more else None
    moments = [
        *map(moment_of_run, shown),
        *map(moment_of_night, runs.idle_nights(since, until)),
    ]
    moments.sort(key=lambda one: one.at, reverse=True)
    return stretches_of(moments), shown[-1].id if has_more else None


def stretches_of(moments: Iterable[Moment]) -> list[Stretch]:
    """Return moments, with those in a row that are dull put together."""
    return [
        Stretch(row, _together(row) if is_dull and len(row) > 1 else "")
        for is_dull, group in groupby(moments, lambda one: bool(one.dull))
        for row in [tuple(group)]
    ]


def moment_of_run(run: RunEntry) -> Moment:
    """Return a wake or a night in words."""
    name, told = f"{NAMES[run.kind]} {run.id}", run.reported
    headline, tone, word, dull = f"{name} {STATES.get(run.state, '')}", "", "", ""
    if run.state is RunState.FAILED:
        tone, word = "bad", "failed"
    elif run.state is RunState.CANCELLED:
        word, dull = "cancelled", "cancelled run"
    elif run.state is RunState.DONE:
        tone = "good" if told.accepted else "bad"
        word = "accepted" if told.accepted else "rejected"
        headline = _done(name, run)
        if run.kind is RunKind.WAKE and told.examples == 0:
            tone, word, dull = "", "", "wake that learned nothing"
    return Moment(
        at=run.started_at,
        headline=headline,
        kind=str(run.kind),
        tone=tone,
        word=word,
        told=tuple(_told(run)),
        address=f"/runs/{run.id}",
        version="" if run.version is None else f"v{run.version}",
        dull=dull,
    )


def moment_of_night(night: Night) -> Moment:
    """Return a night that ended without a run in words."""
    if night.state is NightState.SKIPPED:
        headline = f"The night of {night.date} was skipped"
        dull = "night with nothing to learn"
        return Moment(night.at, headline, "sleep", told=(night.reason,), dull=dull)
    word = "failed" if night.state is NightState.FAILED else "done"
    tone = "bad" if night.state is NightState.FAILED else ""
    headline = f"The night of {night.date}"
    told = (f"{night.reason} (begun {counted(night.attempts, 'time')})",)
    return Moment(night.at, headline, "sleep", tone, word, told)


def _done(name: str, run: RunEntry) -> str:
    """Return what a run that is done came to."""
    told = run.reported
    if run.kind is RunKind.WAKE:
        return f"{name} learned {counted(told.examples or 0, 'example')}"
    if told.accepted:
        return f"{name} folded the day, and its version went live"
    return f"{name} was rejected: what was live stays live"


def _told(run: RunEntry) -> Iterable[str]:
    """Yield what a run cost, and what it changed."""
    told = run.reported
    if run.error:
        yield run.error
    cost = []
    if run.ended_at is not None:
        cost.append(f"took {duration((run.ended_at - run.started_at).total_seconds())}")
    if told.tokens_per_second:
        cost.append(f"{told.tokens_per_second:,.0f} tokens/s")
    if told.rem_cost is not None:
        cost.append(f"REM cost {share(told.rem_cost)} of the day's compute")
    if cost:
        yield ", ".join(cost)
    if run.kind is RunKind.SLEEP and told.accepted is False and told.reason:
        yield told.reason
    losses = [
        f"{name} {decimal(live)} to {decimal(candidate)}"
        for name, live, candidate in (
            ("today's batches", told.today_live, told.today),
            ("known batches", told.known_live, told.known),
        )
        if live is not None and candidate is not None
    ]
    if losses:
        yield f"held-out loss: {'; '.join(losses)} nats per token (lower is better)"


def _together(row: Sequence[Moment]) -> str:
    """Return what dull moments are together, such as `2 cancelled runs`."""
    kinds = dict.fromkeys(one.dull for one in row)
    counts = {kind: sum(one.dull == kind for one in row) for kind in kinds}
    return ", ".join(_counted_kind(number, kind) for kind, number in counts.items())


def _counted_kind(number: int, kind: str) -> str:
    """Return how many of a dull kind there are; its first noun is counted."""
    for noun in ("night", "wake"):
        if kind.startswith(noun):
            return f"{counted(number, noun)}{kind.removeprefix(noun)}"
    return counted(number, kind)
