"""The HTTP control of a running service: its routes."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response

from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.errors import DiskError, SleepcycleError
from sleepcycle.files import disk
from sleepcycle.files.inbox_files import not_fed
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.access_token import prove
from sleepcycle.home.scoped_tokens import KnownTokens, TokenScope
from sleepcycle.home.uploads import UploadRegistry
from sleepcycle.server.access import needs, open_to_all, table_of
from sleepcycle.server.answer_metrics import AnswerMetrics
from sleepcycle.server.arrival_desk import ArrivalDesk
from sleepcycle.server.ask_routes import add_ask_routes
from sleepcycle.server.auth import AuthMiddleware
from sleepcycle.server.batch_routes import add_batch_routes
from sleepcycle.server.captured_routes import add_captured_routes
from sleepcycle.server.client import CHALLENGE, PROOF
from sleepcycle.server.event_routes import add_event_routes
from sleepcycle.server.feed_desk import FeedDesk
from sleepcycle.server.feed_routes import add_feed_routes
from sleepcycle.server.file_routes import add_file_routes
from sleepcycle.server.fine_tuning import FineTuning
from sleepcycle.server.heavy_work import HeavyWork
from sleepcycle.server.home_routes import add_home_routes
from sleepcycle.server.metrics_route import add_metrics, count_requests
from sleepcycle.server.openai_errors import (
    by_path,
    openai_foreseen,
    openai_unreadable,
)
from sleepcycle.server.openai_routes import add_openai_routes
from sleepcycle.server.openapi_answers import NOT_READY, content_of
from sleepcycle.server.openapi_document import document_of
from sleepcycle.server.rate_limit import RateLimit
from sleepcycle.server.readiness import not_ready_reason
from sleepcycle.server.responses import (
    answer,
    foreseen,
    no_route,
    unforeseen,
    unreadable,
)
from sleepcycle.server.run_routes import add_run_routes
from sleepcycle.server.service_parts import ServiceParts
from sleepcycle.server.session_routes import add_session_routes
from sleepcycle.server.sessions import BrowserSessions
from sleepcycle.server.status import status_with_service
from sleepcycle.server.talk import Talk
from sleepcycle.server.tuning_routes import add_tuning_routes
from sleepcycle.server.version_routes import add_version_routes
from sleepcycle.settings.config import ServeSettings
from sleepcycle.store.snapshot import read_snapshot

MB = 1_000_000
KEPT = 4  # times the largest body, of all files that are kept

Extend = Callable[[FastAPI, ServiceParts], Middleware]
"""Adds routes of others, and returns what stands before all that is answered."""


def create_app(
    scheduler: Scheduler,
    token: str,
    paths: HomePaths,
    settings: ServeSettings | None = None,
    extend: Extend | None = None,
) -> FastAPI:
    """Return the routes over one scheduler, behind authentication.

    Args:
        scheduler: What decides and runs; every call of it may come from any thread.
        token: The home's own, which opens all.
        paths: The home, which has the other tokens.
        settings: Who may reach it, and how often.
        extend: Adds routes that are not of the control.

    Raises:
        ConfigError: A route has not declared what it asks for.
    """
    settings = settings or ServeSettings()
    meters = CollectorRegistry()
    talk = Talk(scheduler, paths, meters, AnswerMetrics(meters))
    most = settings.max_feed_mb * MB
    uploads = UploadRegistry(paths, KEPT * most)
    uploads.tidy()
    parts = ServiceParts(
        scheduler=scheduler,
        paths=paths,
        settings=settings,
        talk=talk,
        feeds=FeedDesk(scheduler, paths),
        arrivals=ArrivalDesk(uploads, lambda: scheduler.settings.engine),
        heavy=HeavyWork(),
        sessions=BrowserSessions(paths),
    )
    home, heavy = parts.home, parts.heavy

    @asynccontextmanager
    async def over_lifespan(app: FastAPI) -> AsyncIterator[None]:
        """End with the server what outlasts a request."""
        async with talk.over_lifespan(app):
            yield
            await run_in_threadpool(heavy.close)

    app = FastAPI(
        docs_url=None, redoc_url=None, openapi_url=None, lifespan=over_lifespan
    )

    _errors(app, scheduler)
    _probes(app, scheduler, paths, token)
    _status(app, scheduler, paths)
    _schedule(app, scheduler)
    add_feed_routes(app, parts.feeds, parts.arrivals, most)
    add_file_routes(app, parts.arrivals, most)
    add_tuning_routes(app, FineTuning(parts.feeds, uploads))
    add_run_routes(app, talk, home, heavy)
    add_version_routes(app, talk, home, heavy)
    add_batch_routes(app, home)
    add_home_routes(app, paths, home)
    app.state.end_streams = add_event_routes(app, talk).close
    add_ask_routes(app, talk)
    add_openai_routes(app, talk)
    add_captured_routes(app, talk)
    add_session_routes(app, parts.sessions)
    _document(app)
    add_metrics(app, talk)
    before = [extend(app, parts)] if extend is not None else []
    guard(app, KnownTokens(paths, token), settings, parts.sessions.cookie)
    app.user_middleware[:0] = before
    count_requests(app, talk.meters)
    return app


def guard(
    app: FastAPI, tokens: KnownTokens, settings: ServeSettings, cookie: str = ""
) -> None:
    """Let nothing through to the routes of an app but what each of them asks for.

    Call it once all routes are there: one that comes later is not served.

    Args:
        app: What is guarded.
        tokens: Who may do what.
        settings: Who may reach it, and how often.
        cookie: Name of the one in which a browser has its token; none if empty.

    Raises:
        ConfigError: A route has not declared what it asks for.
    """
    app.add_middleware(
        AuthMiddleware,
        table=table_of(app.routes),
        tokens=tokens,
        rate=RateLimit(settings.requests_per_minute),
        hosts=frozenset(settings.hosts),
        cookie=cookie,
    )


def _errors(app: FastAPI, scheduler: Scheduler) -> None:
    """Add how errors are answered."""

    def disk_failed(request: Request, error: Exception) -> Response:
        """Answer for a disk; one that failed lets the service end."""
        if isinstance(error, DiskError) and disk.is_failed(error):
            scheduler.fail(error)
        return by_path(foreseen, openai_foreseen)(request, error)

    app.add_exception_handler(DiskError, disk_failed)
    app.add_exception_handler(SleepcycleError, by_path(foreseen, openai_foreseen))
    app.add_exception_handler(
        RequestValidationError, by_path(unreadable, openai_unreadable)
    )
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(Exception, unforeseen)


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

    not_ready = {"description": "No run can begin.", "content": content_of(NOT_READY)}

    @app.get("/readyz", responses={503: not_ready})
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


def _document(app: FastAPI) -> None:
    """Add what describes all routes to programs."""

    @app.get("/openapi.json")
    @needs(TokenScope.READ)
    def openapi() -> Response:
        """Return the OpenAPI document of all routes."""
        return answer(document_of(app))
