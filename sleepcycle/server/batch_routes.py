"""Routes of batches: what was fed, what could not be, and what is learned of it."""

from collections.abc import Iterable
from itertools import islice
from typing import Annotated

from fastapi import FastAPI, Query
from starlette.responses import Response

from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.example import BadRow
from sleepcycle.server.access import needs
from sleepcycle.server.command_json import (
    bad_row_json,
    batch_json,
    examples_json,
    excluded_json,
    requeued_json,
)
from sleepcycle.server.request_parts import LARGEST, LISTED, After, Limit, Number
from sleepcycle.server.responses import answer
from sleepcycle.server.version_routes import OpenHome

Line = Annotated[int | None, Query(ge=1, le=LARGEST)]


def add_batch_routes(app: FastAPI, home: OpenHome) -> None:
    """Add what looks at batches, and what takes them out or back in."""
    _look(app, home)
    _bad_rows(app, home)
    _move(app, home)


def _look(app: FastAPI, home: OpenHome) -> None:
    """Add what looks at batches."""

    @app.get("/api/batches")
    @needs(TokenScope.READ)
    def batches(after: After = 0, limit: Limit = LISTED) -> Response:
        """Return batches, oldest first; `after` is the last of the page before."""
        return answer(home().batches.listing(after, limit))

    @app.get("/api/batches/{batch}/examples")
    @needs(TokenScope.READ)
    def examples(batch: Number, line: Line = None) -> Response:
        """Return a batch's first examples as the model sees them, or those of a row."""
        opened = home()
        stored = opened.batches.examples(batch, line)
        shown = opened.show_examples([one.content for one in stored])
        return answer(examples_json(stored, shown))


def _bad_rows(app: FastAPI, home: OpenHome) -> None:
    """Add what looks at rows that are not learned."""

    @app.get("/api/batches/quarantine")
    @needs(TokenScope.READ)
    def quarantine(after: After = 0, limit: Limit = LISTED) -> Response:
        """Return what could not become examples; `after` counts the rows before."""
        return _page(home().batches.bad_rows(), after, limit)

    @app.get("/api/batches/{batch}/quarantine")
    @needs(TokenScope.READ)
    def quarantine_of(
        batch: Number, after: After = 0, limit: Limit = LISTED
    ) -> Response:
        """Return the same of one batch."""
        return _page(home().batches.bad_rows(batch), after, limit)

    @app.get("/api/batches/{batch}")
    @needs(TokenScope.READ)
    def one(batch: Number) -> Response:
        """Return one batch, and where its examples are now."""
        return answer(batch_json(*home().batches.get(batch)))


def _page(rows: Iterable[BadRow], after: int, limit: int) -> Response:
    """Return a page of rows; behind all that there can be it is empty."""
    shown = islice(rows, after, min(after + limit, LARGEST))
    return answer([bad_row_json(row) for row in shown])


def _move(app: FastAPI, home: OpenHome) -> None:
    """Add what takes batches out of all to come, and back in."""

    @app.post("/api/batches/{batch}/exclude")
    @needs(TokenScope.ADMIN)
    def exclude(batch: Number) -> Response:
        """Never learn or replay a batch again; versions that learned it stay."""
        return answer(excluded_json(batch, home().batches.exclude(batch)))

    @app.post("/api/batches/{batch}/requeue")
    @needs(TokenScope.ADMIN)
    def requeue(batch: Number) -> Response:
        """Let a batch be learned again."""
        return answer(requeued_json(batch, home().batches.requeue(batch)))
