"""Connect to the SQLite file, and turn its errors into ones that name what to do.

Only the standard library is used here, so `snapshot` can share it.
"""

import errno
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from sleepcycle.errors import DiskError, HomeError, SleepcycleError, StoreError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths, carried
from sleepcycle.files.restore_advice import no_home, restore_command

OLDEST = (3, 38, 0)  # the first with json_each always built in
SAFE_WAL = (3, 51, 3)  # earlier ones can damage the file when the log is reset
CACHE_KIB = 16_384  # a feed of a million rows then seldom waits for the disk

_FOREIGN = re.compile("no such (table|column)|unsupported file format")
_ADVICE = {
    sqlite3.SQLITE_BUSY: "another process is writing to it; try again when it is done",
    sqlite3.SQLITE_CORRUPT: "it is damaged; put back a whole copy: {restore}",
    sqlite3.SQLITE_NOTADB: "it is damaged; put back a whole copy: {restore}",
    sqlite3.SQLITE_FULL: "there is no room; free some space and try again",
    sqlite3.SQLITE_IOERR: "the disk failed; check it before anything else",
    sqlite3.SQLITE_READONLY: "it cannot be written; check its owner and its mode",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check its owner and its mode",
}
UNREADABLE = (sqlite3.Error, ValueError, TypeError, LookupError)  # if it is damaged
_DISK = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_IOERR: errno.EIO}


def journal_mode(version: tuple[int, ...]) -> str:
    """Return the journal to use with one version of SQLite."""
    return "WAL" if version >= SAFE_WAL else "DELETE"


def connect(paths: HomePaths, timeout_s: float) -> sqlite3.Connection:
    """Open the database of a home, which must be there.

    The connection leaves transactions to its user, and syncs every commit. A
    writer that was killed is rolled back here, even for one who will only read.

    Raises:
        HomeError: There is no database.
        StoreError: The SQLite library is too old.
        sqlite3.Error: It cannot be used; `explain` says it in words.
    """
    if sqlite_version() < OLDEST:
        raise StoreError(
            f"expected SQLite 3.38 or newer, got {sqlite3.sqlite_version}; "
            "use a Python with a newer one"
        )
    if not paths.database.exists():
        raise no_home(paths)
    connection = sqlite3.connect(
        f"{paths.database.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=timeout_s,
        isolation_level=None,
    )
    try:
        connection.execute(f"PRAGMA journal_mode={journal_mode(sqlite_version())}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("PRAGMA secure_delete=ON")  # what is deleted is overwritten
    except sqlite3.Error:
        connection.close()
        raise
    except UnicodeDecodeError as error:  # SQLite quotes the damage, Python reads it
        connection.close()
        raise sqlite3.DatabaseError("Could not decode its schema") from error
    return connection


def sqlite_version() -> tuple[int, ...]:
    """Return the version of the SQLite library in use."""
    return sqlite3.sqlite_version_info


def make_file(paths: HomePaths) -> None:
    """Make the home and an empty database, both closed to other users.

    Raises:
        HomeError: The place cannot be written.
    """
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.root.chmod(0o700)
        os.close(os.open(paths.database, os.O_CREAT | os.O_RDWR, 0o600))
        disk.sync(paths.root)
    except OSError as error:
        raise HomeError(f"cannot make a home at {paths.root}: {error}") from error


def migrations() -> Path:
    """Return where the migrations are: in the installed package, or beside it."""
    return carried("migrations", "migrations")


def head() -> str:
    """Return the newest revision; a migration's file name begins with its own."""
    return max(file.name[:4] for file in (migrations() / "versions").glob("[0-9]*.py"))


def known_revision(connection: sqlite3.Connection, paths: HomePaths) -> str:
    """Return the schema's revision, which this package must know.

    Raises:
        HomeError: The database is empty.
        StoreError: The schema is newer than this package's.
    """
    found = revision_of(connection)
    if found is None:
        raise no_home(paths)
    if found > head():
        raise StoreError(
            f"database {paths.database} has schema {found}, this package knows up "
            f"to {head()}; install the newer sleepcycle that wrote it"
        )
    return found


def refuse_older(found: str, paths: HomePaths) -> None:
    """Refuse a revision that must be upgraded first.

    Raises:
        StoreError: The schema is older than this package's.
    """
    if found < head():
        raise StoreError(
            f"database {paths.database} has schema {found}, this package needs "
            f"{head()}; run: sleepcycle db upgrade"
        )


def revision_of(connection: sqlite3.Connection) -> str | None:
    """Return the schema's revision, or None for a database that is empty."""
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables[0]:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def has_schema(paths: HomePaths, timeout_s: float) -> bool:
    """Return whether the database of a home, which must be there, has any table.

    Raises:
        HomeError: There is no database.
        StoreError: It is busy, damaged, or not ours.
        DiskError: The disk is full, or failed.
    """
    try:
        with closing(connect(paths, timeout_s)) as connection:
            return revision_of(connection) is not None
    except UNREADABLE as error:
        raise explain(error, paths) from error


def explain(error: BaseException, paths: HomePaths) -> SleepcycleError:
    """Return our error for one of SQLite's, with what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary result code
    if not isinstance(error, sqlite3.Error) or "Could not decode" in str(error):
        code = sqlite3.SQLITE_CORRUPT
    if code == sqlite3.SQLITE_IOERR and _is_quota(paths):
        code = sqlite3.SQLITE_FULL
        error = sqlite3.OperationalError("the quota is used up")
    advice = _ADVICE.get(code, "").format(restore=restore_command(paths))
    if _FOREIGN.search(str(error)):
        advice = f"it is not a sleepcycle database; {_ADVICE[sqlite3.SQLITE_NOTADB]}"
        advice = advice.format(restore=restore_command(paths))
    message = f"database {paths.database}: {error}" + (f"; {advice}" if advice else "")
    if code not in _DISK:
        return StoreError(message)
    failed = DiskError(message)
    failed.errno = _DISK[code]
    return failed


def _is_quota(paths: HomePaths) -> bool:
    """Return whether a write failed since a quota is used up, which SQLite hides."""
    return disk.refusal(paths.root) == errno.EDQUOT
