"""Connections of the HTTP server: how many, and how long one may keep us waiting."""

import asyncio
import resource
from enum import StrEnum

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

AT_ONCE = 256  # half of them streams of events at most; a guess
SHARE = 4  # of the files that the process may open, one in so many at most


class Wait(StrEnum):
    """What a connection waits for."""

    HEAD = "head"
    """Of a request; from the connection, or from the answer before it on."""

    BODY = "body"
    """Of the request whose head is there, some more of it; only of who knows the
    token."""

    ANSWER = "answer"
    """Of ours."""

    TAKING = "taking"
    """Of the answer, where the system buffers no more of it."""


LIMIT_S = {Wait.HEAD: 5.0, Wait.BODY: 30.0, Wait.TAKING: 30.0}
"""For how long; for an answer as long as it takes."""

TOO_SLOW = h11.Response(
    status_code=408,
    headers=[("Content-Length", "0"), ("Connection", "close")],
    reason="Request Timeout",
)
LEAST_BODY = 30_000  # bytes that each such time must bring of a body: 1 kB a second


class BoundedProtocol(H11Protocol):
    """uvicorn's protocol, for which no connection costs more than it brings.

    uvicorn itself waits for ever for a request that does not come, or not wholly.
    Here each wait ends at a deadline, which no drip of bytes puts off; a long body has
    one after the other, as long as enough comes. Who had begun a request is answered
    408, unless an answer has begun too. And where there are more connections than
    `most_at_once`, the one ends that has waited longest for a request: who connects to
    ask comes through, however many only connect.
    """

    _waits: tuple[Wait, object] | None = None
    _since = 0.0
    _came = 0  # bytes since the deadline was set
    _deadline: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, and make room where there is none."""
        super().connection_made(transport)
        self._watch()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Take what came; the deadline moves only where a part is whole."""
        self._came += len(data)
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Begin to wait for an answer to be taken."""
        super().pause_writing()
        self._untaken = self._after(Wait.TAKING)

    def resume_writing(self) -> None:
        """Wait no more for an answer to be taken; called at the end as well."""
        super().resume_writing()
        if self._untaken is not None:
            self._untaken.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    def _watch(self) -> None:
        """Set the deadline, where what is waited for is not what was."""
        waits = (self._wait(), self.cycle)
        if waits == self._waits:
            return
        self._waits, self._since = waits, self.loop.time()
        if self._deadline is not None:
            self._deadline.cancel()
        if waits[0] is Wait.BODY:
            self._expect_more()
        else:
            self._deadline = None if waits[0] is Wait.ANSWER else self._after(waits[0])

    def _after(self, wait: Wait) -> asyncio.TimerHandle:
        """Set the end of a wait. It closes at once, also where more is to be sent."""
        end = self._let_go if wait is Wait.HEAD else self.transport.abort
        return self.loop.call_later(LIMIT_S[wait], end)

    def _expect_more(self) -> None:
        """Set a deadline by which enough of a body must have come."""
        self._came = 0
        self._deadline = self.loop.call_later(LIMIT_S[Wait.BODY], self._look_at_body)

    def _look_at_body(self) -> None:
        """End a connection that brought too little, unless we let nothing in."""
        is_ours = self.flow is not None and self.flow.read_paused
        if self._came >= LEAST_BODY or is_ours:
            self._expect_more()
        else:
            self._let_go()

    def _let_go(self) -> None:
        """End a connection; a request that has begun, and no answer, is told why."""
        ours, part_of_head = self.conn.our_state, self.conn.trailing_data[0]
        has_begun = part_of_head if ours is h11.IDLE else ours is h11.SEND_RESPONSE
        if self.transport.is_closing() or not has_begun:
            self.transport.abort()
            return
        if self.cycle is not None:
            self.cycle.disconnected = True  # what it would answer comes too late
        self.transport.write(self.conn.send(TOO_SLOW) or b"")
        self.conn.send(h11.EndOfMessage())
        if self.transport.get_write_buffer_size():  # answers before it are not read
            self.transport.abort()
        else:
            self.transport.close()

    def _wait(self) -> Wait:
        """Return what is waited for."""
        if self.cycle is None or self.cycle.response_complete:
            return Wait.HEAD  # also while the rest of a refused body is thrown away
        return Wait.BODY if self.cycle.more_body else Wait.ANSWER

    def _make_room(self) -> None:
        """End one connection that waits for a request, where there are too many."""
        if len(self.connections) < (self.limit_concurrency or 0):
            return
        idle = [
            other
            for other in self.connections
            if isinstance(other, BoundedProtocol) and other._wait() is Wait.HEAD
        ]
        oldest = min(idle, key=lambda other: other._since)  # this one, if no other
        self.connections.discard(oldest)
        oldest.transport.abort()


def most_at_once() -> int:
    """Return how many connections there may be: handles are left for files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return AT_ONCE
    return max(1, min(AT_ONCE, limit // SHARE))
