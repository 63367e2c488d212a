"""The route that takes in examples: the twin of `sleepcycle feed`."""

from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.feed.keys import parse_map
from sleepcycle.feed.shapes import Format, RowOptions
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.example import report_fields
from sleepcycle.server.access import needs
from sleepcycle.server.arrival_desk import ArrivalDesk
from sleepcycle.server.bodies import SUFFIXES, bounds_of, fill, name_of_body
from sleepcycle.server.feed_desk import FeedDesk, keyed
from sleepcycle.server.responses import Refusal, answer, refused

LONGEST = 255  # characters of a name or a key
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string"}} for kind in filter(None, SUFFIXES)
        },
    }
}
"""What the document says of the body, which FastAPI does not read."""

Name = Annotated[str, Field(min_length=1, max_length=LONGEST)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=LONGEST,
        pattern="^[ -~]+$",
        description="The same bytes under the same key are answered alike.",
    ),
]


class FeedQuery(BaseModel):
    """The options of `sleepcycle feed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name | None = None
    """What the file is called, by which it is told what it holds."""

    source: Name | None = None
    format: Format | None = None
    map: str = ""
    ignore: list[str] = []
    dry_run: bool = False

    def options(self) -> FeedOptions:
        """Return how to feed.

        Raises:
            ConfigError: `map` is not written as it should be.
        """
        rows = RowOptions(self.format, parse_map(self.map), frozenset(self.ignore))
        return FeedOptions(self.source, rows, self.dry_run)


def add_feed_routes(
    app: FastAPI, desk: FeedDesk, arrivals: ArrivalDesk, most_bytes: int
) -> None:
    """Add what takes in examples."""

    @app.post("/api/feed", openapi_extra=BODY)
    @needs(TokenScope.FEED, max_body_bytes=most_bytes, chunked=True)
    async def feed(
        request: Request, query: Annotated[FeedQuery, Query()], key: Key = None
    ) -> Response:
        """Take in examples, and return the JSON of `sleepcycle feed`.

        The body is a file of any kind that the command reads, and may come in chunks.
        One that breaks off feeds nothing.
        """
        options, name = query.options(), name_of_body(request, query.name)
        if isinstance(name, Refusal):
            return refused(request.url.path, name)
        bounds = bounds_of(request, most_bytes)
        with desk.holding(key):
            async with arrivals.arriving(bounds) as arrival:
                try:
                    await fill(arrival, request)
                except ClientDisconnect:
                    return answer({}, 400)  # which nobody takes
                options = keyed(options, arrival.file, name, key)
                outcome = await desk.feed(partial(arrival.file.reader, name), options)
        response = answer(report_fields(outcome.report, outcome.shown))
        if outcome.is_known:
            response.headers["Idempotent-Replayed"] = "true"
        return response
