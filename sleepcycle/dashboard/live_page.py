"""Make another version live: what would happen is shown first, and can be undone."""

from typing import Annotated

from fastapi import FastAPI, Form, Request
from starlette.responses import Response

from sleepcycle.dashboard.readable import counted
from sleepcycle.dashboard.site import Site
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.home.versions import Switch
from sleepcycle.server.access import needs

MOST_NAMED = 20  # versions that live would no longer come from


def add_live_page(app: FastAPI, site: Site) -> None:
    """Add the page that shows what would happen, and the form that does it."""

    @app.get("/versions/{name}/make-live", include_in_schema=False)
    @needs(TokenScope.READ)
    def look(request: Request, name: str) -> Response:
        """Show what making a version live would do."""
        registry = site.home.versions
        return site.page(
            request,
            "make_live.html",
            section="versions",
            seen=registry.foresee(name),
            version=registry.get(name),
            most=MOST_NAMED,
            busy=site.parts.scheduler.state().kind,
        )

    @app.post("/versions/{name}/make-live", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def make_live(name: str, requeue: Annotated[str, Form()] = "") -> Response:
        """Make a version live, and offer to take it back."""
        scheduler = site.parts.scheduler
        seen = site.home.versions.foresee(name)
        goes_back = requeue or int(seen.live[1:]) < int(seen.previous[1:])
        done = (
            scheduler.rollback(seen.live, requeue=bool(requeue))
            if goes_back
            else scheduler.promote(seen.live)
        )
        return site.done(
            f"/versions/{done.live}",
            said(done),
            undo="" if done.live == done.previous else _address(done.previous),
            undo_label=f"Undo: make {done.previous} live again",
        )


def said(done: Switch) -> str:
    """Return what making a version live did, in words."""
    known = f" {counted(done.regained, 'example')} it learned are known again."
    waits = f" {counted(done.requeued, 'example')} wait to be learned again."
    return (
        f"{done.live} is live."
        + (known if done.regained else "")
        + (waits if done.requeued else "")
    )


def _address(version: str) -> str:
    """Return where a version is made live."""
    return f"/versions/{version}/make-live"
