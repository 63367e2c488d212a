"""Feeds of the service's own home, a few at a time, each answered once by its key."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import BinaryIO

from anyio import CapacityLimiter, to_thread
from loguru import logger
from starlette.concurrency import run_in_threadpool

from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.errors import DiskError, ServiceError, SleepcycleError
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.files.arriving import ArrivingFile
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.home import Home
from sleepcycle.records.example import DryRunReport, FeedKey, FeedReport
from sleepcycle.records.shown import ShownExample

ACTOR = "http"
AT_ONCE = 4  # a fifth waits, as memory and processor are shared

Reader = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens what is fed."""


@dataclass(frozen=True)
class FeedOutcome:
    """What came of a feed."""

    report: FeedReport
    is_known: bool = False
    """Whether it is that of an earlier one under the same key."""

    shown: Sequence[ShownExample] = ()
    """On a dry run, how the first rows will be learned."""


@dataclass(frozen=True)
class FeedDesk:
    """Takes in what came over HTTP: a body, or a file that was kept."""

    scheduler: Scheduler
    paths: HomePaths
    keys: dict[str, asyncio.Event] = field(default_factory=dict)
    """Those of feeds that are on, with what is set at their end."""

    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))

    @property
    def home(self) -> Home:
        """The home, by the settings of the moment."""
        return Home(self.paths, self.scheduler.settings, ACTOR)

    @contextmanager
    def holding(self, key: str | None) -> Iterator[None]:
        """Have a key for a block, in the one thread of the server's loop.

        Raises:
            ServiceError: A feed under the same key is on.
        """
        if key is None:
            yield
            return
        if key in self.keys:
            raise ServiceError(
                f"expected no feed under the key {key!r} to be on, but one is; ask "
                "again when it is over"
            )
        self.keys[key] = asyncio.Event()
        try:
            yield
        finally:
            self.keys.pop(key).set()

    @asynccontextmanager
    async def waiting(self, key: str) -> AsyncIterator[None]:
        """Have a key for a block, once no other feed has it."""
        while (over := self.keys.get(key)) is not None:
            await over.wait()
        with self.holding(key):
            yield

    async def feed(self, reader: Reader, options: FeedOptions) -> FeedOutcome:
        """Store a feed as `store` does, and look whether to wake for it.

        Raises:
            FeedError: As for `store`.
        """
        outcome = await self.store(reader, options)
        if outcome.report.batch is not None and not outcome.is_known:
            await run_in_threadpool(self._look)
        return outcome

    async def store(self, reader: Reader, options: FeedOptions) -> FeedOutcome:
        """Feed what is whole, or return what came of it before.

        Args:
            reader: Opens it.
            options: How it is fed, and the key that it is known by.

        Raises:
            FeedError: It cannot be fed, or the key is of another feed.
        """
        return await to_thread.run_sync(
            self._store, reader, options, limiter=self.limiter
        )

    def _store(self, reader: Reader, options: FeedOptions) -> FeedOutcome:
        """Feed, unless that was done already."""
        home = self.home
        known = options.key and home.batches.fed_as(options.key)
        if known:
            return FeedOutcome(known, is_known=True)
        with reader() as stream:
            report = home.feed(stream, options=options)
        if isinstance(report, DryRunReport) and report.samples:
            return FeedOutcome(report, shown=home.show_examples(report.samples))
        return FeedOutcome(report)

    def _look(self) -> None:
        """Let the scheduler look at what is pending; the feed stands anyhow."""
        try:
            self.scheduler.consider()
        except DiskError as error:
            self.scheduler.fail(error)
        except SleepcycleError as error:
            logger.error("{error}; the next tick looks again", error=str(error))


def keyed(
    options: FeedOptions, file: ArrivingFile, name: str, key: str | None
) -> FeedOptions:
    """Return the options with what a feed is known by.

    Args:
        options: How it is fed.
        file: What came.
        name: What it is called.
        key: What it was asked for under; a dry run leaves nothing under it.
    """
    if key is None or options.dry_run:
        return options
    rows = options.rows
    said = [name, options.source, rows.shape, sorted(rows.renamed.items())]
    asked = json.dumps([*said, sorted(rows.ignored), file.digest.hex()])
    return replace(options, key=FeedKey(key, sha256(asked.encode()).digest()))
