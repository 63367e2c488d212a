"""Read all that `status` shows with the standard library alone.

Loading SQLAlchemy takes longer than the whole command may.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import date, datetime

from sleepcycle.files import process_identity
from sleepcycle.files.base_memory import recall_quantization
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.version import BaseIdentity, Version, VersionKind
from sleepcycle.store.connection import (
    UNREADABLE,
    connect,
    explain,
    known_revision,
    refuse_older,
)
from sleepcycle.store.values import (
    OPEN_BATCH,
    PAUSED,
    Alias,
    Counts,
    ExampleState,
    Night,
    NightState,
    Run,
    Snapshot,
    one_known,
)

WAIT_S = 60.0  # for a writer that is just committing, as `store.busy_timeout_s`
LAST_RUNS = 10
PHASE_OF = (
    "SELECT json_extract(details, '$.phase') FROM journal WHERE CASE WHEN "
    "action = 'start wake' AND json_valid(details) "
    "THEN json_extract(details, '$.run') END = ? ORDER BY id DESC LIMIT 1"
)
"""The phase that the journal names for a wake when it began."""


def read_snapshot(paths: HomePaths) -> Snapshot:
    """Read one moment of a home, changing nothing.

    Raises:
        HomeError: There is no home.
        StoreError: The database is damaged, busy for a minute, or has a schema that
            is not this package's.
    """
    try:
        with closing(connect(paths, WAIT_S)) as connection:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            refuse_older(known_revision(connection, paths), paths)
            return _read(connection, recall_quantization(paths.cache))
    except UNREADABLE as error:
        raise explain(error, paths) from error


def _read(connection: sqlite3.Connection, quantization: str) -> Snapshot:
    """Read everything from one open transaction."""
    name, revision, sha256 = connection.execute(
        "SELECT base_id, base_revision, base_sha256 FROM version WHERE number = 0"
    ).fetchone()
    names = connection.execute("SELECT name, version FROM alias ORDER BY name")
    aliases = dict(names.fetchall())
    versions, runs = _versions(connection), _runs(connection)
    return Snapshot(
        base=BaseIdentity(name, revision, sha256, quantization),
        aliases=aliases,
        counts=_counts(connection),
        versions=versions,
        runs=runs,
        orphaned=_orphaned(connection, aliases, versions),
        interrupted=any(_is_orphan(run) for run in runs),
        paused=_paused(connection),
        last_night=_last_night(connection),
        failures=_failures(connection),
        phase=_phase(connection, runs[0]) if runs else None,
    )


def _is_orphan(run: Run) -> bool:
    """Return whether a run is open, but the process that owns it is gone."""
    return (
        run.state is RunState.RUNNING
        and process_identity.started(run.pid) != run.pid_started
    )


def _orphaned(
    connection: sqlite3.Connection,
    aliases: Mapping[str, int],
    versions: Sequence[Version],
) -> int:
    """Count what only versions know that live and the open day do not come from."""
    parents = {version.number: version.parents for version in versions}
    line: set[int] = set()
    open_ends = [aliases[name] for name in (Alias.LIVE, Alias.DAY) if name in aliases]
    while open_ends:
        number = open_ends.pop()
        if number not in line:
            line.add(number)
            open_ends += parents[number]
    # by the index of versions: + state, or SQLite would look at all that is trained
    (count,) = connection.execute(
        "SELECT count(*) FROM example WHERE +state = 'trained' AND version IN "
        "(SELECT value FROM json_each(?))",
        (json.dumps(sorted(parents.keys() - line)),),
    ).fetchone()
    return int(count)


def _paused(connection: sqlite3.Connection) -> bool:
    """Return whether the owner has paused what begins by itself."""
    row = connection.execute(
        "SELECT value FROM control WHERE name = ?", (PAUSED,)
    ).fetchone()
    return row is not None and row[0] == "yes"


def _last_night(connection: sqlite3.Connection) -> Night | None:
    """Read the newest night that was due."""
    row = connection.execute(
        "SELECT date, state, attempts, run, reason, at FROM night "
        "ORDER BY date DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    day, state, attempts, run, reason, at = row
    return Night(
        date.fromisoformat(day),
        one_known(NightState, state),
        attempts,
        run,
        reason,
        datetime.fromisoformat(at),
    )


def _failures(connection: sqlite3.Connection) -> int:
    """Count the runs that failed since one last ended otherwise."""
    (count,) = connection.execute(
        "SELECT count(*) FROM run WHERE state = 'failed' AND id > coalesce("
        "(SELECT max(id) FROM run WHERE state IN ('done', 'cancelled')), 0)"
    ).fetchone()
    return int(count)


def _phase(connection: sqlite3.Connection, run: Run) -> str | None:
    """Read which phase a run learns; None where it learns none."""
    if run.kind is not RunKind.WAKE:
        return None
    row = connection.execute(PHASE_OF, (run.id,)).fetchone()
    return None if row is None else row[0]


def _counts(connection: sqlite3.Connection) -> Counts:
    """Count examples by state, but for those of a batch that is not whole yet.

    That one is always the newest, so that its rows need not even be looked at.
    """
    (newest,) = connection.execute(
        "SELECT coalesce((SELECT value - 1 FROM control WHERE name = ?), max(id), 0) "
        "FROM batch",
        (OPEN_BATCH,),
    ).fetchone()
    of_state = "SELECT count(*) FROM example WHERE state = ? AND batch <= ?"
    found = {
        state: connection.execute(of_state, (state, newest)).fetchone()[0]
        for state in ExampleState
    }
    (quarantined,) = connection.execute(
        "SELECT coalesce(sum(quarantined), 0) FROM batch"
    ).fetchone()
    (set_aside,) = connection.execute("SELECT count(*) FROM set_aside").fetchone()
    return Counts(
        accepted=sum(found.values()),
        held_out=found[ExampleState.HELD_OUT],
        pending=found[ExampleState.PENDING],
        claimed=found[ExampleState.CLAIMED],
        known=found[ExampleState.TRAINED],
        excluded=found[ExampleState.EXCLUDED],
        quarantined=quarantined,
        set_aside=set_aside,
    )


def _versions(connection: sqlite3.Connection) -> tuple[Version, ...]:
    """Read every version with its parents, oldest first."""
    parents: dict[int, list[int]] = {}
    for version, parent in connection.execute(
        "SELECT version, parent FROM version_parent ORDER BY version, position"
    ):
        parents.setdefault(version, []).append(parent)
    rows = connection.execute(
        "SELECT number, kind, folder, rank, accepted, created_at, run "
        "FROM version ORDER BY number"
    )
    return tuple(
        Version(
            number=number,
            kind=one_known(VersionKind, kind),
            folder=folder,
            parents=tuple(parents.get(number, ())),
            rank=rank,
            accepted=bool(accepted),
            created_at=datetime.fromisoformat(created_at),
            run=run,
        )
        for number, kind, folder, rank, accepted, created_at, run in rows
    )


def _runs(connection: sqlite3.Connection) -> tuple[Run, ...]:
    """Read the last runs, newest first."""
    rows = connection.execute(
        "SELECT id, kind, state, started_at, ended_at, pid, pid_started, report, error "
        "FROM run ORDER BY id DESC LIMIT ?",
        (LAST_RUNS,),
    )
    return tuple(
        Run(
            id=number,
            kind=one_known(RunKind, kind),
            state=one_known(RunState, state),
            started_at=datetime.fromisoformat(started_at),
            ended_at=None if ended_at is None else datetime.fromisoformat(ended_at),
            pid=pid,
            pid_started=pid_started,
            report=report,
            error=error,
        )
        for (
            number,
            kind,
            state,
            started_at,
            ended_at,
            pid,
            pid_started,
            report,
            error,
        ) in rows
    )
