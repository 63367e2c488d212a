"""Count what a feed would add, and add nothing."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from sleepcycle.files.paths import HomePaths
from sleepcycle.records.example import NewExample
from sleepcycle.store.connection import connect, explain

NEW = (
    "INSERT OR IGNORE INTO temp.seen SELECT :hash "
    "WHERE NOT EXISTS (SELECT 1 FROM example WHERE hash = :hash)"
)


class DryRun:
    """Counts the examples that would be new, each once.

    Which were seen stands in a temporary table of SQLite's, so that memory stays flat.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("CREATE TEMP TABLE seen (hash PRIMARY KEY) WITHOUT ROWID")

    def add(self, rows: Sequence[NewExample]) -> int:
        """Return how many of these `example_table.add` would add."""
        if not rows:
            return 0
        self._connection.execute("BEGIN")
        hashes = ({"hash": digest} for digest, *_ in rows)
        added = self._connection.executemany(NEW, hashes)
        self._connection.execute("COMMIT")
        return added.rowcount


@contextmanager
def open_dry_run(paths: HomePaths, timeout_s: float) -> Iterator[DryRun]:
    """Open a dry run on a home for a block; no writer waits for it for long.

    Raises:
        StoreError: The database is busy or damaged.
    """
    try:
        with closing(connect(paths, timeout_s)) as connection:
            yield DryRun(connection)
    except sqlite3.Error as error:
        raise explain(error, paths) from error
