"""Heavy work that requests ask for: one at a time, and not for who has gone."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import TypeVar

from fastapi import Request

from sleepcycle.errors import BusyError
from sleepcycle.server.unless_gone import unless_gone

RETRY_S = 30  # a guess: an evaluation may take minutes
END_S = 2.0  # for a process that was given up

T = TypeVar("T")


class HeavyWork:
    """Lets one thing be done at a time: most of them load the base once more.

    Each is done in a thread of its own, which has the turn until the work has ended,
    also where nobody waits for it any more.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._closed = Event()

    async def do(self, request: Request, work: Callable[[Event], T]) -> T:
        """Return what comes of work, while who asked waits for it.

        Args:
            request: Of who asked.
            work: Is given what is set once they have gone; it is to end soon after.

        Raises:
            BusyError: Other work is on.
        """
        given_up = Event()
        done = asyncio.wrap_future(self._start(work, given_up))
        return await unless_gone(request, done, given_up.set)

    def begin(self, work: Callable[[Event], T]) -> Future[T]:
        """Begin work that outlasts the request, and return what will come of it.

        Args:
            work: Is given what is set by `close`; it is to end soon after.

        Raises:
            BusyError: Other work is on.
        """
        return self._start(work, self._closed)

    def close(self) -> None:
        """Give up what has begun, and begin no more, since the service ends.

        What is on is waited for a while, so that it leaves nothing behind.
        """
        self._closed.set()
        self._turn.acquire(timeout=END_S)

    def _start(self, work: Callable[[Event], T], given_up: Event) -> Future[T]:
        """Take the turn, and let a thread do the work and give it back."""
        if not self._turn.acquire(blocking=False):
            raise BusyError(
                "expected no other heavy work, got some, such as an evaluation or an "
                "export; ask again later",
                retry_s=RETRY_S,
            )
        done: Future[T] = Future()
        done.set_running_or_notify_cancel()

        def perform() -> None:
            """Do it, whatever comes of it."""
            try:
                found = work(given_up)
            except Exception as error:  # noqa: BLE001 - who asks for it is told
                self._turn.release()
                done.set_exception(error)
            else:
                self._turn.release()
                done.set_result(found)

        try:
            threading.Thread(target=perform, name="heavy work", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._turn.release()
            raise
        return done
