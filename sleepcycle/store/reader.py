"""Read what is needed to judge a database, however broken it is, and change nothing.

Only the standard library is used, and a schema of any age is read, so that a home that
nothing else can open can still be looked at.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sleepcycle.errors import StoreError
from sleepcycle.files import process_identity
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.restore_advice import restore_command
from sleepcycle.records.version import BaseIdentity
from sleepcycle.store.connection import explain

WAIT_S = 10.0  # for another process that is just committing


@dataclass(frozen=True, slots=True)
class RunProcess:
    """A run that is on by its row, and the process that owns it."""

    id: int
    kind: str
    pid: int
    pid_started: str
    """What tells that process from a later one with the same number."""

    def is_alive(self) -> bool:
        """Return whether the process is still there."""
        return process_identity.started(self.pid) == self.pid_started


@dataclass(frozen=True, slots=True)
class RunText:
    """A run as its row is kept; no value was checked."""

    id: int
    kind: str
    state: str
    started_at: str
    ended_at: str | None
    error: str | None
    report: str | None
    """JSON."""


@dataclass(frozen=True, slots=True)
class JournalText:
    """A journal entry as its row is kept; no value was checked."""

    id: int
    at: str
    actor: str
    action: str
    details: str
    """JSON."""


class DatabaseReader:
    """An open database that is only read, in whatever journal mode it is.

    Every method raises a `StoreError` where SQLite cannot read what it asks for.
    """

    def __init__(self, paths: HomePaths, connection: sqlite3.Connection) -> None:
        self._paths, self._connection = paths, connection

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def revision(self) -> str | None:
        """Return the schema's revision; None for a database that is empty."""
        if "alembic_version" not in self.table_names():
            return None
        [(revision,)] = self._rows("SELECT version_num FROM alembic_version")
        return str(revision)

    def journal_mode(self) -> str:
        """Return the journal that the database was last used with, such as `wal`."""
        [(mode,)] = self._rows("PRAGMA journal_mode")
        return str(mode)

    def integrity_faults(self) -> list[str]:
        """Return what SQLite finds wrong when it reads the whole file."""
        faults = [str(row[0]) for row in self._rows("PRAGMA integrity_check")]
        return [] if faults == ["ok"] else faults

    def dangling_rows(self) -> list[str]:
        """Return the table of each row that refers to a row that is not there."""
        return [str(row[0]) for row in self._rows("PRAGMA foreign_key_check")]

    def table_names(self) -> list[str]:
        """Return the name of each table."""
        rows = self._rows("SELECT name FROM sqlite_master WHERE type='table'")
        return [name for (name,) in rows]

    def count_rows(self, table: str) -> int:
        """Return how many rows a table has, whose name has no quotation mark."""
        [(count,)] = self._rows(f'SELECT count(*) FROM "{table}"')
        return int(count)

    def aliases(self) -> dict[str, int]:
        """Return every alias and the number of its version.

        Raises:
            ValueError: The table has other columns.
        """
        return dict(self._rows("SELECT * FROM alias"))

    def version_folders(self) -> dict[int, str]:
        """Return the folder of each version that was sealed with one, oldest first."""
        return dict(
            self._rows(
                "SELECT number, folder FROM version WHERE folder IS NOT NULL "
                "ORDER BY number"
            )
        )

    def removed_versions(self) -> set[int]:
        """Return the versions whose files were removed; older schemas have none."""
        known = "removed" in self.table_names()
        rows = self._rows("SELECT version FROM removed") if known else []
        return {number for (number,) in rows}

    def rollback_targets(self) -> list[int]:
        """Return the accepted versions that are no wakes, the newest first."""
        rows = self._rows(
            "SELECT number FROM version WHERE accepted AND kind != 'wake' "
            "ORDER BY number DESC"
        )
        return [number for (number,) in rows]

    def newest_base(self) -> BaseIdentity | None:
        """Return the base of the newest version; None where there is no version."""
        rows = self._rows(
            "SELECT base_id, base_revision, base_sha256 FROM version "
            "ORDER BY number DESC LIMIT 1"
        )
        return BaseIdentity(*rows[0]) if rows else None

    def running_runs(self) -> list[RunProcess]:
        """Return the runs that are on, with their processes, alive or not."""
        rows = self._rows(
            "SELECT id, kind, pid, pid_started FROM run WHERE state = 'running'"
        )
        return [RunProcess(*row) for row in rows]

    def open_runs(self) -> list[int]:
        """Return the runs that are on or paused."""
        rows = self._rows("SELECT id FROM run WHERE state IN ('running', 'paused')")
        return [number for (number,) in rows]

    def newest_time(self) -> datetime | None:
        """Return the latest time that any row was written; None where none was.

        Raises:
            ValueError: It is not a time.
        """
        [(newest,)] = self._rows(
            "SELECT max(at) FROM (SELECT max(at) AS at FROM journal UNION ALL "
            "SELECT max(started_at) FROM run UNION ALL "
            "SELECT max(created_at) FROM version)"
        )
        return datetime.fromisoformat(newest) if newest else None

    def last_runs(self, limit: int) -> list[RunText]:
        """Return the last runs, newest first."""
        rows = self._rows(
            "SELECT id, kind, state, started_at, ended_at, error, report FROM run "
            "ORDER BY id DESC LIMIT ?",
            limit,
        )
        return [RunText(*row) for row in rows]

    def last_journal_entries(self, limit: int) -> list[JournalText]:
        """Return the last entries of the journal, newest first."""
        rows = self._rows(
            "SELECT id, at, actor, action, details FROM journal "
            "ORDER BY id DESC LIMIT ?",
            limit,
        )
        return [JournalText(*row) for row in rows]

    def _rows(self, query: str, *values: object) -> list[Any]:
        """Return all rows that a query finds.

        Raises:
            StoreError: SQLite cannot read them.
        """
        try:
            return self._connection.execute(query, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the text of a row, too
            raise _unreadable(error, self._paths) from error


def open_reader(paths: HomePaths) -> DatabaseReader:
    """Open the database of a home to look at it, in whatever journal mode it is.

    A writer that was killed is rolled back by SQLite, as for every reader.

    Raises:
        StoreError: It cannot be opened, or its schema cannot be read.
    """
    try:
        return DatabaseReader(paths, _open(paths))
    except sqlite3.Error as error:
        raise _unreadable(error, paths) from error


def _open(paths: HomePaths) -> sqlite3.Connection:
    """Open a connection that can write nothing, and try it."""
    connection = sqlite3.connect(
        f"{paths.database.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=WAIT_S,
        isolation_level=None,
    )
    try:
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        connection.close()
        raise
    except UnicodeDecodeError as error:  # SQLite quotes the damage, Python reads it
        connection.close()
        raise sqlite3.DatabaseError("its schema is damaged") from error
    return connection


def _unreadable(error: Exception, paths: HomePaths) -> StoreError:
    """Return our error for one of SQLite's, with the newest backup to put back."""
    said = str(explain(error, paths)).partition("; ")[0]
    return StoreError(f"{said}; {restore_command(paths)}")
