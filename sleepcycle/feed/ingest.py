"""Feed files to the store: one call is one batch, all of it or nothing."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from loguru import logger

from sleepcycle.errors import FeedError
from sleepcycle.feed import feed_lock
from sleepcycle.feed.intake import Intake, Missing, nothing_missing
from sleepcycle.feed.keys import REJECTED, UNSUPPORTED
from sleepcycle.feed.parts import BatchLabel, drop_abandoned, store_batch, try_batch
from sleepcycle.feed.shapes import AS_THEY_ARE, RowOptions
from sleepcycle.feed.sources import Source, name_of
from sleepcycle.files.failpoint import failpoint
from sleepcycle.records.example import FeedKey, FeedReport
from sleepcycle.settings.config import FeedSettings
from sleepcycle.store.database import Store


def ignore_rows(lines: int) -> None:
    """Take the number of rows read so far, and do nothing."""


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """What may be said about one feed call."""

    source: str | None = None
    """Where it comes from; None for the names of the files."""

    rows: RowOptions = AS_THEY_ARE
    """Shape and keys of the rows."""

    dry_run: bool = False
    """Report what would happen, and store nothing."""

    on_rows: Callable[[int], None] = ignore_rows
    """Called now and then with the number of rows read."""

    key: FeedKey | None = None
    """What the report is kept under, in the same transaction as the batch."""


def feed_files(
    store: Store,
    sources: Sequence[Source],
    settings: FeedSettings,
    options: FeedOptions,
    *,
    actor: str,
    missing: Missing = nothing_missing,
) -> FeedReport:
    """Take in sources as one batch.

    Content that the store has already is counted as duplicate and not added, so the
    same file twice adds nothing. The store is written to only at the end, when all rows
    have been read, and after any other feed that got there first.

    Args:
        store: The store.
        sources: What is read.
        settings: The bounds of rows.
        options: What was said about this feed.
        actor: Who feeds, for the journal.
        missing: Names what the base would not see of a conversation, which is then
            quarantined.

    Raises:
        FeedError: A source cannot be read or told, there is no row in any, or more
            of the rows are bad than `max_bad_ratio` allows. Nothing is stored then.
        StoreError: The store failed. Nothing is stored then either.
    """
    name = options.source or ", ".join(map(name_of, sources))
    with closing(Intake(settings, options.rows, store.paths.root, missing)) as intake:
        for source in sources:
            for lines in intake.read(source):
                options.on_rows(lines)
        _judge(intake, settings.max_bad_ratio, name)
        failpoint("feed.begun")
        with feed_lock.held(store.paths):
            drop_abandoned(store)
            if options.dry_run:
                return try_batch(store, intake)
            label = BatchLabel(name, settings.held_out_share, actor, options.key)
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
    """Refuse what brings nothing, or too much that is broken.

    Rows that are in order, and that nobody may or can learn, are none too many.
    """
    if not intake.lines:
        raise FeedError(f"expected rows, got none from {name}")
    bad = intake.reasons.total()
    in_order = intake.reasons[REJECTED] + intake.reasons[UNSUPPORTED]
    is_broken = bad - in_order > max_bad_ratio * intake.lines
    if not is_broken and (bad < intake.lines or not in_order):
        return
    codes = ", ".join(f"{code} {n}" for code, n in intake.reasons.most_common())
    rows = "; ".join(
        f"{row.file}:{row.line} {row.code} {row.message}" for row in intake.first_bad
    )
    expected = (
        f"at most {max_bad_ratio:.1%} bad rows, got {bad}"
        if is_broken
        else "rows to learn, got none"
    )
    advice = "; mend them, name the right --format, or raise feed.max_bad_ratio"
    raise FeedError(
        f"expected {expected} of {intake.lines} ({codes}), so nothing was stored; the "
        f"first are: {rows}{advice if is_broken else ''}"
    )
