"""Find what in the schema of a database no migration of ours has made.

A trigger or a view is code that comes with the data: it runs as soon as somebody writes
or reads, so none but the journal's own is let in.
"""

import sqlite3
from collections.abc import Iterator

from sleepcycle.store.schema import TableBase

APPEND_ONLY = (
    "CREATE TRIGGER journal_no_{} BEFORE {} ON journal "
    "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
)
TRIGGERS = {APPEND_ONLY.format(word.lower(), word) for word in ("UPDATE", "DELETE")}
REVISION_TABLE = "alembic_version"
OWN = "sqlite_"  # SQLite lets nobody else begin a name so
VIRTUAL = "CREATE VIRTUAL"


def foreign_code(database: sqlite3.Connection) -> Iterator[str]:
    """Yield each trigger, view and virtual table that is not ours, of any revision."""
    for kind, name, text in _objects(database):
        virtual = kind == "table" and text.upper().startswith(VIRTUAL)
        if kind == "view" or virtual or (kind == "trigger" and text not in TRIGGERS):
            yield _fault(kind, name)


def foreign_objects(database: sqlite3.Connection) -> Iterator[str]:
    """Yield whatever is not ours in a schema of the newest revision."""
    yield from foreign_code(database)
    tables = TableBase.metadata.tables
    indexes = (index for table in tables.values() for index in table.indexes)
    known = {REVISION_TABLE, *map(str, tables), *(str(index.name) for index in indexes)}
    for kind, name, _ in _objects(database):
        ours = name in known or name.startswith(OWN)
        if kind in {"table", "index"} and not ours:
            yield _fault(kind, name)


def _objects(database: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return kind, name and text of all that a schema holds."""
    query = "SELECT type, name, coalesce(sql, '') FROM sqlite_master"
    return database.execute(query).fetchall()


def _fault(kind: str, name: str) -> str:
    """Return the sentence for one that is not ours."""
    return f"its schema has the {kind} {name!r}, which sleepcycle did not make"
