"""Keep every writer out of a database that is about to be replaced."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from sleepcycle.files.paths import HomePaths
from sleepcycle.store.connection import connect, explain

WAIT_S = 1.0  # for a feed that is just committing
UNREADABLE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN}


@contextmanager
def no_writers(paths: HomePaths) -> Iterator[None]:
    """Let nobody write to the database of a home for a block.

    Nothing is locked where there is no database, or where it is so damaged that nobody
    can write to it. A process that has it open is refused by SQLite afterwards, if
    the file was moved meanwhile.

    Raises:
        StoreError: Another process is writing to it.
        DiskError: The disk is full, or failed.
    """
    with ExitStack() as stack:
        try:
            if paths.database.exists():
                stack.enter_context(closing(_locked(paths)))
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in UNREADABLE:
                raise explain(error, paths) from error
        yield


def _locked(paths: HomePaths) -> sqlite3.Connection:
    """Open the database as its one writer."""
    connection = connect(paths, WAIT_S)
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.Error:
        connection.close()
        raise
    return connection
