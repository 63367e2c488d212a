"""The way from the service to its serving process; torch is loaded there alone."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

from loguru import logger

from sleepcycle.errors import ServiceError, SleepcycleError, error_named
from sleepcycle.files import disk
from sleepcycle.files.child_process import Child, offline_environment
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.codec import to_json
from sleepcycle.serving.messages import (
    AnswerRefused,
    Ask,
    Begun,
    Cancel,
    Ended,
    Failed,
    Line,
    Ready,
    Said,
    ServingOrder,
    parsed,
    written,
)

LONGEST_LINE = 16_000_000  # bytes; a token told of with twenty others has some 2,000
GRACE_S = 2.0  # between asking a process to end and killing it
LOOK_S = 1.0  # between looks whether it is idle

Answer = AsyncIterator[Begun | Said | Ended]


class _UnheardError(ServiceError):
    """The process ended before it had heard what was asked; another may answer."""


@dataclass(eq=False)
class _Running:
    """A serving process that runs."""

    child: Child
    reader: asyncio.StreamReader
    writer: asyncio.WriteTransport
    ready: asyncio.Future[None]
    asked: dict[int, asyncio.Queue[Line]] = field(default_factory=dict)
    over: bool = False
    """Whether it takes no more questions."""

    def take(self, line: Line) -> None:
        """Hand on what it says to whoever asked."""
        if isinstance(line, Ready):
            self.ready.set_result(None)
        elif (
            isinstance(line, Begun | Said | Ended | AnswerRefused)
            and line.id in self.asked
        ):
            self.asked[line.id].put_nowait(line)

    def send(self, line: Line) -> None:
        """Send it a message; what cannot be sent is answered by its end."""
        self.writer.write(written(line))


class ServingProcess:
    """Asks the serving process, which is started when it is needed.

    Everything here happens in one event loop.

    Args:
        paths: The home.
        order: Returns what a process is started with.
        idle_s: For how long one that is not asked is kept; 0 keeps it.
        must_go: Whether one that is not asked is to go at once.
    """

    def __init__(
        self,
        paths: HomePaths,
        order: Callable[[], ServingOrder],
        idle_s: float,
        must_go: Callable[[], bool],
    ) -> None:
        self._paths, self._order, self._idle_s = paths, order, idle_s
        self._must_go = must_go
        self._numbers = itertools.count(1)
        self._running: _Running | None = None
        self._starting = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def _log(self) -> Path:
        """What a process prints."""
        return self._paths.logs / "serving.log"

    @property
    def is_running(self) -> bool:
        """Whether there is a process, which holds memory."""
        return self._running is not None

    @property
    def open_answers(self) -> int:
        """How many answers are being given."""
        return len(self._running.asked) if self._running else 0

    async def answer(self, asked: Ask) -> Answer:
        """Yield an answer as it is being written; who stops to read cancels it.

        Args:
            asked: What is wanted; its number is chosen here.

        Raises:
            SleepcycleError: It cannot be answered; a `ServiceError` where the process
                could not be started, or ended meanwhile.
        """
        asked = replace(asked, id=next(self._numbers))
        try:
            async for line in self._answer(asked):
                yield line
        except _UnheardError:
            async for line in self._answer(asked):
                yield line

    async def stop(self) -> None:
        """End the process, if there is one; answers that are not over are refused."""
        running, self._running = self._running, None
        if running is not None:
            running.over = True
            running.writer.close()
            await asyncio.to_thread(running.child.end)

    async def _answer(self, asked: Ask) -> Answer:
        """Yield an answer of the process that runs.

        Raises:
            SleepcycleError: As for `answer`; an `_UnheardError` where the process had
                not even begun.
        """
        running = await self._started()
        lines: asyncio.Queue[Line] = asyncio.Queue()
        running.asked[asked.id] = lines
        begun = ended = False
        try:
            running.send(asked)
            while not ended:
                line = await lines.get()
                ended = isinstance(line, Ended | AnswerRefused | Failed)
                if isinstance(line, Failed) and not begun:
                    raise _UnheardError(line.message)
                if isinstance(line, AnswerRefused | Failed):
                    raise error_named(line.error, line.message, otherwise=ServiceError)
                if isinstance(line, Begun | Said | Ended):
                    begun = True
                    yield line
        finally:
            running.asked.pop(asked.id, None)
            if not ended:
                running.send(Cancel(asked.id))

    async def _started(self) -> _Running:
        """Return a process that has loaded its base.

        Raises:
            SleepcycleError: It cannot.
        """
        async with self._starting:
            if self._running is None or self._running.over:
                self._running = await self._start()
                for work in (self._read(self._running), self._watch(self._running)):
                    task = asyncio.create_task(work)
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            running = self._running
            await asyncio.shield(running.ready)
        if running.over:  # it died right after it had said that it is ready
            raise _UnheardError(f"the serving process ended at once; see {self._log}")
        return running

    async def _start(self) -> _Running:
        """Start a process, and connect to it."""
        order = await asyncio.to_thread(self._order)
        file = self._paths.cache / "serving.json"
        await asyncio.to_thread(disk.write, file, to_json(order))
        words = ["-m", "sleepcycle.serving.serving_worker", str(file), str(self._log)]
        start = partial(Child, words, offline_environment(), grace_s=GRACE_S)
        child = await asyncio.to_thread(start)
        try:
            return await self._connected(child)
        except BaseException:
            child.end()
            raise

    async def _connected(self, child: Child) -> _Running:
        """Connect to a process that was started."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LONGEST_LINE)
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), _open(child.output, "rb")
        )
        writer, _ = await loop.connect_write_pipe(
            asyncio.BaseProtocol, _open(child.input, "wb")
        )
        return _Running(child, reader, writer, loop.create_future())

    async def _read(self, running: _Running) -> None:
        """Hand on what a process says, until it ends."""
        error: SleepcycleError = ServiceError(
            "the serving process ended before it had answered; ask again, and see "
            f"{self._log}"
        )
        try:
            while data := await running.reader.readline():
                line = parsed(data)
                if isinstance(line, Failed):
                    error = error_named(
                        line.error, line.message, otherwise=ServiceError
                    )
                running.take(line)
        except (OSError, ValueError) as fault:
            logger.error("the serving process cannot be read: {f}", f=repr(fault))
        finally:
            await self._over(running, error)

    async def _over(self, running: _Running, error: SleepcycleError) -> None:
        """Refuse what a process has left open, and clear up behind it."""
        running.over = True
        if self._running is running:
            self._running = None
        if not running.ready.done():
            running.ready.set_exception(error)
            running.ready.exception()  # seen, also where nobody waits for it any more
        for lines in running.asked.values():
            lines.put_nowait(Failed(type(error).__name__, str(error)))
        running.writer.close()
        await asyncio.to_thread(running.child.end)

    async def _watch(self, running: _Running) -> None:
        """End a process that nobody has asked for a while."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while not running.over:
            await asyncio.sleep(LOOK_S)
            if running.asked or not running.ready.done():
                since = loop.time()
            elif self._must_go() or 0 < self._idle_s <= loop.time() - since:
                with suppress(OSError):
                    await self.stop()


def _open(descriptor: int, mode: str) -> IO[Any]:
    """Return a file of our own over a child's pipe, which is closed with it alone."""
    return os.fdopen(os.dup(descriptor), mode, buffering=0)
