"""Read sums over all that a home has done, for who watches it."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from sleepcycle.files.paths import HomePaths
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.store.connection import UNREADABLE, connect, explain

WAIT_S = 10.0  # for a writer that is just committing


@dataclass(frozen=True, slots=True)
class RunTotal:
    """Runs of one kind that came to the same."""

    count: int
    last_at: datetime | None
    """When the last of them ended; None where none has."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of one moment."""

    runs: Mapping[tuple[RunKind, RunState], RunTotal]
    conversations: Mapping[str, int]
    """Kept ones by their state."""

    reports: Mapping[RunKind, str]
    """JSON of the report of the last run of each kind that came to its end."""


def read_totals(paths: HomePaths) -> Totals:
    """Read them, changing nothing.

    Raises:
        HomeError: There is no home.
        StoreError: The database is damaged or busy.
    """
    try:
        with closing(connect(paths, WAIT_S)) as connection:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            return Totals(
                _runs(connection), _conversations(connection), _reports(connection)
            )
    except UNREADABLE as error:
        raise explain(error, paths) from error


def _runs(
    connection: sqlite3.Connection,
) -> dict[tuple[RunKind, RunState], RunTotal]:
    """Sum runs by their kind and state; what there never was is 0."""
    found = {(kind, state): RunTotal(0, None) for kind in RunKind for state in RunState}
    for kind, state, count, last in connection.execute(
        "SELECT kind, state, count(*), max(ended_at) FROM run GROUP BY kind, state"
    ):
        at = datetime.fromisoformat(last) if last else None
        found[RunKind(kind), RunState(state)] = RunTotal(count, at)
    return found


def _conversations(connection: sqlite3.Connection) -> dict[str, int]:
    """Count kept conversations by their state."""
    return dict(
        connection.execute("SELECT state, count(*) FROM captured GROUP BY state")
    )


def _reports(connection: sqlite3.Connection) -> dict[RunKind, str]:
    """Read the last report of each kind."""
    newest = (
        "SELECT report FROM run WHERE kind = ? AND state = ? AND report IS NOT NULL "
        "ORDER BY id DESC LIMIT 1"
    )
    found = {
        kind: connection.execute(newest, (kind, RunState.DONE)).fetchone()
        for kind in RunKind
    }
    return {kind: row[0] for kind, row in found.items() if row}
