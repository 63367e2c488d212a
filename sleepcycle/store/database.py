"""Open the store, and hand out its transactions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial

from loguru import logger
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from sleepcycle.errors import DiskError, HomeError
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import StoreSettings
from sleepcycle.store import journal, migrate, version_table
from sleepcycle.store.connection import connect, explain, make_file
from sleepcycle.store.dry_run import DryRun, open_dry_run
from sleepcycle.store.interrupt import held_back, raise_if_stopped

__all__ = ["Session", "Store", "create_store", "open_store"]


class Store:
    """One home's database; each transaction has a connection of its own."""

    def __init__(self, paths: HomePaths, settings: StoreSettings) -> None:
        self.paths, self._timeout_s = paths, settings.busy_timeout_s
        self._reader = _engine(paths, settings.busy_timeout_s)
        self._writer = self._reader.execution_options(writes=True)
        anchoring = _engine(paths, 0.0, is_stopped=False)
        self._anchoring = anchoring.execution_options(writes=True)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Open one transaction that no other writer can enter.

        It is committed when the block ends, and leaves nothing if that fails.

        Raises:
            KeyboardInterrupt: It was stopped: by then, or before its next statement.
            StoreError: The database is busy, full, damaged or refuses the change.
            DiskError: It was committed, but `journal.head` could not be written, and
                not for want of room alone: then the head stays behind, as it may.
        """
        with held_back(), self._translated(), Session(self._writer) as session:
            session.connection()  # takes the lock now, not at the first statement
            yield session
            raise_if_stopped()
            failpoint("store.commit")
            session.commit()
            failpoint("store.committed")
            if journal.GROWN in session.info:
                self._anchor()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open one transaction that sees a single moment and can change nothing.

        Raises:
            KeyboardInterrupt: It was stopped: by then, or before its next statement.
            StoreError: The database is busy or damaged, or something was written.
        """
        with held_back(), self._translated(), Session(self._reader) as session:
            yield session

    @contextmanager
    def dry_run(self) -> Iterator[DryRun]:
        """Open a count of what a feed would add; no writer waits for it for long.

        Raises:
            StoreError: The database is busy or damaged.
        """
        with open_dry_run(self.paths, self._timeout_s) as found:
            yield found

    def _anchor(self) -> None:
        """Let `journal.head` follow, without waiting for another writer.

        Whoever has the lock took it after the commit, so anchors for both.
        """
        try:
            with Session(self._anchoring) as session:
                journal.anchor(session, self.paths)
        except DBAPIError as error:
            code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
            if code not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL}:
                raise
        except DiskError as error:
            if not disk.is_full(error):
                raise
            logger.warning("journal.head stays behind: {error}", error=str(error))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn what SQLite raises into our errors."""
        try:
            yield
        except DBAPIError as error:
            raise explain(error.orig or error, self.paths) from error
        except UnicodeDecodeError as error:  # of a schema that is damaged
            raise explain(error, self.paths) from error


def open_store(paths: HomePaths, settings: StoreSettings) -> Store:
    """Open the store of a home.

    Raises:
        HomeError: There is no home.
        StoreError: Its schema is older or newer than this package, or damaged.
    """
    migrate.check(paths, settings)
    return Store(paths, settings)


def create_store(
    paths: HomePaths, settings: StoreSettings, base: BaseIdentity
) -> Store:
    """Make a home's database, with the bare base as v0, and live.

    All of it is one transaction: killed anywhere, it can be called again.

    Raises:
        HomeError: There is one already, or the place cannot be written.
        StoreError: SQLite failed.
    """
    make_file(paths)
    store = Store(paths, settings)
    with store.write() as session:
        connection = session.connection()
        if connection.dialect.has_table(connection, "alembic_version"):
            raise HomeError(f"there is a home at {paths.root} already")
        migrate.run(connection)
        version_table.add_base(session, base)
    return store


@lru_cache(maxsize=16)
def _engine(paths: HomePaths, timeout_s: float, *, is_stopped: bool = True) -> Engine:
    """Return a way to connect that waits so long for the lock.

    It is kept for its compiled statements, which take longer than what they ask; it
    keeps no connection.
    """
    engine = create_engine(
        "sqlite://", creator=partial(connect, paths, timeout_s), poolclass=NullPool
    )
    event.listen(engine, "begin", _begin)
    if is_stopped:
        event.listen(engine, "before_cursor_execute", _end_if_stopped)
    return engine


def _begin(connection: Connection) -> None:
    """Begin as a writer with the lock, or as a reader that cannot write."""
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _end_if_stopped(*statement: object) -> None:
    """End a transaction that was stopped, where no statement of its own is running."""
    raise_if_stopped()
