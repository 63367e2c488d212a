"""The batches of a home: what was fed, to look at and to put right."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sleepcycle.errors import FeedError, NotFoundError
from sleepcycle.feed.export import export_bad
from sleepcycle.records.example import BadRow, FeedKey, FeedReport
from sleepcycle.store import batch_table, example_table, feed_key_table, journal
from sleepcycle.store.database import Store
from sleepcycle.store.values import Batch, ExampleState, StoredExample

SHOWN = 3  # examples of a batch


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
