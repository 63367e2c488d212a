"""The HTTP control of a running service: its routes."""

import asyncio
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Event
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi import Path as Part
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.errors import ConfigError, DiskError, SleepcycleError
from sleepcycle.files.arriving import forget_arriving
from sleepcycle.files.inbox_files import not_fed
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.access_token import prove
from sleepcycle.home.scoped_tokens import KnownTokens, TokenScope
from sleepcycle.server.access import needs, open_to_all, table_of
from sleepcycle.server.answer_metrics import AnswerMetrics
from sleepcycle.server.auth import AuthMiddleware
from sleepcycle.server.captured_routes import add_captured_routes
from sleepcycle.server.client import CHALLENGE, PROOF
from sleepcycle.server.feed_desk import FeedDesk
from sleepcycle.server.feed_routes import add_feed_routes
from sleepcycle.server.jobs import Jobs
from sleepcycle.server.metrics_route import add_metrics, count_requests
from sleepcycle.server.openai_errors import (
    by_path,
    openai_foreseen,
    openai_unreadable,
)
from sleepcycle.server.openai_routes import add_openai_routes
from sleepcycle.server.openapi_document import document_of
from sleepcycle.server.rate_limit import RateLimit
from sleepcycle.server.readiness import not_ready_reason
from sleepcycle.server.responses import (
    answer,
    error_body,
    foreseen,
    no_route,
    unforeseen,
    unreadable,
)
from sleepcycle.server.status import status_with_service
from sleepcycle.server.talk import Talk
from sleepcycle.settings.config import ServeSettings
from sleepcycle.store.snapshot import read_snapshot

LONGEST_PATH = 4096  # that Linux opens
POLL_S = 0.2  # between looks whether who asked for an import is still there

Number = Annotated[int, Part(ge=1, lt=2**63)]
"""A number that the database can hold."""


class Body(BaseModel):
    """What a request may hold, and no more."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RollbackBody(Body):
    """Where to go back to."""

    version: str = "previous"
    requeue: bool = False


def expect_path(path: str) -> str:
    """Refuse what is longer than any path; pydantic's own bound wants UTF-8.

    Raises:
        ValueError: It is longer.
    """
    if len(path) > LONGEST_PATH:
        raise ValueError(f"expected at most {LONGEST_PATH} characters, got {len(path)}")
    return path


WHOLE_PATH = Field(json_schema_extra={"pattern": "^/", "maxLength": LONGEST_PATH})
"""What the document says of it; a path that is not whole has an error of its own."""


class ImportBody(Body):
    """What to take in."""

    path: Annotated[str, AfterValidator(expect_path), WHOLE_PATH]
    """A folder on this machine, by its whole path."""

    force: bool = False
    """Whether it is taken also where it was made for another base, and fits."""


def create_app(
    scheduler: Scheduler,
    token: str,
    paths: HomePaths,
    settings: ServeSettings | None = None,
) -> FastAPI:
    """Return the routes over one scheduler, behind authentication.

    Args:
        scheduler: What decides and runs; every call of it may come from any thread.
        token: The home's own, which opens all.
        paths: The home, which has the other tokens.
        settings: Who may reach it, and how often.

    Raises:
        ConfigError: A route has not declared what it asks for.
    """
    settings = settings or ServeSettings()
    forget_arriving(paths.uploads)
    meters = CollectorRegistry()
    talk = Talk(scheduler, paths, meters, AnswerMetrics(meters))
    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, lifespan=talk.over_lifespan
    )

    def disk_failed(request: Request, error: Exception) -> Response:
        """Answer that the disk failed, and let the service end."""
        if isinstance(error, DiskError):
            scheduler.fail(error)
        return foreseen(request, error)

    app.add_exception_handler(DiskError, disk_failed)
    app.add_exception_handler(SleepcycleError, by_path(foreseen, openai_foreseen))
    app.add_exception_handler(
        RequestValidationError, by_path(unreadable, openai_unreadable)
    )
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(Exception, unforeseen)
    _probes(app, scheduler, paths, token)
    _status(app, scheduler, paths)
    _runs(app, scheduler)
    _schedule(app, scheduler)
    _versions(app, scheduler)
    add_feed_routes(app, FeedDesk(scheduler, paths), settings.max_feed_mb)
    add_openai_routes(app, talk)
    add_captured_routes(app, talk)
    _document(app)
    add_metrics(app, talk)
    guard(app, KnownTokens(paths, token), settings)
    count_requests(app, talk.meters)
    return app


def guard(app: FastAPI, tokens: KnownTokens, settings: ServeSettings) -> None:
    """Let nothing through to the routes of an app but what each of them asks for.

    Call it once all routes are there: one that comes later is not served.

    Raises:
        ConfigError: A route has not declared what it asks for.
    """
    app.add_middleware(
        AuthMiddleware,
        table=table_of(app.routes),
        tokens=tokens,
        rate=RateLimit(settings.requests_per_minute),
        hosts=frozenset(settings.hosts),
    )


def _probes(app: FastAPI, scheduler: Scheduler, paths: HomePaths, token: str) -> None:
    """Add what a supervisor asks, without the token."""

    @app.get("/livez")
    @open_to_all
    async def livez(request: Request) -> Response:
        """Answer that the loop turns; no disk and no database is asked.

        Who sends a challenge is shown that we know the token.
        """
        response = answer({"status": "ok"})
        challenge = request.headers.get(CHALLENGE)
        if challenge is not None:
            host, port = request.scope["server"]
            response.headers[PROOF] = prove(token, challenge, f"{host}:{port}")
        return response

    @app.get("/readyz", responses={503: {"description": "No run can begin."}})
    @open_to_all
    def readyz() -> Response:
        """Answer whether runs can begin, and if not, why."""
        reason = not_ready_reason(paths, scheduler.settings, scheduler.state())
        if reason is None:
            return answer({"status": "ok"})
        return answer({"status": "not ready", "reason": reason}, 503)


def _status(app: FastAPI, scheduler: Scheduler, paths: HomePaths) -> None:
    """Add what says how things are."""

    @app.get("/api/status")
    @needs(TokenScope.READ)
    def status(request: Request) -> Response:
        """Return the JSON of `sleepcycle status`, and what the service does."""
        url = str(request.base_url).rstrip("/")
        state = scheduler.state()
        fields = status_with_service(
            read_snapshot(paths),
            state,
            pid=os.getpid(),
            url=url,
            inbox=not_fed(paths.inbox),
        )
        return answer(fields)


def _runs(app: FastAPI, scheduler: Scheduler) -> None:
    """Add wakes and nights: a request for one is answered before it is done."""
    jobs = Jobs()

    @app.post("/api/wake", status_code=202)
    @needs(TokenScope.ADMIN)
    def wake() -> Response:
        """Learn what is pending now."""
        return answer({"job": jobs.keep(scheduler.wake())}, 202)

    @app.post("/api/sleep", status_code=202)
    @needs(TokenScope.ADMIN)
    def sleep() -> Response:
        """Run one night now."""
        return answer({"job": jobs.keep(scheduler.sleep())}, 202)

    @app.get("/api/job/{job}")
    @needs(TokenScope.READ)
    def look(job: str) -> Response:
        """Return how far a job is, and what came of it."""
        done = jobs.get(job)
        if not done.done():
            run, progress = scheduler.progress_of(done)
            return answer({"state": "running", "run": run, "progress": progress})
        error = done.exception()
        if error is not None:
            return answer({"state": "failed", **error_body(error)})
        return answer({"state": "done", "outcome": done.result()})

    @app.post("/api/runs/{run}/cancel")
    @needs(TokenScope.ADMIN)
    def cancel(run: Number) -> Response:
        """Stop a run, or undo one that is paused."""
        return answer({"run": run, "released": scheduler.cancel(run)})


def _schedule(app: FastAPI, scheduler: Scheduler) -> None:
    """Add what decides whether anything begins by itself."""

    @app.post("/api/pause")
    @needs(TokenScope.ADMIN)
    def pause() -> Response:
        """Let nothing begin by itself any more."""
        scheduler.pause()
        return answer({"paused": True})

    @app.post("/api/resume")
    @needs(TokenScope.ADMIN)
    def resume() -> Response:
        """Let things begin by themselves again."""
        scheduler.resume()
        return answer({"paused": False})

    @app.post("/api/reload")
    @needs(TokenScope.ADMIN)
    def reload() -> Response:
        """Read the settings again."""
        scheduler.reload()
        return answer({"reloaded": True})


def _versions(app: FastAPI, scheduler: Scheduler) -> None:
    """Add what moves versions."""

    @app.post("/api/rollback")
    @needs(TokenScope.ADMIN)
    def rollback(body: RollbackBody) -> Response:
        """Make an older version live again."""
        switch = scheduler.rollback(body.version, requeue=body.requeue)
        return answer(asdict(switch))

    @app.post("/api/versions/{name}/promote")
    @needs(TokenScope.ADMIN)
    def promote(name: str) -> Response:
        """Make a version live."""
        return answer(asdict(scheduler.promote(name)))

    @app.post("/api/versions/import")
    @needs(TokenScope.ADMIN)
    async def import_adapter(request: Request, body: ImportBody) -> Response:
        """Take in an adapter made elsewhere; it is not live.

        It is given up where who asked has gone.
        """
        path = Path(body.path)
        if not path.is_absolute():
            raise ConfigError(f"expected the whole path of a folder, got {body.path!r}")
        given_up = Event()
        take_in = partial(scheduler.import_adapter, force=body.force, given_up=given_up)
        work = asyncio.create_task(run_in_threadpool(take_in, path))
        try:
            while not (await asyncio.wait([work], timeout=POLL_S))[0]:
                if await request.is_disconnected():
                    given_up.set()
        finally:
            given_up.set()  # also where the service ends meanwhile
        version, made_for = work.result()
        said = {"made_for": made_for.base, "warning": made_for.warning}
        return answer(asdict(version) | said)


def _document(app: FastAPI) -> None:
    """Add what describes all routes to programs."""

    @app.get("/openapi.json")
    @needs(TokenScope.READ)
    def openapi() -> Response:
        """Return the OpenAPI document of all routes."""
        return answer(document_of(app))
