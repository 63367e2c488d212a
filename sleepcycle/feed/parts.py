"""Add what was taken in to the store in parts, as one batch that appears when whole.

A part is a short transaction, so that whoever reads or writes waits for a moment only.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from loguru import logger

from sleepcycle.errors import SleepcycleError
from sleepcycle.feed.intake import Chunk, Intake
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.records.example import (
    DryRunReport,
    FeedKey,
    FeedReport,
    NewExample,
)
from sleepcycle.store import (
    batch_table,
    example_table,
    feed_key_table,
    journal,
    open_batch,
)
from sleepcycle.store.database import Session, Store
from sleepcycle.store.values import ExampleState

PART_CHUNKS = 10  # 20,000 short rows: a few tenths of a second
PART_S = 0.25  # after which a part takes in no more, where that goes slowly
PART_ROWS = 20_000  # that are deleted in one transaction
GAP_S = 0.02  # between two parts, in which others find the database free

MOST_KEYS = 50  # of those that rows have beside what is learned, that are named
MOST_REFUSALS = 10  # that a report names

AddRows = Callable[[ExampleState, Sequence[NewExample]], int]


@dataclass(frozen=True, slots=True)
class BatchLabel:
    """What a batch is called, and how a part of it was held out."""

    source: str
    held_out_share: float
    actor: str
    key: FeedKey | None = None


class _Tally:
    """Counts what was new of the rows that were added so far."""

    def __init__(self) -> None:
        self.lines = self.pending = self.held_out = 0

    def take(self, chunk: Chunk, add: AddRows) -> None:
        """Add the examples of a chunk, and count them."""
        self.pending += add(ExampleState.PENDING, chunk.pending)
        self.held_out += add(ExampleState.HELD_OUT, chunk.held_out)
        self.lines += len(chunk.pending) + len(chunk.held_out) + len(chunk.bad)

    def figures(self, intake: Intake) -> dict[str, Any]:
        """Return what all of it came to, as the fields of a report."""
        accepted = self.pending + self.held_out
        quarantined = intake.reasons.total()
        return {
            "lines": intake.lines,
            "accepted": accepted,
            "duplicate": intake.lines - quarantined - accepted,
            "quarantined": quarantined,
            "held_out": self.held_out,
            "reasons": dict(sorted(intake.reasons.items())),
            "provenance": dict(intake.provenance.most_common(MOST_KEYS)),
            "refusals": dict(intake.refusals.most_common(MOST_REFUSALS)),
        }


def store_batch(store: Store, intake: Intake, label: BatchLabel) -> FeedReport:
    """Add all that was taken in as one batch; the caller holds the lock of feeding.

    Where that fails nothing is left of it. What a killed process leaves is seen by
    nobody, and deleted by `drop_abandoned`.

    Raises:
        StoreError: The store failed.
    """
    try:
        return _store_parts(store, intake, label)
    except BaseException as error:
        if not disk.is_failed(error):  # nothing more is written to such a disk
            with suppress(SleepcycleError):
                drop_abandoned(store)
        raise


def try_batch(store: Store, intake: Intake) -> DryRunReport:
    """Return what `store_batch` would, and add nothing."""
    tally = _Tally()
    with store.dry_run() as found:
        for chunk in intake.chunks():
            tally.take(chunk, lambda state, rows: found.add(rows))
    samples = tuple(intake.samples)
    return DryRunReport(batch=None, **tally.figures(intake), samples=samples)


def drop_abandoned(store: Store, limit_s: float = math.inf) -> None:
    """Delete what a feed left that did not end; the caller holds the lock of feeding.

    Args:
        store: The database.
        limit_s: When to leave the rest for the next call; nobody sees it.
    """
    until = time.monotonic() + limit_s
    with store.read() as session:
        batch = session.scalar(open_batch.hidden())
    if batch is None:
        return
    rows = 0
    while gone := _drop_some(store, batch):
        rows += gone
        if time.monotonic() > until:
            break
        time.sleep(GAP_S)
    logger.warning(
        "deleted {rows} rows of a feed that did not come to its end", rows=rows
    )


def _store_parts(store: Store, intake: Intake, label: BatchLabel) -> FeedReport:
    """Add one part after the other; the last one lets everybody see the batch."""
    shapes = ",".join(sorted(intake.shapes))
    tally, batch, chunks = _Tally(), None, intake.chunks()
    while True:
        with store.write() as session:
            open_batch.widen_cache(session)
            if batch is None:
                batch = batch_table.add(
                    session, label.source, shapes, label.held_out_share
                )
            _add_some(session, batch, chunks, tally)
            failpoint("feed.part")
            if tally.lines == intake.lines:
                report = FeedReport(batch=batch, **tally.figures(intake))
                _finish(session, batch, report, label)
                break
            open_batch.hide(session, batch)
        time.sleep(GAP_S)
    return report


def _add_some(
    session: Session, batch: int, chunks: Iterator[Chunk], tally: _Tally
) -> None:
    """Add the next chunks, as many as one part has."""
    until = time.monotonic() + PART_S
    for chunk in itertools.islice(chunks, PART_CHUNKS):
        tally.take(
            chunk, lambda state, rows: example_table.add(session, batch, state, rows)
        )
        batch_table.add_bad_rows(session, batch, chunk.bad)
        if time.monotonic() > until:
            return


def _finish(
    session: Session, batch: int, report: FeedReport, label: BatchLabel
) -> None:
    """Let everybody see a batch that is whole, and write that into the journal."""
    batch_table.close(session, batch, report)
    brought = batch_table.journal_fields(session, batch)
    journal.append(session, label.actor, "feed", **brought)
    if label.key is not None:
        feed_key_table.add(session, label.key, report)
    failpoint("feed.stored")


def _drop_some(store: Store, batch: int) -> int:
    """Delete a part of a batch that is hidden, and return how many rows that were."""
    with store.write() as session:
        open_batch.widen_cache(session)
        return open_batch.drop_some(session, batch, PART_ROWS)
