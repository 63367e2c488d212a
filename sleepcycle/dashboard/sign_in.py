"""Sign a browser in by a link that works once, and out again."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.dashboard.site import Site, see
from sleepcycle.errors import NotFoundError
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs, open_to_all
from sleepcycle.server.sessions import SESSION


def add_sign_in(app: FastAPI, site: Site) -> None:
    """Add what begins and ends the session of a browser."""
    sessions = site.parts.sessions

    @app.get("/sign-in", include_in_schema=False)
    @open_to_all
    def sign_in(request: Request, code: str = "") -> Response:
        """Sign in who comes by a link; tell anyone else where to get one."""
        if not code:
            return site.page(request, "sign_in.html", refused="")
        try:
            token = sessions.sign_in(code)
        except NotFoundError as error:
            return site.page(request, "sign_in.html", status=401, refused=str(error))
        response = see("/")
        response.set_cookie(
            sessions.cookie,
            token,
            max_age=int(SESSION.total_seconds()),
            httponly=True,
            samesite="strict",
        )
        return response

    @app.post("/sign-out", include_in_schema=False)
    @needs(TokenScope.READ)
    def sign_out(request: Request) -> Response:
        """End the session: its token opens nothing any more."""
        sessions.sign_out(request.cookies.get(sessions.cookie, ""))
        response = see("/sign-in")
        response.delete_cookie(sessions.cookie, httponly=True, samesite="strict")
        return response
