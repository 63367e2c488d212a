"""Events: what the journal gets and how far runs are, read once for all who listen."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import islice
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from loguru import logger
from starlette.concurrency import run_in_threadpool

from sleepcycle.daemon.state import DaemonState
from sleepcycle.errors import BusyError, NotFoundError
from sleepcycle.records.codec import dumps
from sleepcycle.store.reader import JournalText

POLL_S = 0.5  # between looks at the journal, which other processes write too
HEARTBEAT_S = 15.0
LONGEST_S = 600.0  # of one stream: whose token was revoked listens no longer
KEPT = 1000  # newest entries in memory; who is behind them reads the database
PAGE = 200  # entries read at once
RETRY_MS = 2000  # until who lost the stream asks for it again
POSITION = "position"
RETRY_S = 5  # until somebody else may have gone
SHOWN_STATE = ("word", "run", "kind", "progress", "paused")
"""No banner: an error may quote what it met."""

Read = Callable[[int, int], Sequence[JournalText]]


class EventFeed:
    """Hands on what changes. Everything here happens in one event loop.

    No stream has a queue: each knows the last entry that it sent, and reads on from
    there, so one that is slow keeps nothing back but itself.
    """

    def __init__(
        self,
        read: Read,
        newest: Callable[[], int],
        state: Callable[[], DaemonState],
        most_open: int,
    ) -> None:
        """Begin with nobody who listens; then the database is not looked at.

        Args:
            read: Returns entries of the journal behind one, up to a number.
            newest: Returns the last entry's number.
            state: Returns what the service does.
            most_open: Streams at once.
        """
        self._read, self._newest, self._state = read, newest, state
        self._most_open = most_open
        self.open = 0
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._position: int | None = None  # the newest entry that is known of
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._shown: dict[str, Any] = {}
        self._progress, self._turn = b"", 0

    def enter(self) -> None:
        """Count one more who listens.

        Raises:
            BusyError: There are as many as there may be.
        """
        if self.open >= self._most_open:
            raise BusyError(
                f"expected fewer than {self._most_open} streams of events at once; "
                "try again later",
                retry_s=RETRY_S,
            )
        self.open += 1

    def leave(self) -> None:
        """Count one less; with the last the journal is left alone."""
        self.open -= 1
        if not self.open and self._watch is not None:
            self._watch.cancel()
            self._watch = None

    async def begin(self, after: int | None) -> int:
        """Return the entry that a stream begins behind: the one named, or the last.

        Raises:
            NotFoundError: The journal has not come that far.
        """
        newest = await run_in_threadpool(self._newest)
        if after is None:
            return newest
        if after > newest:
            raise NotFoundError(
                f"expected an entry of the journal, which ends at {newest}, got "
                f"{after}: an older database was put back; begin without it"
            )
        return after

    async def stream(self, after: int) -> AsyncIterator[bytes]:
        """Yield events from an entry on, until the service ends or it is time to."""
        self._listen()
        loop = asyncio.get_running_loop()
        last, turn, until = after, 0, loop.time() + LONGEST_S
        yield _event(POSITION, {"after": last}, last)
        while not self._closed and loop.time() < until:
            news, end = self._news, self._position
            for entry, data in await self._behind(last):
                yield data
                last = entry
            if self._turn != turn:
                turn = self._turn
                yield self._progress
            if end is not None and last < end:
                continue  # another page
            try:
                await asyncio.wait_for(news.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield KEEPALIVE_COMMENT

    def close(self) -> None:
        """End all streams; any thread may call it."""
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell)

    def _listen(self) -> None:
        """Let somebody look at the journal, if nobody does."""
        self._loop = asyncio.get_running_loop()
        if self._watch is None or self._watch.done():
            self._kept.clear()
            self._position, self._shown, self._turn = None, {}, 0
            self._watch = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Read what is new, again and again, and wake all who listen."""
        met = ""
        while not self._closed:
            try:
                new = await run_in_threadpool(self._new_entries)
                met = ""
            except Exception as error:  # noqa: BLE001 - streams would go silent for good
                new = []
                if repr(error) != met:  # logged once
                    met = repr(error)
                    logger.error("the journal cannot be read for events: {e}", e=met)
            self._kept.extend((one.id, _entry(one)) for one in new)
            if new:
                self._position = new[-1].id
            if self._has_moved() or new:
                self._tell()
            if len(new) < PAGE:
                await asyncio.sleep(POLL_S)

    def _new_entries(self) -> Sequence[JournalText]:
        """Return entries that nobody has seen; at first none, but where they end."""
        if self._position is None:
            self._position = self._newest()
            return []
        return self._read(self._position, PAGE)

    async def _behind(self, last: int) -> Sequence[tuple[int, bytes]]:
        """Return entries behind one: of those in memory, or of the database."""
        if self._position is None or last >= self._position:
            return []
        if self._kept and self._kept[0][0] <= last + 1:
            behind = (kept for kept in self._kept if kept[0] > last)
            return list(islice(behind, PAGE))
        found = await run_in_threadpool(self._read, last, PAGE)
        return [(one.id, _entry(one)) for one in found]

    def _has_moved(self) -> bool:
        """Look at what the service does, and return whether that is news."""
        state = self._state()
        shown = {name: getattr(state, name) for name in SHOWN_STATE}
        if shown == self._shown:
            return False
        self._shown, self._turn = shown, self._turn + 1
        self._progress = _event("progress", shown)
        return True

    def _tell(self) -> None:
        """Wake all who wait for news."""
        told, self._news = self._news, asyncio.Event()
        told.set()


def _entry(one: JournalText) -> bytes:
    """Return an entry of the journal as an event."""
    told = {
        "entry": one.id,
        "at": one.at,
        "actor": one.actor,
        "action": one.action,
        "details": _parsed(one.details),
    }
    return _event("journal", told, one.id)


def _parsed(details: str) -> Any:  # noqa: ANN401 - as it was written
    """Return the details of an entry; as text where they are damaged."""
    try:
        return json.loads(details)
    except ValueError:
        return details


def _event(name: str, data: dict[str, Any], id: int | None = None) -> bytes:
    """Return an event as it is sent."""
    return format_sse_event(
        event=name,
        data_str=dumps(data),
        id=None if id is None else str(id),
        retry=RETRY_MS if name == POSITION else None,
    )
