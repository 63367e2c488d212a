"""One batch: what it brought, how it is learned, and how to take it out again."""

import json
from dataclasses import dataclass

from fastapi import FastAPI, Request
from starlette.responses import Response

from sleepcycle.dashboard.paging import number_of
from sleepcycle.dashboard.readable import counted
from sleepcycle.dashboard.rendered_examples import RenderedExamples, SeenExample
from sleepcycle.dashboard.site import Site
from sleepcycle.errors import NotFoundError
from sleepcycle.home.home import Home
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.server.command_json import requeued_json
from sleepcycle.store.values import ExampleState, StoredExample

WHAT = "a batch"
MOST_CHARS = 500  # of a stored example that a page shows
BAD_ROWS = 5  # that the page of a batch shows


@dataclass(frozen=True, slots=True)
class ShownRow:
    """One stored example, as a page shows it."""

    stored: StoredExample
    seen: SeenExample | None
    """As the model sees it; None where that was not asked for."""

    @property
    def content(self) -> str:
        """How its stored form begins."""
        text = self.stored.content
        return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]} …"

    @property
    def beside(self) -> dict[str, str]:
        """What its row said beside, which is kept and not learned."""
        kept = json.loads(self.stored.provenance or "{}")
        return {key: str(value)[:MOST_CHARS] for key, value in kept.items()}


def add_batch_page(app: FastAPI, site: Site, rendered: RenderedExamples) -> None:
    """Add the page of a batch, its examples, and what moves it."""
    _one(app, site)
    _examples(app, site, rendered)
    _move(app, site)


def _one(app: FastAPI, site: Site) -> None:
    """Add the page of a batch."""

    @app.get("/data/batches/{batch}", include_in_schema=False)
    @needs(TokenScope.READ)
    def one(request: Request, batch: str) -> Response:
        """Show what a batch brought, where that is now, and who learned it."""
        home, number = site.home, number_of(batch, WHAT)
        found, states = home.batches.get(number)
        learned_by = home.batches.learned_by(number)
        is_out = bool(states[ExampleState.EXCLUDED])
        return site.page(
            request,
            "batch.html",
            section="data",
            batch=found,
            states=states,
            is_out=is_out,
            learned_by=learned_by,
            free_of_it=_free(home) if is_out and learned_by else None,
            codes=home.batches.codes(number) if found.quarantined else {},
            bad_rows=home.batches.quarantined(number, limit=BAD_ROWS),
            aside=home.batches.set_aside(number, limit=BAD_ROWS),
            rows=[ShownRow(stored, None) for stored in _first(home, number)],
        )


def _first(home: Home, number: int) -> list[StoredExample]:
    """Return the first examples of a batch; none where all were known already."""
    try:
        return home.batches.examples(number)
    except NotFoundError:
        return []


def _free(home: Home) -> str | None:
    """Return the newest version that knows nothing of what is taken out."""
    usable = [
        one.version.name
        for one in home.versions.listing()
        if not one.tainted and one.removed_at is None and one.version.accepted
    ]
    return usable[-1] if usable else None


def _examples(app: FastAPI, site: Site, rendered: RenderedExamples) -> None:
    """Add how examples of a batch are learned."""

    @app.get("/data/batches/{batch}/examples", include_in_schema=False)
    @needs(TokenScope.READ)
    def examples(request: Request, batch: str, line: str = "") -> Response:
        """Show the first examples of a batch as the model sees them, or a line's."""
        home, number = site.home, number_of(batch, WHAT)
        found, _ = home.batches.get(number)
        stored: list[StoredExample] = []
        fault = ""
        try:
            wanted = number_of(line.strip(), "a line") if line.strip() else None
            stored = home.batches.examples(number, wanted)
        except NotFoundError as error:
            fault = str(error)
        shown = rendered.of(home, [one.content for one in stored]) if stored else []
        return site.page(
            request,
            "batch_examples.html",
            section="data",
            status=404 if fault else 200,
            batch=found,
            line=line,
            fault=fault,
            rows=[ShownRow(*pair) for pair in zip(stored, shown, strict=True)],
        )


def _move(app: FastAPI, site: Site) -> None:
    """Add what takes a batch out of all to come, and back in."""

    @app.post("/data/batches/{batch}/exclude", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def exclude(batch: str) -> Response:
        """Never learn or replay a batch again; versions that learned it stay."""
        number = number_of(batch, WHAT)
        moved = site.home.batches.exclude(number)
        return site.done(
            f"/data/batches/{number}",
            f"Taken out: {counted(moved, 'example')} will not be learned any more.",
            undo=f"/data/batches/{number}/requeue",
        )

    @app.post("/data/batches/{batch}/requeue", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def requeue(batch: str) -> Response:
        """Let a batch be learned again."""
        number = number_of(batch, WHAT)
        now = requeued_json(number, site.home.batches.requeue(number))
        return site.done(
            f"/data/batches/{number}",
            f"Back in: {counted(now['pending'], 'example')} to learn, "
            f"{now['trained']:,} learned already, {now['held_out']:,} held out.",
            undo=f"/data/batches/{number}/exclude",
        )
