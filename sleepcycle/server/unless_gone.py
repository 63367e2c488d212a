"""Work that who asked waits for, and that is given up where they have gone."""

import asyncio
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from sleepcycle.errors import ServiceError

POLL_S = 0.5  # between looks whether who asked is still there

T = TypeVar("T")


async def unless_gone(
    request: Request, work: asyncio.Future[T], give_up: Callable[[], object]
) -> T:
    """Return what comes of work.

    Args:
        request: Of who asked.
        work: What they wait for.
        give_up: Lets it end soon. It is called where they have gone, where the service
            ends meanwhile, and, to no effect, once the work is done.

    Raises:
        ServiceError: It was cancelled, since they have gone.
    """
    try:
        while not (await asyncio.wait([work], timeout=POLL_S))[0]:
            if await request.is_disconnected():
                give_up()
                await asyncio.wait([work])
    finally:
        give_up()
    if work.cancelled():
        raise ServiceError("who asked has gone")
    return work.result()


async def threaded_unless_gone(request: Request, work: Callable[[Event], T]) -> T:
    """Return what comes of work in a thread, which is told where who asked has gone.

    Args:
        request: Of who asked.
        work: Is given what is set then; it is to end soon after.
    """
    given_up = Event()
    task = asyncio.create_task(run_in_threadpool(work, given_up))
    return await unless_gone(request, task, given_up.set)
