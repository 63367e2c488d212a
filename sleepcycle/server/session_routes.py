"""The route by which who sits at the machine lets a browser sign in."""

from datetime import UTC, datetime, timedelta

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.server.responses import answer
from sleepcycle.server.sessions import LINK_S, BrowserSessions


def add_session_routes(app: FastAPI, sessions: BrowserSessions) -> None:
    """Add what makes a link that signs in once."""

    @app.post("/api/sign-in-links", status_code=201)
    @needs(TokenScope.ADMIN)
    def link(request: Request) -> Response:
        """Return a link to the dashboard, which signs one browser in."""
        base = str(request.base_url).rstrip("/")
        until = datetime.now(UTC) + timedelta(seconds=LINK_S)
        url = f"{base}/sign-in?code={sessions.link()}"
        return answer({"url": url, "expires_at": until.replace(microsecond=0)}, 201)
