"""Feed files to the store: one call is one batch, all of it or nothing."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from loguru import logger

from sleepcycle.errors import FeedError
from sleepcycle.feed.intake import Intake
from sleepcycle.feed.shapes import Format
from sleepcycle.feed.sources import Source, name_of
from sleepcycle.files.failpoint import failpoint
from sleepcycle.records.example import FeedReport
from sleepcycle.settings.config import FeedSettings
from sleepcycle.store import batch_table, example_table, journal
from sleepcycle.store.database import Session, Store
from sleepcycle.store.values import ExampleState


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
    same file twice adds nothing. The store is locked only at the end, when all rows
    have been read.

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
        with store.write() as session:
            report = _store(session, intake, name, settings.held_out_share)
            if options.dry_run:
                session.rollback()
                return dataclasses.replace(report, batch=None)
            brought = batch_table.journal_fields(session, report.batch)
            journal.append(session, actor, "feed", **brought)
            failpoint("feed.stored")
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


def _store(
    session: Session, intake: Intake, name: str, held_out_share: float
) -> FeedReport:
    """Write all that was taken in as one batch."""
    shapes = ",".join(sorted(intake.shapes))
    batch = batch_table.add(session, name, shapes, held_out_share)
    pending = held_out = 0
    for chunk in intake.chunks():
        pending += example_table.add(
            session, batch, ExampleState.PENDING, chunk.pending
        )
        held_out += example_table.add(
            session, batch, ExampleState.HELD_OUT, chunk.held_out
        )
        batch_table.add_bad_rows(session, batch, chunk.bad)
    quarantined = intake.reasons.total()
    report = FeedReport(
        batch=batch,
        lines=intake.lines,
        accepted=pending + held_out,
        duplicate=intake.lines - quarantined - pending - held_out,
        quarantined=quarantined,
        held_out=held_out,
        reasons=dict(sorted(intake.reasons.items())),
    )
    batch_table.close(session, batch, report)
    return report
