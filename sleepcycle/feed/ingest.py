"""Feed files to the store: one call is one batch, all of it or nothing."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from loguru import logger

from sleepcycle.errors import FeedError
from sleepcycle.feed import turn
from sleepcycle.feed.intake import Intake
from sleepcycle.feed.parts import BatchLabel, drop_abandoned, store_batch, try_batch
from sleepcycle.feed.shapes import Format
from sleepcycle.feed.sources import Source, name_of
from sleepcycle.files.failpoint import failpoint
from sleepcycle.records.example import FeedReport
from sleepcycle.settings.config import FeedSettings
from sleepcycle.store.database import Store


def ignore_rows(lines: int) -> None:
    """Take the number of rows read so far, and do nothing."""


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What may be said about one feed call."""

    source: str | None = None
    """Where it comes from; None for the names of the files."""

    shape: Format | None = None
    """Shape that every row must have; None lets the first rows of each file decide."""

    dry_run: bool = False
    """Report what would happen, and store nothing."""

    on_rows: Callable[[int], None] = ignore_rows
    """Called now and then with the number of rows read."""


def feed_files(
    store: Store,
    sources: Sequence[Source],
    settings: FeedSettings,
    options: FeedOptions,
    *,
    actor: str,
) -> FeedReport:
    """Take in sources as one batch.

    Content that the store has already is counted as duplicate and not added, so the
    same file twice adds nothing. The store is written to only at the end, when all rows
    have been read, and after any other feed that got there first.

    Raises:
        FeedError: A source cannot be read or told, there is no row in any, or more
            of the rows are bad than `max_bad_ratio` allows. Nothing is stored then.
        StoreError: The store failed. Nothing is stored then either.
    """
    name = options.source or ", ".join(map(name_of, sources))
    with closing(Intake(settings, options.shape, store.paths.root)) as intake:
        for source in sources:
            for lines in intake.read(source):
                options.on_rows(lines)
        _judge(intake, settings.max_bad_ratio, name)
        failpoint("feed.begun")
        with turn.taken(store.paths):
            drop_abandoned(store)
            if options.dry_run:
                return try_batch(store, intake)
            label = BatchLabel(name, settings.held_out_share, actor)
            report = store_batch(store, intake, label)
    failpoint("feed.committed")
    logger.info(
        "fed batch {batch}: {accepted} of {lines} rows accepted, {quarantined} "
        "quarantined",
        batch=report.batch,
        accepted=report.accepted,
        lines=report.lines,
        quarantined=report.quarantined,
    )
    return report


def _judge(intake: Intake, max_bad_ratio: float, name: str) -> None:
    """Refuse what brings nothing, or too much that is bad."""
    if not intake.lines:
        raise FeedError(f"expected rows, got none from {name}")
    bad = intake.reasons.total()
    if bad <= max_bad_ratio * intake.lines:
        return
    codes = ", ".join(f"{code} {n}" for code, n in intake.reasons.most_common())
    rows = "; ".join(
        f"{row.file}:{row.line} {row.code} {row.message}" for row in intake.first_bad
    )
    raise FeedError(
        f"expected at most {max_bad_ratio:.1%} bad rows, got {bad} of {intake.lines} "
        f"({codes}), so nothing was stored; the first are: {rows}; mend them, name "
        "the right --format, or raise feed.max_bad_ratio"
    )
