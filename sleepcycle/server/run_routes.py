"""Routes of runs: begin wakes, nights and evaluations, look at them, cancel."""

import json
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import Field
from starlette.responses import Response

from sleepcycle.files.runfolder import RunFolder
from sleepcycle.home.run_tail import Tail
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.run_order import RunState
from sleepcycle.server.access import needs
from sleepcycle.server.command_json import dream_json, run_json
from sleepcycle.server.command_worker import (
    CommandOrder,
    HeavyCommand,
    do_in_worker,
)
from sleepcycle.server.heavy_work import HeavyWork
from sleepcycle.server.jobs import Jobs
from sleepcycle.server.request_parts import LISTED, After, Body, Limit, Number
from sleepcycle.server.responses import answer, error_body
from sleepcycle.server.talk import Talk
from sleepcycle.server.version_routes import OpenHome, expect_known

Place = Annotated[str, Query(pattern=r"^[0-9]{1,18}-[0-9]{1,18}$")]
"""Where a page of a log begins: bytes of what was printed, and of the heartbeats."""

LONGEST_LINE = 100_000  # bytes
PAGE_SIZE = 1_000_000  # characters, up to one line more; a guess


class EvaluateBody(Body):
    """Which versions are scored."""

    versions: list[str] = Field(default_factory=list)
    """Versions or aliases; none for every accepted night that live comes from."""


def add_run_routes(app: FastAPI, talk: Talk, home: OpenHome, heavy: HeavyWork) -> None:
    """Add what begins runs, and what looks at them."""
    jobs = Jobs()
    _begin(app, talk, jobs)
    _evaluate(app, talk, home, heavy, jobs)
    _job(app, talk, jobs)
    _look(app, home)
    _cancel(app, talk)


def _begin(app: FastAPI, talk: Talk, jobs: Jobs) -> None:
    """Add wakes and nights: a request for one is answered before it is done."""

    @app.post("/api/wake", status_code=202)
    @needs(TokenScope.ADMIN)
    def wake() -> Response:
        """Learn what is pending now."""
        return answer({"job": jobs.keep(talk.scheduler.wake())}, 202)

    @app.post("/api/sleep", status_code=202)
    @needs(TokenScope.ADMIN)
    def sleep() -> Response:
        """Run one night now."""
        return answer({"job": jobs.keep(talk.scheduler.sleep())}, 202)


def _evaluate(
    app: FastAPI, talk: Talk, home: OpenHome, heavy: HeavyWork, jobs: Jobs
) -> None:
    """Add what scores versions, which takes longer than a request too."""

    @app.post("/api/evaluate", status_code=202)
    @needs(TokenScope.ADMIN)
    def evaluate(body: EvaluateBody) -> Response:
        """Score versions on what was held out of each batch; it loads the base."""
        talk.expect_free()
        expect_known(home, body.versions)
        order = CommandOrder(
            str(talk.paths.root), HeavyCommand.EVALUATE, names=tuple(body.versions)
        )

        def score(given_up: Event) -> Any:  # noqa: ANN401 - as the command prints it
            return json.loads(do_in_worker(order, given_up))

        return answer({"job": jobs.keep(heavy.begin(score))}, 202)


def _job(app: FastAPI, talk: Talk, jobs: Jobs) -> None:
    """Add what tells how far a job is."""

    @app.get("/api/job/{job}")
    @needs(TokenScope.READ)
    def look(job: str) -> Response:
        """Return how far a job is, and what came of it."""
        done = jobs.get(job)
        if not done.done():
            run, progress = talk.scheduler.progress_of(done)
            return answer({"state": "running", "run": run, "progress": progress})
        error = done.exception()
        if error is not None:
            return answer({"state": "failed", **error_body(error)})
        return answer({"state": "done", "outcome": done.result()})


def _look(app: FastAPI, home: OpenHome) -> None:
    """Add what looks at runs."""

    @app.get("/api/runs")
    @needs(TokenScope.READ)
    def runs(after: After = 0, limit: Limit = LISTED) -> Response:
        """Return wakes and nights, newest first; `after` ends the page before."""
        return answer(home().runs.listing(after or None, limit))

    @app.get("/api/runs/{run}")
    @needs(TokenScope.READ)
    def one(run: Number) -> Response:
        """Return what a run reported."""
        history = home().runs
        return answer(run_json(history.get(run), history.phase(run)))

    @app.get("/api/runs/{run}/dreams")
    @needs(TokenScope.READ)
    def dreams(run: Number, after: After = 0, limit: Limit = LISTED) -> Response:
        """Return what a night dreamt; `after` counts the dreams before."""
        found = home().runs.dreams(run)[after : after + limit]
        return answer([dream_json(dream) for dream in found])

    @app.get("/api/runs/{run}/log")
    @needs(TokenScope.READ)
    def log(run: Number, after: Place = "0-0", limit: Limit = LISTED) -> Response:
        """Return what a run's worker printed, and its heartbeats.

        `after` of the answer is where the next page begins, and where one that is on
        has come to. A page may end before its limit, at about 1 MB; of a line of more
        than 100 kB it has the beginning, and `cut` has its place in `log`.
        """
        history = home().runs
        is_on = history.get(run).state is RunState.RUNNING  # before the look
        folder = RunFolder(history.paths.run(run))
        printed, beats = map(int, after.split("-"))
        read = partial(_page, limit=limit, to_the_end=not is_on)
        said, steps = read(folder.log, printed), read(folder.progress, beats)
        return answer(
            {
                "run": run,
                "is_on": is_on,
                "log": said.lines,
                "cut": said.cut,
                "progress": [found for step in steps.lines if (found := _parsed(step))],
                "after": f"{said.after}-{steps.after}",
            }
        )


@dataclass
class _Page:
    """A part of a file that grows."""

    lines: list[str] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)
    """Places of lines that were longer."""

    after: int = 0
    """Where the next page begins."""


def _page(file: Path, offset: int, *, limit: int, to_the_end: bool) -> _Page:
    """Return lines of a file from some place on, as many as a page may have."""
    tail, page, size = Tail(file, str, offset, LONGEST_LINE), _Page(), 0
    for line in islice(tail.lines(to_the_end=to_the_end), limit):
        if tail.is_cut:
            page.cut.append(len(page.lines))
        page.lines.append(line)
        size += len(line)
        if size >= PAGE_SIZE:
            break
    page.after = tail.offset
    return page


def _parsed(line: str) -> dict[str, Any] | None:
    """Return a heartbeat; None where the worker was killed while it wrote."""
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found


def _cancel(app: FastAPI, talk: Talk) -> None:
    """Add what stops runs."""

    @app.post("/api/runs/{run}/cancel")
    @needs(TokenScope.ADMIN)
    def cancel(run: Number) -> Response:
        """Stop a run, or undo one that is paused."""
        return answer({"run": run, "released": talk.scheduler.cancel(run)})
