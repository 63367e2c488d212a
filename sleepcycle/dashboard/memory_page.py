"""The page of memory: what each night still knew of each batch, and what fades."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.dashboard.paging import number_or_none
from sleepcycle.dashboard.site import Site
from sleepcycle.home.run_history import RunHistory
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.verdict import BatchScore, Kept
from sleepcycle.server.access import needs
from sleepcycle.store.snapshot import read_snapshot
from sleepcycle.store.values import NightScores, RunEntry

NIGHTS = 12  # columns of a page
MOST_BATCHES = 60  # rows of a page, the newest
MOST_FADING = 8
FADED = 0.05  # share lost since the best night that is worth a word; a guess
LAST_RUNS = 30  # of which the next ones' times are told
BUCKETS = 10  # shades


@dataclass(frozen=True, slots=True)
class RetentionScore:
    """What one night knew of one batch."""

    score: float
    """In [0, 1]; more is better."""

    is_exact: bool
    """Whether it is a share of prompts; else how likely a learned token is."""

    @property
    def shade(self) -> int:
        """Which of the shades it has, the last being the best."""
        return max(0, min(BUCKETS, round(self.score * BUCKETS)))


@dataclass(frozen=True, slots=True)
class RetainedBatch:
    """A batch, and what each night knew of it."""

    batch: int
    cells: tuple[RetentionScore | None, ...]
    """None where it was not measured, as before it was learned."""

    @property
    def known(self) -> list[RetentionScore]:
        """Those that were measured, oldest first."""
        return [cell for cell in self.cells if cell is not None]

    @property
    def faded(self) -> float:
        """Share that the last night has lost since the best."""
        known = self.known
        return max(cell.score for cell in known) - known[-1].score if known else 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long the next runs will take, by the last ones; None where none was."""

    night_s: float | None
    wake_s: float | None
    """For all that is pending."""

    nights: int
    wakes: int


def add_memory_page(app: FastAPI, site: Site) -> None:
    """Add the page."""

    @app.get("/memory", include_in_schema=False)
    @needs(TokenScope.READ)
    def memory(request: Request, before: str = "") -> Response:
        """Show what nights knew of each batch; `before` ends the page before."""
        home = site.home
        number = number_or_none(before.removeprefix("v"), "a version")
        found = home.runs.night_scores(number, NIGHTS + 1)
        nights = found[NIGHTS - 1 :: -1] if len(found) > NIGHTS else found[::-1]
        lessons = lessons_of(nights)
        shown = lessons[-MOST_BATCHES:]
        pending = read_snapshot(home.paths).counts.pending
        return site.page(
            request,
            "memory.html",
            section="memory",
            nights=nights,
            lessons=shown,
            left_out=len(lessons) - len(shown),
            sources=home.batches.sources([one.batch for one in shown]),
            fading=fading_of(lessons),
            agreement=[_kept(one.agreement) for one in nights],
            anchors=[_kept(one.anchors) for one in nights],
            before=before,
            older=f"v{nights[0].version}" if len(found) > NIGHTS else "",
            pending=pending,
            forecast=forecast_of(home.runs, pending),
        )


def lessons_of(nights: Sequence[NightScores]) -> list[RetainedBatch]:
    """Return what nights knew of each batch that any of them measured.

    Args:
        nights: Oldest first.
    """
    by_night = [{score.batch: _cell(score) for score in one.batches} for one in nights]
    batches = sorted({batch for found in by_night for batch in found})
    return [
        RetainedBatch(batch, tuple(found.get(batch) for found in by_night))
        for batch in batches
    ]


def fading_of(lessons: Sequence[RetainedBatch]) -> list[RetainedBatch]:
    """Return the batches of which most was lost, the worst first."""
    faded = [one for one in lessons if one.faded >= FADED]
    return sorted(faded, key=lambda one: -one.faded)[:MOST_FADING]


def forecast_of(runs: RunHistory, pending: int) -> Forecast:
    """Return how long the next wake and the next night will take.

    A night as long as half of the last ones were at most; a wake by how long each
    example took in the last ones, at the median.
    """
    done = [run for run in runs.entries(None, LAST_RUNS) if run.state is RunState.DONE]
    nights = [_seconds(run) for run in done if run.kind is RunKind.SLEEP]
    each = [
        _seconds(run) / run.reported.examples
        for run in done
        if run.kind is RunKind.WAKE and run.reported.examples
    ]
    return Forecast(
        night_s=median(nights) if nights else None,
        wake_s=median(each) * pending if each and pending else None,
        nights=len(nights),
        wakes=len(each),
    )


def _cell(score: BatchScore) -> RetentionScore | None:
    """Return what a night knew of a batch; None where its loss is no number."""
    if score.exact is not None:
        return RetentionScore(score.exact.candidate, is_exact=True)
    likely = math.exp(-score.loss.candidate)
    return (
        None if math.isnan(likely) else RetentionScore(min(1.0, likely), is_exact=False)
    )


def _kept(kept: Kept | None) -> RetentionScore | None:
    """Return the share of answers that a night kept; None where none was asked."""
    if kept is None or not kept.asked:
        return None
    return RetentionScore(kept.candidate, is_exact=True)


def _seconds(run: RunEntry) -> float:
    """Return how long a run that is over took."""
    ended = run.ended_at or run.started_at
    return (ended - run.started_at).total_seconds()
