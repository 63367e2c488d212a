"""The route of events, as server-sent events that can be resumed."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import FastAPI, Header, Query
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.server.connections import most_at_once
from sleepcycle.server.events import EventFeed
from sleepcycle.server.request_parts import LARGEST
from sleepcycle.server.talk import Talk
from sleepcycle.store import journal
from sleepcycle.store.reader import JournalText

SHARE = 2  # of the connections there may be, one in so many at most: others ask
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
Entry = Annotated[int | None, Query(ge=0, le=LARGEST)]
LastEntry = Annotated[int | None, Header(alias="Last-Event-ID", ge=0, le=LARGEST)]


class EventStream(StreamingResponse):
    """A stream that is counted from its first byte to its last."""

    media_type = "text/event-stream"

    def __init__(self, feed: EventFeed, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, headers=HEADERS)
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, unless there are too many."""
        self._feed.enter()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.leave()


def add_event_routes(app: FastAPI, talk: Talk) -> EventFeed:
    """Add the stream of events, and return what is to be closed at the end."""

    def read(after: int, limit: int) -> list[JournalText]:
        """Return entries of the journal."""
        with talk.store.read() as session:
            return journal.entries_after(session, after, limit)

    def newest() -> int:
        """Return the last entry's number."""
        with talk.store.read() as session:
            return journal.newest(session)

    most = max(1, most_at_once() // SHARE)
    feed = EventFeed(read, newest, lambda: talk.scheduler.state(), most)

    @app.get("/api/events", response_class=EventStream, status_code=200)
    @needs(TokenScope.READ)
    async def events(after: Entry = None, last_event_id: LastEntry = None) -> Response:
        """Stream what changes, as server-sent events.

        Each entry of the journal is an event with its number as id: who names the last
        one seen, by the header Last-Event-ID or by `after`, gets all behind it. How far
        a run is comes between them, without an id. A stream ends after ten minutes, to
        be resumed.
        """
        begin = await feed.begin(after if last_event_id is None else last_event_id)
        return EventStream(feed, feed.stream(begin))

    return feed
