"""Wakes and nights: who runs one, and how it ended."""

from datetime import UTC, datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from sleepcycle.errors import NotFoundError, RunError
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.store.schema import RunRow
from sleepcycle.store.values import Run, one_known

OPEN = (RunState.RUNNING, RunState.PAUSED)


def start(session: Session, kind: RunKind, pid: int, started: str) -> int:
    """Write down a run that begins now, and return its number.

    Args:
        session: A transaction that may write.
        kind: What it does.
        pid: The process that owns it.
        started: What tells that process from a later one with the same number,
            such as the machine's boot and the process's start.
    """
    return session.scalars(
        insert(RunRow)
        .values(
            kind=kind,
            state=RunState.RUNNING,
            started_at=datetime.now(UTC),
            pid=pid,
            pid_started=started,
        )
        .returning(RunRow.id)
    ).one()


def finish(
    session: Session, run: int, state: RunState, report: str | None, error: str | None
) -> None:
    """Write down how an open run ended.

    Args:
        session: A transaction that may write.
        run: Its number.
        state: Any but `running` and `paused`.
        report: JSON of its report, if it has one.
        error: Why it has none.

    Raises:
        RunError: It is not open.
    """
    ended = session.scalar(
        update(RunRow)
        .where(RunRow.id == run, RunRow.state.in_(OPEN))
        .values(state=state, ended_at=datetime.now(UTC), report=report, error=error)
        .returning(RunRow.id)
    )
    if ended is None:
        raise RunError(f"run {run} cannot become {state}: it is not open")


def pause(session: Session, run: int) -> None:
    """Write down that a running run has stopped, and will go on later.

    Raises:
        RunError: It is not running.
    """
    paused = session.scalar(
        update(RunRow)
        .where(RunRow.id == run, RunRow.state == RunState.RUNNING)
        .values(state=RunState.PAUSED)
        .returning(RunRow.id)
    )
    if paused is None:
        raise RunError(f"run {run} cannot become paused: it is not running")


def resume(session: Session, run: int, pid: int, started: str) -> None:
    """Write down that a paused run goes on, in a process that `start` describes.

    Raises:
        RunError: It is not paused.
    """
    resumed = session.scalar(
        update(RunRow)
        .where(RunRow.id == run, RunRow.state == RunState.PAUSED)
        .values(state=RunState.RUNNING, pid=pid, pid_started=started)
        .returning(RunRow.id)
    )
    if resumed is None:
        raise RunError(f"run {run} cannot go on: it is not paused")


def get(session: Session, run: int) -> Run:
    """Return one run.

    Raises:
        NotFoundError: There is none with that number.
    """
    row = session.get(RunRow, run)
    if row is None:
        raise NotFoundError(f"no run {run}; see: sleepcycle runs list")
    return _record(row)


def list_runs(session: Session, limit: int, before: int | None = None) -> list[Run]:
    """Return the last runs, newest first; or the last before one of some number."""
    query = select(RunRow).order_by(RunRow.id.desc()).limit(limit)
    if before is not None:
        query = query.where(RunRow.id < before)
    return [_record(row) for row in session.scalars(query)]


def last_done(session: Session, kind: RunKind, since: datetime) -> int | None:
    """Return the last run of a kind that began at a time or later and is done."""
    query = select(func.max(RunRow.id)).where(
        RunRow.kind == kind, RunRow.state == RunState.DONE, RunRow.started_at >= since
    )
    return session.scalar(query)


def running(session: Session) -> list[Run]:
    """Return the runs that are on, also those whose owner is dead."""
    return _in_state(session, RunState.RUNNING)


def paused_runs(session: Session) -> list[Run]:
    """Return the runs that will go on later."""
    return _in_state(session, RunState.PAUSED)


def _in_state(session: Session, state: RunState) -> list[Run]:
    """Return the runs in one state, oldest first."""
    rows = session.scalars(
        select(RunRow).where(RunRow.state == state).order_by(RunRow.id)
    )
    return [_record(row) for row in rows]


def _record(row: RunRow) -> Run:
    """Return a row's record."""
    return Run(
        id=row.id,
        kind=one_known(RunKind, row.kind),
        state=one_known(RunState, row.state),
        started_at=row.started_at,
        ended_at=row.ended_at,
        pid=row.pid,
        pid_started=row.pid_started,
        report=row.report,
        error=row.error,
    )
