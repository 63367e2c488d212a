"""One wake or night: live while it is on, and what it came to once it is over."""

import json
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.dashboard.loss_view import LossView, loss_view
from sleepcycle.dashboard.paging import Leaf, leaf_of, number_or_none
from sleepcycle.dashboard.readable import counted
from sleepcycle.dashboard.report_view import (
    ReportFact,
    VerdictRow,
    batch_rows,
    dream_view,
    flattened,
    layer_row,
    report_facts,
    verdict_rows,
)
from sleepcycle.dashboard.site import Site
from sleepcycle.errors import NotFoundError
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.codec import from_plain
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.verdict import Verdict
from sleepcycle.server.access import needs
from sleepcycle.store.run_table import OPEN
from sleepcycle.store.values import Run

NAMES = {RunKind.WAKE: "Wake", RunKind.SLEEP: "Night"}
LAYERS, DREAMS = 28, 20  # of a page
STAGES = {
    "wake": "learning",
    "bank": "asking the base what it knows, so that it is kept",
    "svd": "folding the day into one adapter",
    "prune": "folding the day into one adapter",
    "downscale": "weakening the change a little",
    "rem": "relearning what the fold lost (REM)",
    "mend": "weakening the candidate until it passes",
    "gate": "testing the candidate",
}
ALWAYS = "journal from:#events throttle:1s, progress from:#events throttle:1s, every 2s"
WHEN_OVER = "journal from:#events throttle:1s"


@dataclass(frozen=True, slots=True)
class ReportParts:
    """What a page shows of a report."""

    facts: list[ReportFact]
    verdict: Verdict | None
    rows: list[VerdictRow]
    layers: Leaf


def add_run_page(app: FastAPI, site: Site) -> None:
    """Add the page of a run, and the form that stops it."""

    @app.get("/runs/{number}", include_in_schema=False)
    @needs(TokenScope.READ)
    def run(
        request: Request, number: str, layers: str = "", dreams: str = ""
    ) -> Response:
        """Show one run."""
        history = site.home.runs
        found = history.get(_number(number))
        settings = dict(history.settings(found.id) or {})
        beats = history.heartbeats(found.id)
        report = json.loads(found.report) if found.report else None
        told = (
            None
            if report is None
            else report_parts(found.kind, report, settings, layers)
        )
        dreamt = history.dreams(found.id) if found.kind is RunKind.SLEEP else []
        leaf = leaf_of(dreamt, dreams, DREAMS)
        return site.page(
            request,
            "run.html",
            section="timeline",
            run=found,
            name=f"{NAMES[found.kind]} {found.id}",
            is_open=found.state in OPEN,
            events=ALWAYS if found.state is RunState.RUNNING else WHEN_OVER,
            beat=beats[-1] if beats else None,
            stage=_stage(beats),
            losses=_losses(found, report, beats),
            told=told,
            version=history.version_of(found.id),
            phase=history.phase(found.id),
            dreams=leaf,
            here=f"/runs/{found.id}?dreams={leaf.number}&layers={_page(told)}",
            dream_view=dream_view,
            layer_row=layer_row,
            batch_rows=batch_rows,
            log=history.log_tail(found.id),
            settings=flattened(settings),
        )

    @app.post("/runs/{number}/cancel", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def cancel(number: str) -> Response:
        """Stop a run, or undo one that is paused."""
        run = _number(number)
        released = site.parts.scheduler.cancel(run)
        said = (
            f"Run {run} was asked to stop; what it was learning waits again then."
            if released is None
            else f"Run {run} is cancelled: {counted(released, 'example')} wait again."
        )
        return site.done(f"/runs/{run}", said)


def report_parts(
    kind: RunKind, report: dict[str, Any], settings: dict[str, Any], layers: str
) -> ReportParts:
    """Return what a page shows of a report.

    Args:
        kind: Of the run.
        report: As it is kept.
        settings: Of the run; empty where they are not known.
        layers: Which page of the layers.
    """
    plain = report.get("verdict")
    verdict = None if plain is None else from_plain(plain, Verdict)
    return ReportParts(
        facts=report_facts(kind, report),
        verdict=verdict,
        rows=[] if verdict is None else verdict_rows(verdict, settings),
        layers=leaf_of(report.get("layers") or (), layers, LAYERS),
    )


def _losses(run: Run, report: dict[str, Any] | None, beats: list[Progress]) -> LossView:
    """Return the losses of a run."""
    if report is None:
        return loss_view(beats, None)
    told = report if run.kind is RunKind.WAKE else report.get("rem") or {}
    return loss_view(beats, told.get("held_out") or ())


def _page(told: ReportParts | None) -> int:
    """Return which page of the layers is shown."""
    return 1 if told is None else told.layers.number


def _stage(beats: list[Progress]) -> str:
    """Return what a run is at, in words."""
    return STAGES.get(beats[-1].stage, beats[-1].stage) if beats else "getting ready"


def _number(text: str) -> int:
    """Return the number of a run."""
    number = number_or_none(text, "a run")
    if number is None:
        raise NotFoundError("expected the number of a run, got nothing")
    return number
