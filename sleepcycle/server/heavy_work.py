"""Heavy work that requests ask for: one at a time, and not for who has gone."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from sleepcycle.errors import BusyError

POLL_S = 0.2  # between looks whether who asked is still there
RETRY_S = 30  # a guess: an evaluation may take minutes

T = TypeVar("T")


async def unless_gone(request: Request, work: Callable[[Event], T]) -> T:
    """Return what comes of work in a thread, which is told where who asked has gone.

    Args:
        request: Of who asked.
        work: Is given what is set then; it is to end soon after.
    """
    given_up = Event()
    task = asyncio.create_task(run_in_threadpool(work, given_up))
    try:
        while not (await asyncio.wait([task], timeout=POLL_S))[0]:
            if await request.is_disconnected():
                given_up.set()
    finally:
        given_up.set()  # also where the service ends meanwhile
    return task.result()


class HeavyWork:
    """Lets one thing be done at a time: most of them load the base once more."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    async def do(self, request: Request, work: Callable[[Event], T]) -> T:
        """Return what comes of work, while who asked waits for it.

        Raises:
            BusyError: Other work is on.
        """
        with self._held():
            return await unless_gone(request, work)

    def begin(self, work: Callable[[Event], T]) -> Future[T]:
        """Begin work that outlasts the request, and return what will come of it.

        Raises:
            BusyError: Other work is on.
        """
        self._take()
        done: Future[T] = Future()
        done.set_running_or_notify_cancel()

        def perform() -> None:
            """Do it, whatever comes of it."""
            try:
                found = work(Event())
            except Exception as error:  # noqa: BLE001 - who asks for the job is told
                self._turn.release()
                done.set_exception(error)
            else:
                self._turn.release()
                done.set_result(found)

        threading.Thread(target=perform, name="job", daemon=True).start()
        return done

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Have the turn for a block."""
        self._take()
        try:
            yield
        finally:
            self._turn.release()

    def _take(self) -> None:
        """Take the turn, or refuse."""
        if not self._turn.acquire(blocking=False):
            raise BusyError(
                "expected no other heavy work, got some, such as an evaluation or an "
                "export; ask again later",
                retry_s=RETRY_S,
            )
