"""The batches of a home: what was fed, to look at and to put right."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sleepcycle.errors import FeedError, NotFoundError
from sleepcycle.feed.export import export_bad
from sleepcycle.records.example import BadRow, FeedKey, FeedReport
from sleepcycle.store import (
    batch_table,
    example_table,
    feed_key_table,
    journal,
    quarantine_table,
    version_table,
)
from sleepcycle.store.database import Store
from sleepcycle.store.quarantine_table import QuarantinedRow
from sleepcycle.store.values import Batch, ExampleState, StoredExample

SHOWN = 3  # examples of a batch
LAST = 2**63 - 1
"""A number that all come before."""


@dataclass(frozen=True)
class BatchRegistry:
    """The batches of one home."""

    store: Store
    actor: str

    def listing(self, after: int = 0, limit: int | None = None) -> list[Batch]:
        """Return batches, oldest first.

        Args:
            after: Those of a higher number alone.
            limit: How many at most; None for all.
        """
        with self.store.read() as session:
            return batch_table.list_batches(session, after, limit)

    def get(self, number: int) -> tuple[Batch, dict[ExampleState, int]]:
        """Return one batch, and where its examples are now.

        Raises:
            NotFoundError: There is none with that number.
        """
        with self.store.read() as session:
            return batch_table.get(session, number), batch_table.states(session, number)

    def sources(self, numbers: Collection[int]) -> dict[int, str]:
        """Return where some batches came from, by their numbers."""
        with self.store.read() as session:
            return batch_table.sources(session, numbers)

    def newest(
        self, before: int = LAST, limit: int = 50
    ) -> list[tuple[Batch, dict[ExampleState, int]]]:
        """Return batches, newest first, each with where its examples are now.

        Args:
            before: Those of a lower number alone.
            limit: How many at most.
        """
        with self.store.read() as session:
            found = batch_table.newest(session, before, limit)
            now = batch_table.states_of(session, [batch.id for batch in found])
        return [(batch, now[batch.id]) for batch in found]

    def learned_by(self, number: int) -> list[str]:
        """Return the versions that know examples of a batch, oldest first."""
        with self.store.read() as session:
            found = version_table.knowing_batch(session, number)
        return [f"v{version}" for version in found]

    def quarantined(
        self, batch: int | None = None, before: int = LAST, limit: int = 50
    ) -> list[QuarantinedRow]:
        """Return how rows begin that could not become examples, newest first."""
        with self.store.read() as session:
            return quarantine_table.quarantined(session, batch, before, limit)

    def set_aside(
        self, batch: int | None = None, before: int = LAST, limit: int = 50
    ) -> list[QuarantinedRow]:
        """Return how examples begin that the base could not learn, newest first."""
        with self.store.read() as session:
            return quarantine_table.set_aside(session, batch, before, limit)

    def quarantined_row(self, number: int) -> QuarantinedRow:
        """Return one row that could not become an example, with its text.

        Raises:
            NotFoundError: There is none with that number.
        """
        with self.store.read() as session:
            return quarantine_table.get_quarantined(session, number)

    def codes(self, number: int) -> dict[str, int]:
        """Return how many rows of a batch each code quarantined, the most first."""
        with self.store.read() as session:
            return quarantine_table.codes(session, number)

    def fed_as(self, key: FeedKey) -> FeedReport | None:
        """Return what a feed brought that was asked for under a key before.

        Raises:
            FeedKeyError: The key is of another feed.
        """
        with self.store.read() as session:
            return feed_key_table.find(session, key)

    def examples(self, number: int, line: int | None = None) -> list[StoredExample]:
        """Return the first examples of a batch, or those of one line of its files.

        Raises:
            NotFoundError: There is no such batch, or it has no example of that line.
        """
        with self.store.read() as session:
            batch_table.get(session, number)
            found = example_table.stored(session, number, line, SHOWN)
        if not found:
            where = f"line {line} of batch {number}" if line else f"batch {number}"
            raise NotFoundError(f"expected an example of {where}, found none")
        return found

    def bad_rows(self, batch: int | None = None) -> Iterator[BadRow]:
        """Yield quarantined rows, then those set aside, of one batch or of all."""
        with self.store.read() as session:
            if batch is not None:
                batch_table.get(session, batch)
            yield from batch_table.bad_rows(session, batch)
            yield from example_table.set_aside_rows(session, batch)

    def export_bad(self, batch: int | None, file: Path) -> tuple[int, int]:
        """Write quarantined rows, and what was set aside, to be mended and fed again.

        Returns:
            How many were written, and how many of them are cut.

        Raises:
            NotFoundError: There is no such batch.
            FeedError: The file exists, or cannot be written; a part is not left.
        """
        with self.store.read() as session:
            if batch is not None:
                batch_table.get(session, batch)
            with _new_file(file) as out:
                return export_bad(session, batch, out)

    def exclude(self, batch: int) -> int:
        """Take a batch out of all to come; return how many examples it had."""
        with self.store.write() as session:
            moved = example_table.exclude_batch(session, batch)
            journal.append(session, self.actor, "exclude", batch=batch, examples=moved)
        return moved

    def requeue(self, batch: int) -> dict[ExampleState, int]:
        """Let a batch be learned again; return where its examples are now.

        What the line of `live` has learned is trained, and not pending.
        """
        with self.store.write() as session:
            moved = example_table.requeue_batch(session, batch)
            journal.append(session, self.actor, "requeue", batch=batch, examples=moved)
            return batch_table.states(session, batch)


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file to write; it is gone again if the block or the disk fails."""
    try:
        out = path.open("xb")
        try:
            with out:
                yield out
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise FeedError(f"expected to write {path}, got: {error}") from error
