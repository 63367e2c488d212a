"""Rows that are not learned, why not, and a place to mend them."""

from typing import Annotated

from fastapi import FastAPI, Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sleepcycle.dashboard.data_page import MENDABLE, PASTE_BYTES, PreviewDesk
from sleepcycle.dashboard.paging import before_number, number_of
from sleepcycle.dashboard.previews import MadeBy
from sleepcycle.dashboard.site import Site
from sleepcycle.errors import FeedError
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.store.quarantine_table import QuarantinedRow

WHAT = "a quarantined row"
PER_PAGE = 50
MENDED = "mended.jsonl"
"""What a mended row is called: rows are kept as JSON, or were to be it."""


def add_quarantine_page(app: FastAPI, desk: PreviewDesk) -> None:
    """Add the rows that are not learned."""
    _listing(app, desk.site)
    _mend(app, desk.site, desk)


def _listing(app: FastAPI, site: Site) -> None:
    """Add the list of rows."""

    @app.get("/data/quarantine", include_in_schema=False)
    @needs(TokenScope.READ)
    def quarantine(
        request: Request, batch: str = "", before: str = "", aside: str = ""
    ) -> Response:
        """Show rows that could not become examples, and those set aside since."""
        home = site.home
        number = number_of(batch, "a batch") if batch else None
        if number is not None:
            home.batches.get(number)  # one that is not there is named
        rows = home.batches.quarantined(number, before_number(before), PER_PAGE + 1)
        others = home.batches.set_aside(number, before_number(aside), PER_PAGE + 1)
        return site.page(
            request,
            "quarantine.html",
            section="data",
            batch=number,
            rows=rows[:PER_PAGE],
            older=_older(rows),
            aside=others[:PER_PAGE],
            older_aside=_older(others),
        )


def _older(rows: list[QuarantinedRow]) -> int | None:
    """Return what the next page comes before; None where there is none."""
    return rows[PER_PAGE - 1].id if len(rows) > PER_PAGE else None


def _mend(app: FastAPI, site: Site, desk: PreviewDesk) -> None:
    """Add the page of a row, and what takes it in mended."""

    def page(
        request: Request, found: QuarantinedRow, text: str | None, fault: str = ""
    ) -> Response:
        """Return the page of a row, with what is typed there."""
        kept = found.row.raw.decode(errors="replace")
        return site.page(
            request,
            "quarantined_row.html",
            section="data",
            status=422 if fault else 200,
            found=found,
            text=kept if text is None else text,
            is_text=kept.encode() == found.row.raw,
            fault=fault,
        )

    @app.get("/data/quarantine/{row}", include_in_schema=False)
    @needs(TokenScope.READ)
    def one(request: Request, row: str, again: str = "") -> Response:
        """Show one row, why it was refused, and its text to be mended."""
        found = site.home.batches.quarantined_row(number_of(row, WHAT))
        text = desk.shelf.get(again).made_by.text if again else None
        return page(request, found, text)

    @app.post("/data/quarantine/{row}", include_in_schema=False)
    @needs(TokenScope.FEED, max_body_bytes=PASTE_BYTES)
    async def mend(
        request: Request, row: str, text: Annotated[str, Form()] = ""
    ) -> Response:
        """Look what a mended row would bring."""
        number = number_of(row, WHAT)
        found = await run_in_threadpool(site.home.batches.quarantined_row, number)
        came = found.row
        source = f"mended {came.file[-200:]}:{came.line}"
        made_by = MadeBy(f"/data/quarantine/{number}", text)
        try:
            if found.is_cut:
                raise FeedError(
                    f"expected a whole row, got one that is cut after {len(came.raw)} "
                    "bytes; mend it in its file, and feed that"
                )
            options = FeedOptions(source, dry_run=True)
            return await desk.keep_text(MENDED, options, made_by)
        except MENDABLE as error:
            return await run_in_threadpool(page, request, found, text, str(error))
