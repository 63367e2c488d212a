"""What was given to learn: batches, and the forms that give more."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sleepcycle.dashboard.paging import before_number
from sleepcycle.dashboard.previews import MadeBy, PreviewShelf
from sleepcycle.dashboard.readable import counted
from sleepcycle.dashboard.rendered_examples import seen
from sleepcycle.dashboard.site import Site, see
from sleepcycle.errors import ConfigError, FeedError, ModelError, TuningError
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.feed.keys import parse_map
from sleepcycle.feed.shapes import Format, RowOptions
from sleepcycle.files.arriving import ArrivingFile
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.example import FeedKey, report_fields
from sleepcycle.server.access import needs
from sleepcycle.server.bodies import bounds_of
from sleepcycle.server.multipart import FormReader
from sleepcycle.server.request_parts import LARGEST

MB = 1_000_000
FORM_BYTES = 100_000  # of a form beside its file
PASTE_BYTES = 4 * MB  # of a form whose text is escaped; more is a file to upload
PER_PAGE = 50
KINDS = {
    "": "Tell by how it begins",
    ".jsonl": "JSON objects, one a line (JSONL)",
    ".json": "JSON",
    ".csv": "A table with a row of names (CSV)",
    ".yaml": "YAML",
    ".txt": "Plain text, learned as it is",
}
"""What pasted text can be, by how its name would end."""

MENDABLE = (ConfigError, FeedError, ModelError, TuningError)
"""What is wrong with what was given, for which its page is shown again."""

Typed = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class Given:
    """What a form says of what is to be fed."""

    text: str = ""
    kind: str = ""
    source: str = ""
    format: str = ""
    map: str = ""

    def options(self) -> FeedOptions:
        """Return how it would be fed.

        Raises:
            ConfigError: The shape is none, or the keys are not written as they should.
        """
        if self.format and self.format not in list(Format):
            raise ConfigError(
                f"expected one of {', '.join(Format)}, got {self.format[:80]!r}"
            )
        shape = Format(self.format) if self.format else None
        rows = RowOptions(shape, parse_map(self.map))
        return FeedOptions(self.source.strip()[:255] or None, rows, dry_run=True)


def add_data_page(app: FastAPI, desk: "PreviewDesk") -> None:
    """Add the list of batches, and what looks at a feed before it is one."""
    _listing(app, desk.site, desk.shelf)
    _paste(app, desk)
    _upload(app, desk, desk.shelf.most_bytes)
    _feed(app, desk.site, desk.shelf)


@dataclass(frozen=True)
class PreviewDesk:
    """Makes previews of what forms bring."""

    site: Site
    shelf: PreviewShelf

    async def keep(
        self, file: ArrivingFile, name: str, options: FeedOptions, made_by: MadeBy
    ) -> Response:
        """Look at what came, keep it, and go on to what would come of it.

        Raises:
            SleepcycleError: It cannot be fed.
        """
        read = partial(file.reader, name)
        outcome = await self.site.parts.feeds.feed(read, options)
        report = report_fields(outcome.report, outcome.shown)
        kept = await run_in_threadpool(
            self.shelf.keep, file, name, options, report, made_by
        )
        return see(f"/data/previews/{kept.key}")

    async def keep_text(
        self, name: str, options: FeedOptions, made_by: MadeBy
    ) -> Response:
        """Do so with a text that was typed.

        Raises:
            SleepcycleError: There is none, or it cannot be fed.
        """
        if not made_by.text.strip():
            raise FeedError("expected some text, got none; paste it, then look again")
        told = made_by.text.replace("\r\n", "\n").encode(errors="replace")
        bounds = (len(told), len(told))
        async with self.site.parts.arrivals.arriving(bounds) as arrival:
            await run_in_threadpool(arrival.write, told)
            return await self.keep(arrival.file, name, options, made_by)

    def again(
        self, request: Request, given: Given, fault: Exception, *, pasted: bool
    ) -> Response:
        """Return the page with what was typed, and what is wrong with it."""
        shown = _shown(self.site, before_number(""))
        return self.site.page(
            request,
            "data.html",
            section="data",
            status=422,
            **shown,
            given=given,
            fault=str(fault),
            pasted=pasted,
        )


def _shown(site: Site, before: int) -> dict[str, Any]:
    """Return what the page has beside its forms."""
    batches = site.home.batches.newest(before, PER_PAGE + 1)
    return {
        "batches": batches[:PER_PAGE],
        "is_first": before == LARGEST,
        "older": batches[PER_PAGE - 1][0].id if len(batches) > PER_PAGE else None,
        "kinds": KINDS,
        "formats": list(Format),
        "inbox": site.parts.paths.inbox,
        "most_mb": site.parts.settings.max_feed_mb,
    }


def _listing(app: FastAPI, site: Site, shelf: PreviewShelf) -> None:
    """Add the list of batches."""

    @app.get("/data", include_in_schema=False)
    @needs(TokenScope.READ)
    def data(request: Request, before: str = "", again: str = "") -> Response:
        """Show what was fed, newest first, and the forms that feed more.

        Args:
            request: What it answers.
            before: The batch that the page goes on before.
            again: Key of a preview whose text is to be changed.
        """
        shelf.tidy()
        kept = shelf.get(again) if again else None
        return site.page(
            request,
            "data.html",
            section="data",
            **_shown(site, before_number(before)),
            given=Given(text=kept.made_by.text) if kept else Given(),
            fault="",
            pasted=True,
        )


def _paste(app: FastAPI, desk: PreviewDesk) -> None:
    """Add what takes in text, to be looked at."""

    @app.post("/data/preview/pasted", include_in_schema=False)
    @needs(TokenScope.FEED, max_body_bytes=PASTE_BYTES)
    async def pasted(
        request: Request,
        text: Typed = "",
        kind: Typed = "",
        source: Typed = "",
        format: Typed = "",
        map: Typed = "",
    ) -> Response:
        """Look what a text would bring."""
        given = Given(text, kind, source, format, map)
        try:
            suffix = kind if kind in KINDS else ""
            options = given.options()
            if options.source is None:
                options = replace(options, source="pasted text")
            made_by = MadeBy("/data", text)
            return await desk.keep_text(f"pasted{suffix}", options, made_by)
        except MENDABLE as error:
            return await run_in_threadpool(
                desk.again, request, given, error, pasted=True
            )


def _upload(app: FastAPI, desk: PreviewDesk, most_bytes: int) -> None:
    """Add what takes in files, to be looked at."""

    @app.post("/data/preview", include_in_schema=False)
    @needs(TokenScope.FEED, max_body_bytes=most_bytes + FORM_BYTES, chunked=True)
    async def uploaded(request: Request) -> Response:
        """Look what a file would bring."""
        bounds = bounds_of(request, most_bytes + FORM_BYTES, FORM_BYTES)
        async with desk.site.parts.arrivals.arriving(bounds) as arrival:
            form = FormReader(arrival)
            try:
                await _read(form, request)
                name, options = form.expect_whole(), _given(form.fields).options()
                if not arrival.file.size:
                    raise FeedError("expected a file with something in it, got none")
                return await desk.keep(arrival.file, name, options, MadeBy("/data"))
            except ClientDisconnect:
                return Response(status_code=400)  # which nobody takes
            except MENDABLE as error:
                given = _given(form.fields)
                return await run_in_threadpool(
                    desk.again, request, given, error, pasted=False
                )


async def _read(form: FormReader, request: Request) -> None:
    """Put all of a form into its reader.

    Raises:
        TuningError: It is no form, or holds more than it may.
    """
    parser = form.open(request.headers.get("content-type", ""))
    async for chunk in request.stream():
        await run_in_threadpool(form.write, parser, chunk)


def _given(fields: Mapping[str, str]) -> Given:
    """Return what a form says beside its file."""
    return Given(
        source=fields.get("source", ""),
        format=fields.get("format", ""),
        map=fields.get("map", ""),
    )


def _feed(app: FastAPI, site: Site, shelf: PreviewShelf) -> None:
    """Add what shows a preview, and what feeds it."""
    feeds = site.parts.feeds

    @app.get("/data/previews/{key}", include_in_schema=False)
    @needs(TokenScope.FEED)
    def preview(request: Request, key: str) -> Response:
        """Show what a feed would bring, and how its first rows are learned."""
        kept = shelf.get(key)
        return site.page(
            request,
            "preview.html",
            section="data",
            kept=kept,
            report=kept.report,
            examples=seen(kept.report["shown"]),
        )

    @app.post("/data/previews/{key}", include_in_schema=False)
    @needs(TokenScope.FEED)
    async def feed(key: str) -> Response:
        """Feed just those bytes; once, however often it is asked for."""
        kept = shelf.get(key)
        known = FeedKey(key, sha256(key.encode()).digest())
        options = replace(kept.options, dry_run=False, key=known)
        with feeds.holding(key):
            report = report_fields((await feeds.feed(kept.reader, options)).report)
        batch = report["batch"]
        return site.done(
            f"/data/batches/{batch}",
            _fed(report),
            undo=f"/data/batches/{batch}/exclude" if report["accepted"] else "",
            undo_label="Take it out again",
        )

    @app.post("/data/previews/{key}/drop", include_in_schema=False)
    @needs(TokenScope.FEED)
    def drop(key: str) -> Response:
        """Forget a preview; nothing of it was fed."""
        address = shelf.get(key).made_by.address
        shelf.drop(key)
        return site.done(address, "It was not fed, and is forgotten.")


def _fed(report: Mapping[str, Any]) -> str:
    """Return what a feed brought, in a sentence."""
    more = ""
    if report["duplicate"]:
        more += f", {report['duplicate']:,} known already"
    if report["quarantined"]:
        more += f", {report['quarantined']:,} in quarantine"
    new = counted(report["accepted"], "new example")
    return f"Fed as batch {report['batch']}: {new}{more}."
