"""Feeds of the service's own home, a few at a time, each answered once by its key."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from anyio import CapacityLimiter, to_thread
from loguru import logger

from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.errors import DiskError, ServiceError, SleepcycleError
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.files.arriving import ArrivingFile
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.home import Home
from sleepcycle.records.example import DryRunReport, FeedKey, report_fields

ACTOR = "http"
AT_ONCE = 4  # a fifth waits, as memory and processor are shared

Answer = tuple[dict[str, Any], bool]
"""A feed's JSON, and whether it is that of an earlier one."""


@dataclass(frozen=True)
class FeedDesk:
    """Takes in what came over HTTP."""

    scheduler: Scheduler
    paths: HomePaths
    keys: set[str] = field(default_factory=set)
    """Those of feeds that are on."""

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
        self.keys.add(key)
        try:
            yield
        finally:
            self.keys.discard(key)

    async def feed(
        self, file: ArrivingFile, name: str, options: FeedOptions, key: str | None
    ) -> Answer:
        """Feed a file that is whole, or return what came of it before.

        Args:
            file: What came.
            name: What it is called.
            options: How it is fed.
            key: What it was asked for under; a dry run leaves nothing under it.

        Raises:
            FeedError: It cannot be fed, or the key is of another feed.
        """
        return await to_thread.run_sync(
            self._feed,
            file,
            name,
            _keyed(options, file, name, key),
            limiter=self.limiter,
        )

    def _feed(self, file: ArrivingFile, name: str, options: FeedOptions) -> Answer:
        """Feed a file, and look whether to wake for it."""
        home = self.home
        known = options.key and home.batches.fed_as(options.key)
        if known:
            return report_fields(known), True
        with file.reader(name) as stream:
            report = home.feed(stream, options=options)
        if isinstance(report, DryRunReport):
            samples = report.samples
            shown = home.show_examples(samples) if samples else ()
            return report_fields(report, shown), False
        self._look()
        return report_fields(report), False

    def _look(self) -> None:
        """Let the scheduler look at what is pending; the feed stands anyhow."""
        try:
            self.scheduler.consider()
        except DiskError as error:
            self.scheduler.fail(error)
        except SleepcycleError as error:
            logger.error("{error}; the next tick looks again", error=str(error))


def _keyed(
    options: FeedOptions, file: ArrivingFile, name: str, key: str | None
) -> FeedOptions:
    """Return the options with what the feed is known by."""
    if key is None or options.dry_run:
        return options
    rows = options.rows
    said = [name, options.source, rows.shape, sorted(rows.renamed.items())]
    asked = json.dumps([*said, sorted(rows.ignored), file.digest.hex()])
    return replace(options, key=FeedKey(key, sha256(asked.encode()).digest()))
