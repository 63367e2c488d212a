"""Authentication: every request is refused that is not plainly allowed."""

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sleepcycle.home.scoped_tokens import Holder, KnownTokens
from sleepcycle.server.access import Access, RouteTable
from sleepcycle.server.rate_limit import RateLimit
from sleepcycle.server.responses import Refusal, refused, too_large

NAMES = ("127.0.0.1", "localhost", "[::1]")
SITES = frozenset({"same-origin", "none"})
SCHEME = "Bearer "
PORT = re.compile(r":\d{1,5}$")

Headers = Mapping[str, list[str]]
Found = Access | frozenset[str]


@dataclass(frozen=True)
class AuthMiddleware:
    """ASGI middleware before every route, those included that do not exist.

    A browser on this machine is the danger: it would ask on behalf of any page (by a
    form, or by a name that now means 127.0.0.1). So the Host must be a loopback name
    with our port or one that the settings name, and what says that it comes from
    another page is refused.
    """

    app: ASGIApp
    table: RouteTable
    tokens: KnownTokens
    rate: RateLimit
    hosts: Collection[str] = ()
    cookie: str = ""
    """Name of the one in which a browser has its token; none if empty."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer why not; what is not HTTP is dropped.

        The server's own start and end (`lifespan`) are nobody's request.
        """
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return
        found = self.table.find(scope)
        refusal = self.refuse(scope, found)
        if refusal is not None:
            answer = refused(scope["path"], refusal)
            return await answer(scope, receive, send)
        if isinstance(found, Access) and found.chunked:
            receive = counted(receive, found.max_body_bytes)
        await self.app(scope, receive, send)

    def refuse(self, scope: Scope, found: Found) -> Refusal | None:
        """Return why a request is refused, or None for one that may go on."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            known = headers.setdefault(name.decode("latin-1"), [])
            known.append(value.decode("latin-1"))
        refusal = _foreign(headers, scope["server"][1], self.hosts)
        if isinstance(found, Access) and not found.scopes:
            return refusal or _body_refusal(headers, found)
        refusal = refusal or self._not_allowed(headers, scope, found)
        if refusal is None and isinstance(found, Access):
            return _body_refusal(headers, found)
        return refusal

    def _not_allowed(
        self, headers: Headers, scope: Scope, found: Found
    ) -> Refusal | None:
        """Return a refusal of who may not call a route, or of one that is not there."""
        holder = self.tokens.holder_of(_token(headers, self.cookie))
        if holder is None:
            return UNKNOWN
        wait_s = 0.0 if holder.id is None else self.rate.wait_s(holder.id)
        if wait_s:
            return _too_often(wait_s)
        if isinstance(found, Access):
            return None if holder.may(found.scopes) else _lacking(holder, found)
        return _no_route(scope, found)


def counted(receive: Receive, most: int | None) -> Receive:
    """Return a way to receive a body whose size is not told, up to a bound.

    What it raises beyond it FastAPI hands on as it is (`no_route` answers it).
    """
    taken = 0

    async def count() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if most is not None and taken > most:
            raise HTTPException(413, too_large(most, "more"))
        return message

    return count


UNKNOWN = Refusal(
    401,
    "Unauthorized",
    "expected the header Authorization: Bearer TOKEN; the token is the text of "
    "the file token in the home, or one that `sleepcycle token new` has made",
    headers={"WWW-Authenticate": "Bearer"},
)


def _token(headers: Headers, cookie: str) -> str:
    """Return the token that a request shows, or none."""
    given = headers.get("authorization", [])
    if given:
        is_one = len(given) == 1 and given[0].startswith(SCHEME)
        return given[0].removeprefix(SCHEME) if is_one else ""
    for part in "; ".join(headers.get("cookie", [])).split(";"):
        name, _, value = part.strip().partition("=")
        if cookie and name == cookie:
            return value
    return ""


def _foreign(headers: Headers, port: int, others: Collection[str]) -> Refusal | None:
    """Return a refusal of what is meant for another host, or comes from a page."""
    hosts = headers.get("host", [])
    host = hosts[0].lower() if len(hosts) == 1 else ""
    ours = host in {f"{name}:{port}" for name in NAMES}
    if not ours and PORT.sub("", host) not in others:
        return Refusal(
            403, "ForeignHost", f"expected the Host 127.0.0.1:{port}, got {hosts}"
        )
    # What stands in front of a named host may have a certificate; we have none.
    schemes = ("http",) if ours else ("http", "https")
    origins = headers.get("origin", [])
    if any(o.lower() not in {f"{s}://{host}" for s in schemes} for o in origins):
        return Refusal(403, "ForeignOrigin", f"expected no Origin, got {origins}")
    sites = headers.get("sec-fetch-site", [])
    if any(site not in SITES for site in sites):
        return Refusal(
            403, "ForeignOrigin", f"expected Sec-Fetch-Site same-origin, got {sites}"
        )
    return None


def _too_often(wait_s: float) -> Refusal:
    """Return a refusal of one request too many."""
    after = str(math.ceil(wait_s))
    return Refusal(
        429,
        "TooManyRequests",
        f"expected fewer requests of this token, see serve.requests_per_minute; "
        f"try again in {after} s",
        headers={"Retry-After": after},
    )


def _lacking(holder: Holder, access: Access) -> Refusal:
    """Return a refusal of a token that opens other routes."""
    needed = " or ".join(access.scopes)
    return Refusal(
        403,
        "MissingScope",
        f"expected a token with the scope {needed}, got one with "
        f"{', '.join(sorted(holder.scopes))}; make another: sleepcycle token new",
        headers={
            "WWW-Authenticate": 'Bearer error="insufficient_scope", '
            f'scope="{" ".join(access.scopes)}"'
        },
    )


def _no_route(scope: Scope, methods: frozenset[str]) -> Refusal:
    """Return a refusal of a path that no route has, or has by other methods."""
    method, path = scope["method"], scope["path"]
    if not methods:
        return Refusal(404, "NoRoute", f"no route {method} {path}")
    allowed = ", ".join(sorted(methods))
    return Refusal(
        405,
        "NoRoute",
        f"no route {method} {path}, but for {allowed}",
        headers={"Allow": allowed},
    )


def _body_refusal(headers: Headers, access: Access) -> Refusal | None:
    """Return a refusal of a body that is large, or of unknown size."""
    if "transfer-encoding" in headers:
        if access.chunked:
            return None
        return Refusal(411, "LengthRequired", "expected a Content-Length")
    sizes = headers.get("content-length", ["0"])
    most = math.inf if access.max_body_bytes is None else access.max_body_bytes
    if all(size.isdecimal() and float(size) <= most for size in sizes):
        return None  # a float, since Python takes no integer of 5,000 digits
    return Refusal(413, "TooLarge", too_large(most, str(sizes)))
