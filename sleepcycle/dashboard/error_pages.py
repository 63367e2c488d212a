"""Errors as pages: what the service refuses a browser, a person can read."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sleepcycle.dashboard.site import Site, see
from sleepcycle.server.responses import unforeseen

HEADLINES = {
    401: "You are not signed in",
    403: "This browser may not do that",
    404: "There is no such page",
    405: "There is no such page",
    413: "That is too large",
    429: "Too many requests",
    503: "Not just now",
}
PROGRAMS = ("/api/", "/v1/")
"""Below them errors are for programs, whoever asks."""


@dataclass(frozen=True)
class ErrorPages:
    """ASGI middleware that turns the JSON of an error into a page for a browser."""

    app: ASGIApp
    site: Site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and look at how it is answered."""
        if scope["type"] != "http" or not _is_person(scope):
            return await self.app(scope, receive, send)
        held = _Held(send)
        await self.app(scope, receive, held.send)
        if held.began is not None:
            page = self._page(Request(scope), held.began["status"], held.body)
            await page(scope, receive, send)

    def _page(self, request: Request, status: int, body: bytes) -> Response:
        """Return the page of an error; who is not signed in goes where to."""
        if status == 401 and request.method == "GET":
            return see("/sign-in")
        return page_of_error(self.site, request, status, body)


def page_of_error(site: Site, request: Request, status: int, body: bytes) -> Response:
    """Return the page of an error.

    Args:
        site: Of the page.
        request: What it answers.
        status: HTTP status.
        body: Its JSON, as programs get it.
    """
    return site.page(
        request,
        "error.html",
        status=status,
        headline=HEADLINES.get(status, "That did not work"),
        message=str(json.loads(body).get("message", "")),
    )


def unforeseen_page(site: Site) -> Callable[[Request, Exception], Response]:
    """Return what answers for an error that nobody foresaw, as a page for a person.

    Such come from behind all middleware.
    """

    def handle(request: Request, error: Exception) -> Response:
        """Answer for it."""
        response = unforeseen(request, error)
        if not _is_person(request.scope):
            return response
        return page_of_error(site, request, response.status_code, bytes(response.body))

    return handle


class _Held:
    """Holds an error back, and lets anything else through as it comes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began: Message | None = None
        self.body = b""

    async def send(self, message: Message) -> None:
        """Send a part of an answer, unless it is an error's."""
        if message["type"] == "http.response.start" and _is_error(message):
            self.began = message
        elif self.began is not None:
            self.body += message.get("body", b"")
        else:
            await self._send(message)


def _is_person(scope: Scope) -> bool:
    """Return whether a browser shows what is answered to a person."""
    accepted = Headers(scope=scope).get("accept", "")
    return "text/html" in accepted and not scope["path"].startswith(PROGRAMS)


def _is_error(message: Message) -> bool:
    """Return whether the head of an answer is that of an error in JSON."""
    kind = Headers(raw=message["headers"]).get("content-type", "")
    return message["status"] >= 400 and kind.startswith("application/json")
