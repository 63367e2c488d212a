"""The route of metrics, in the text that Prometheus reads."""

from dataclasses import dataclass

from fastapi import FastAPI, Request
from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sleepcycle import __version__
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.server.home_metrics import HomeMetrics
from sleepcycle.server.talk import Talk

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NONE = "none"
"""Label of requests that reached no route: refused before it, or of no address."""


@dataclass(frozen=True)
class RequestCounter:
    """ASGI middleware around all others, which counts requests by what they got.

    A path is counted as its route, so that no name that somebody made up is a label.
    """

    app: ASGIApp
    count: Counter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it once its status is known."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        begun = False

        async def counted(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self._count(scope, message["status"])
            await send(message)

        try:
            await self.app(scope, receive, counted)
        except Exception:
            if not begun:  # Starlette answers it, around all middleware
                self._count(scope, 500)
            raise

    def _count(self, scope: Scope, status: int) -> None:
        """Count a request by what it got."""
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", NONE)
        self.count.labels(method, route, str(status)).inc()


def add_metrics(app: FastAPI, talk: Talk) -> None:
    """Add the route, with what is measured of the home."""
    registry = talk.meters
    ProcessCollector(registry=registry)
    registry.register(
        HomeMetrics(
            talk.paths,
            __version__,
            lambda: talk.scheduler.state(),
            lambda: talk.process.is_running,
        )
    )

    @app.get("/metrics")
    @needs(TokenScope.READ)
    def metrics(request: Request) -> Response:
        """Return what is counted and measured, in a text format of Prometheus."""
        write, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(write(registry), media_type=kind)


def count_requests(app: FastAPI, registry: CollectorRegistry) -> None:
    """Count all requests, those included that are refused; call it last."""
    count = Counter(
        "sleepcycle_http_requests",
        "Requests by method, route and status.",
        ("method", "route", "status"),
        registry=registry,
    )
    app.add_middleware(RequestCounter, count=count)
