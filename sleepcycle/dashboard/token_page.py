"""Tokens that let other programs in: listed, made and revoked."""

from typing import Annotated

from fastapi import FastAPI, Form, Request
from starlette.responses import Response

from sleepcycle.dashboard.site import Site
from sleepcycle.errors import ConfigError, NotFoundError
from sleepcycle.home.scoped_tokens import (
    LONGEST_NAME,
    ScopedToken,
    TokenScope,
    list_tokens,
    new_token,
    revoke_token,
    scopes_of,
)
from sleepcycle.server.access import needs
from sleepcycle.server.sessions import NAME

SCOPES = {
    TokenScope.FEED: "give examples, corrections and ratings",
    TokenScope.TALK: "ask the model",
    TokenScope.READ: "look at how things are",
    TokenScope.ADMIN: "all of it, and move versions, begin runs, make tokens",
}
"""What each lets its holder do."""


def add_token_page(app: FastAPI, site: Site) -> None:
    """Add what shows tokens, makes and revokes them."""
    _list(app, site)
    _revoke(app, site)


def _list(app: FastAPI, site: Site) -> None:
    """Add the list, and the form that makes one."""
    paths = site.parts.paths

    def page(request: Request, name: str, chosen: list[str], fault: str) -> Response:
        """Return the page, with what was typed there."""
        return site.page(
            request,
            "tokens.html",
            section="care",
            status=422 if fault else 200,
            tokens=list(reversed(list_tokens(paths))),
            scopes=SCOPES,
            browser=NAME,
            longest=LONGEST_NAME,
            name=name,
            chosen=chosen,
            fault=fault,
        )

    @app.get("/care/tokens", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def tokens(request: Request) -> Response:
        """Show the tokens, never what they are."""
        return page(request, "", [TokenScope.TALK], "")

    @app.post("/care/tokens", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def new(
        request: Request,
        name: Annotated[str, Form()] = "",
        scope: Annotated[list[str] | None, Form()] = None,
    ) -> Response:
        """Make a token; this page alone ever shows it."""
        chosen = scope or []
        if not chosen:
            fault = "expected at least one thing that it may do, got none"
            return page(request, name, chosen, fault)
        try:
            token, kept = new_token(paths, scopes_of(",".join(chosen)), name.strip())
        except ConfigError as error:
            return page(request, name, chosen, str(error))
        return site.page(
            request, "new_token.html", section="care", token=token, kept=kept
        )


def _revoke(app: FastAPI, site: Site) -> None:
    """Add what revokes a token, once it was asked whether to."""
    paths = site.parts.paths

    @app.get("/care/tokens/{id}/revoke", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def ask(request: Request, id: str) -> Response:
        """Ask whether a token is to open nothing any more."""
        return site.page(
            request, "revoke_token.html", section="care", kept=_kept(site, id)
        )

    @app.post("/care/tokens/{id}/revoke", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def revoke(id: str) -> Response:
        """Let a token open nothing any more."""
        kept = revoke_token(paths, id)
        called = f" {kept.name}" if kept.name else ""
        return site.done("/care/tokens", f"The token{called} opens nothing any more.")


def _kept(site: Site, id: str) -> ScopedToken:
    """Return what is kept of a token.

    Raises:
        NotFoundError: There is none of that id.
    """
    for one in list_tokens(site.parts.paths):
        if one.id == id:
            return one
    raise NotFoundError(f"expected the id of a token, got {id[:80]!r}")
