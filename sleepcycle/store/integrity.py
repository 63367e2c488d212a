"""Find what is wrong with a database: by SQLite, and by comparing what is kept twice.

SQLite finds a damaged page, but not a row that was changed. So an example is compared
with its hash, a version with its sealed card, a count with the number of rows, and what
is live with the journal.
"""

import hashlib
import json
import sqlite3
from collections.abc import Container, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from sleepcycle.files.paths import CARD, HomePaths
from sleepcycle.store.connection import connect, explain
from sleepcycle.store.digest import BAD_ROW, sha256_of
from sleepcycle.store.foreign_schema import foreign_code, foreign_objects
from sleepcycle.store.values import OPEN_BATCH, Alias

BASE = "id", "revision", "sha256"  # what a version's row says of its base
WAIT_S = 10.0  # for another process that is just committing
SMALL = "batch", "bad_row", "run", "night", "control", "alias", "removed"
WHOLE = (
    f"id NOT IN (SELECT CAST(value AS INT) FROM control WHERE name = '{OPEN_BATCH}')"
)
COUNTS = {
    "batch {} has not the examples that it accepted": (
        "SELECT id FROM batch LEFT JOIN (SELECT batch AS of, count(*) AS there FROM "
        "example GROUP BY batch) ON of = id WHERE accepted != coalesce(there, 0) "
        f"AND {WHOLE}"
    ),
    "batch {} has not the rows that were quarantined": (
        "SELECT id FROM batch LEFT JOIN (SELECT batch AS of, count(*) AS there FROM "
        "bad_row GROUP BY batch) ON of = id WHERE quarantined != coalesce(there, 0) "
        f"AND {WHOLE}"
    ),
    "example {} is not what its hash says": (
        "SELECT id FROM example WHERE sha256(content) IS NOT hash"
    ),
    "example {} names a version that did not learn it": (
        "SELECT id FROM example WHERE state = 'trained' AND NOT EXISTS (SELECT 1 FROM "
        "version_example AS v WHERE v.version = example.version AND v.example = id)"
    ),
    "the card of version {}, the bare base, is not empty": (
        "SELECT number FROM version WHERE number = 0 AND card IS NOT '{}'"
    ),
    "version {} has not the examples that it learned": (
        "SELECT number FROM version WHERE "
        "(SELECT count(*) FROM version_example AS e WHERE e.version = number) != "
        "(SELECT coalesce(sum(examples), 0) FROM version_batch AS b "
        "WHERE b.version = number)"
    ),
}


def damage(
    paths: HomePaths, versions: Path | None = None, broken: Container[int] = ()
) -> Iterator[str]:
    """Yield what is wrong with a home's database; nothing where it is whole.

    The chain of the journal is not checked: `journal.check` does that.

    Args:
        paths: The home.
        versions: Where its sealed versions are, if not in it.
        broken: Versions whose files do not hold; their cards are not compared.
    """
    try:
        with closing(connect(paths, WAIT_S)) as database:
            database.create_function("sha256", 1, _sha256, deterministic=True)
            database.execute("BEGIN")
            yield from foreign_objects(database)
            yield from _by_sqlite(database)
            for fault, query in COUNTS.items():
                rows = database.execute(query).fetchall()
                yield from (fault.format(row[0]) for row in rows)
            yield from _by_cards(database, versions or paths.versions, broken)
            yield from _by_journal(database)
            for table in SMALL:
                database.execute(f"SELECT * FROM {table}").fetchall()  # it can be read
    except (sqlite3.Error, ValueError, TypeError, LookupError) as error:
        yield f"the database cannot be read: {error}"


def planted(paths: HomePaths) -> Iterator[str]:
    """Yield the code that came with a database of any revision, before any of it runs.

    Raises:
        StoreError: It cannot be read.
    """
    try:
        with closing(connect(paths, WAIT_S)) as database:
            yield from foreign_code(database)
    except sqlite3.Error as error:
        raise explain(error, paths) from error


def _by_sqlite(database: sqlite3.Connection) -> Iterator[str]:
    """Yield what SQLite finds by itself."""
    for (fault,) in database.execute("PRAGMA integrity_check(10)").fetchall():
        if fault != "ok":
            yield f"SQLite finds: {fault}"
    dangling = database.execute("PRAGMA foreign_key_check").fetchall()
    for table, row, parent, _ in dangling:
        yield f"row {row} of {table} refers to nothing in {parent}"


def _by_cards(
    database: sqlite3.Connection, versions: Path, broken: Container[int]
) -> Iterator[str]:
    """Yield each version whose rows are not what its card says.

    The card of a version whose files are there is compared with the sealed one.
    """
    gone = {number for (number,) in database.execute("SELECT version FROM removed")}
    rows = database.execute(
        "SELECT number, kind, folder, rank, accepted, created_at, run, base_id, "
        "base_revision, base_sha256, card FROM version WHERE number > 0"
    ).fetchall()
    for number, kind, folder, rank, accepted, created_at, run, *base, text in rows:
        sealed = versions / str(folder) / CARD
        card = json.loads(text)
        there = number not in gone and number not in broken and sealed.is_file()
        if there and card != _plain(sealed):
            yield f"the card of version {number} is not the sealed one"
        found = {
            "number": number,
            "kind": kind,
            "rank": rank,
            "accepted": bool(accepted),
            "run": run,
            "base": dict(zip(BASE, base, strict=True)),
            "parents": _numbers(database, number),
            "batches": _batches(database, number),
        }
        said = {**card, "base": {key: card["base"].get(key) for key in BASE}}
        wrong = [name for name, value in found.items() if said[name] != value]
        wrong += [] if _same_time(card["created_at"], created_at) else ["created_at"]
        wrong += [] if _same_report(database, run, card["report"]) else ["report"]
        if wrong:
            yield f"version {number} has not the {', '.join(wrong)} of its card"


def _by_journal(database: sqlite3.Connection) -> Iterator[str]:
    """Yield what of batches, live and the day differs from the journal."""
    entries = [
        (action, json.loads(text))
        for action, text in database.execute(
            "SELECT action, details FROM journal ORDER BY id"
        )
    ]
    batches = _rows(database, "batch")
    for details in (details for action, details in entries if action == "feed"):
        batch = details.pop("batch")
        found = batches.get(batch, {}) | {"bad_rows": _bad_rows(database, batch)}
        wrong = [name for name, value in details.items() if found.get(name) != value]
        if wrong:
            fields = ", ".join(wrong)
            yield f"batch {batch} has not the {fields} of the journal"
    names = dict(database.execute("SELECT name, 'v' || version FROM alias").fetchall())
    for name, version in _aliases_by_journal(entries).items():
        if names.get(name) != version:
            yield f"{name} is {names.get(name)}, and the journal says {version}"


def _aliases_by_journal(entries: Iterable[tuple[str, Any]]) -> dict[str, str | None]:
    """Return which versions must be live and the day, by the journal's entries."""
    at: dict[str, str | None] = {Alias.LIVE: "v0", Alias.DAY: None}
    for action, details in entries:
        if action == "seal wake" and details["accepted"]:
            at[Alias.DAY] = details["version"]
        elif action == "seal sleep" and details["accepted"]:
            at = {Alias.LIVE: details["version"], Alias.DAY: None}
        elif "live" in details and "previous" in details:  # a switch, under any word
            at = {Alias.LIVE: details["live"], Alias.DAY: None}
    return at


def _rows(database: sqlite3.Connection, table: str) -> dict[int, dict[str, Any]]:
    """Return a table's rows as plain values, by their number."""
    found = database.execute(f"SELECT * FROM {table}")
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return {row["id"]: row for row in rows}


def _bad_rows(database: sqlite3.Connection, batch: int) -> str:
    """Return the hash of a batch's bad rows, as the journal has it."""
    query = f"SELECT {', '.join(BAD_ROW)} FROM bad_row WHERE batch = ? ORDER BY id"
    return sha256_of(database.execute(query, (batch,)))


def _plain(file: Path) -> Any:  # noqa: ANN401
    """Return what a file holds as JSON, or None where it is not JSON."""
    try:
        return json.loads(file.read_bytes())
    except ValueError:
        return None


def _numbers(database: sqlite3.Connection, version: int) -> list[int]:
    """Return a version's parents."""
    rows = database.execute(
        "SELECT parent FROM version_parent WHERE version = ? ORDER BY position",
        (version,),
    )
    return [number for (number,) in rows]


def _batches(database: sqlite3.Connection, version: int) -> dict[str, int]:
    """Return what a version learned itself, by batch."""
    rows = database.execute(
        "SELECT batch, examples FROM version_batch WHERE version = ?", (version,)
    )
    return {str(batch): examples for batch, examples in rows}


def _same_report(database: sqlite3.Connection, run: int | None, report: Any) -> bool:  # noqa: ANN401
    """Return whether a run has the report of the version that it made."""
    if run is None:
        return True
    row = database.execute("SELECT report FROM run WHERE id = ?", (run,)).fetchone()
    return row is not None and json.loads(row[0]) == report


def _same_time(one: str, other: str) -> bool:
    """Return whether two texts are the same moment."""
    return datetime.fromisoformat(one) == datetime.fromisoformat(other)


def _sha256(text: str | bytes) -> bytes:
    """Return the hash of content as it is kept."""
    data = text.encode() if isinstance(text, str) else text
    return hashlib.sha256(data).digest()
