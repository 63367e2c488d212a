"""Who did what, page by page."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.dashboard.journal_words import line_of
from sleepcycle.dashboard.paging import before_number
from sleepcycle.dashboard.site import Site
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.server.request_parts import LARGEST

PER_PAGE = 50


def add_journal_page(app: FastAPI, site: Site) -> None:
    """Add the journal."""

    @app.get("/care/journal", include_in_schema=False)
    @needs(TokenScope.READ)
    def entries(request: Request, before: str = "") -> Response:
        """Show who did what, newest first."""
        last = before_number(before)
        found = site.home.journal(last, PER_PAGE + 1)
        return site.page(
            request,
            "journal.html",
            section="care",
            entries=[line_of(one) for one in found[:PER_PAGE]],
            older=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
            is_first=last == LARGEST,
        )
