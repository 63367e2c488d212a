"""Authentication: every request is refused that is not plainly allowed."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from sleepcycle.server.responses import answer

OPEN = frozenset({"/livez", "/readyz"})
"""Paths that answer without the token."""

METHODS = frozenset({"GET", "POST"})
NAMES = ("127.0.0.1", "localhost", "[::1]")
SITES = frozenset({"same-origin", "none"})
MAX_BODY = 1_000_000  # bytes
SCHEME = "Bearer "

Headers = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request goes no further."""

    status: int
    error: str
    message: str


@dataclass(frozen=True)
class AuthMiddleware:
    """ASGI middleware before every route, those included that do not exist.

    A browser on this machine is the danger: it would ask on behalf of any page (by a
    form, or by a name that now means 127.0.0.1). So the Host must be a loopback name
    with our port, and what says that it comes from another page is refused.
    """

    app: ASGIApp
    token: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer why not; what is not HTTP is dropped."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return
        refusal = refuse(scope, self.token)
        if refusal is None:
            return await self.app(scope, receive, send)
        body = {"error": refusal.error, "message": refusal.message}
        await answer(body, refusal.status)(scope, receive, send)


def refuse(scope: Scope, token: str) -> Refusal | None:
    """Return why a request is refused, or None for one that may go on."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return (
        _foreign(headers, scope["server"][1])
        or _method(scope["method"])
        or _unknown(headers, scope["path"], token)
        or _too_large(headers)
    )


def _foreign(headers: Headers, port: int) -> Refusal | None:
    """Return a refusal of what is meant for another host, or comes from a page."""
    hosts = headers.get("host", [])
    if len(hosts) != 1 or hosts[0].lower() not in {f"{name}:{port}" for name in NAMES}:
        return Refusal(
            403, "ForeignHost", f"expected the Host 127.0.0.1:{port}, got {hosts}"
        )
    origins = headers.get("origin", [])
    if any(origin.lower() != f"http://{hosts[0].lower()}" for origin in origins):
        return Refusal(403, "ForeignOrigin", f"expected no Origin, got {origins}")
    sites = headers.get("sec-fetch-site", [])
    if any(site not in SITES for site in sites):
        return Refusal(
            403, "ForeignOrigin", f"expected Sec-Fetch-Site same-origin, got {sites}"
        )
    return None


def _method(method: str) -> Refusal | None:
    """Return a refusal of a method that no route has."""
    if method in METHODS:
        return None
    return Refusal(405, "MethodNotAllowed", f"expected GET or POST, got {method}")


def _unknown(headers: Headers, path: str, token: str) -> Refusal | None:
    """Return a refusal of who has no token, unless the path is open to all."""
    if path in OPEN:
        return None
    [given, *more] = headers.get("authorization", [""])
    expected = f"{SCHEME}{token}"
    known = hmac.compare_digest(given.encode("latin-1"), expected.encode())
    if known and not more and token:
        return None
    return Refusal(
        401,
        "Unauthorized",
        "expected the header Authorization: Bearer TOKEN; the token is the text of "
        "the file token in the home",
    )


def _too_large(headers: Headers) -> Refusal | None:
    """Return a refusal of a body that is large, or of unknown size."""
    if "transfer-encoding" in headers:
        return Refusal(411, "LengthRequired", "expected a Content-Length")
    sizes = headers.get("content-length", ["0"])
    if all(size.isdecimal() and float(size) <= MAX_BODY for size in sizes):
        return None  # a float, since Python takes no integer of 5,000 digits
    return Refusal(
        413, "TooLarge", f"expected a body of up to {MAX_BODY} bytes, got {sizes}"
    )
