"""Jobs of fine-tuning, each a batch that is to be learned."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.orm import Session

from sleepcycle.errors import NotFoundError
from sleepcycle.records.content import plain_json
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.tuning import TuningJob, TuningState
from sleepcycle.store import batch_table
from sleepcycle.store.schema import ExampleRow, RunRow, TuningJobRow, VersionBatchRow
from sleepcycle.store.values import ExampleState, one_known

NOTHING_NEW = (
    "expected new examples, got none: the home has all rows of the file already, or "
    "holds them out"
)
NOTHING_LEARNED = (
    "expected examples that can be learned, got none: all were excluded or set aside; "
    "see: sleepcycle batches quarantine {batch}"
)


@dataclass(frozen=True, slots=True)
class JobEnding:
    """How a job ended."""

    job: str
    state: TuningState
    version: int | None = None
    error: str | None = None


def add(
    session: Session, name: str, batch: int, asked: Mapping[str, str], pairs: object
) -> None:
    """Write down a job, which is open.

    Args:
        session: A transaction that may write.
        name: Its id.
        batch: What it wants to be learned.
        asked: The `file` and the `model` that were named.
        pairs: Its metadata.
    """
    session.execute(
        insert(TuningJobRow).values(
            id=name,
            created_at=datetime.now(UTC),
            batch=batch,
            pairs=plain_json(pairs),
            state=TuningState.OPEN,
            **asked,
        )
    )


def get(session: Session, name: str) -> TuningJob:
    """Return one job.

    Raises:
        NotFoundError: There is none of that name.
    """
    row = session.execute(_all().where(TuningJobRow.id == name)).first()
    if row is None:
        raise NotFoundError(f"no job {name[:80]!r}; see: GET /v1/fine_tuning/jobs")
    return _record(*row)


def list_jobs(session: Session, limit: int, after: str | None) -> list[TuningJob]:
    """Return up to `limit` jobs, newest first.

    Raises:
        NotFoundError: The one to go on after is not there.
    """
    query = _all().order_by(TuningJobRow.created_at.desc(), TuningJobRow.id.desc())
    if after is not None:
        last = get(session, after)
        at, name = TuningJobRow.created_at, TuningJobRow.id
        is_older = (at == last.created_at) & (name < last.id)
        query = query.where((at < last.created_at) | is_older)
    return [_record(*row) for row in session.execute(query.limit(limit))]


def open_jobs(session: Session) -> list[TuningJob]:
    """Return the jobs that are not over."""
    is_open = TuningJobRow.state == TuningState.OPEN
    return [_record(*row) for row in session.execute(_all().where(is_open))]


def ending_of(session: Session, job: TuningJob) -> JobEnding | None:
    """Return how an open job ended by what became of its batch; None if it did not."""
    states = batch_table.states(session, job.batch)
    if states[ExampleState.PENDING] or states[ExampleState.CLAIMED]:
        fault = _failed_since(session, job)
        if fault is None:
            return None
        return JobEnding(job.id, TuningState.FAILED, error=fault)
    version = session.scalar(
        select(func.max(VersionBatchRow.version)).where(
            VersionBatchRow.batch == job.batch
        )
    )
    if version is not None:
        return JobEnding(job.id, TuningState.SUCCEEDED, version=version)
    batch = batch_table.get(session, job.batch)
    is_known = batch.accepted == batch.held_out
    error = NOTHING_NEW if is_known else NOTHING_LEARNED.format(batch=job.batch)
    return JobEnding(job.id, TuningState.FAILED, error=error)


def end(session: Session, ending: JobEnding) -> None:
    """Write down how a job ended."""
    session.execute(
        update(TuningJobRow)
        .where(TuningJobRow.id == ending.job)
        .values(
            state=ending.state,
            ended_at=datetime.now(UTC),
            version=ending.version,
            error=ending.error,
        )
    )


def exclude_waiting(session: Session, batch: int) -> int:
    """Take what waits of a batch out of all to come, and return how much that is."""
    waits = (ExampleRow.batch == batch) & (ExampleRow.state == ExampleState.PENDING)
    return (
        session.connection()
        .execute(update(ExampleRow).where(waits).values(state=ExampleState.EXCLUDED))
        .rowcount
    )


def _failed_since(session: Session, job: TuningJob) -> str | None:
    """Return why the newest wake failed that began after a job was asked for, if so."""
    query = (
        select(RunRow.state, RunRow.error)
        .where(RunRow.kind == RunKind.WAKE, RunRow.started_at >= job.created_at)
        .order_by(RunRow.id.desc())
    )
    row = session.execute(query).first()
    if row is None or row[0] != RunState.FAILED:
        return None
    return row[1] or "the wake failed"


def _all() -> Select[TuningJobRow, int | None]:
    """Return the query for jobs with the run that learns their examples."""
    run = (
        select(func.max(ExampleRow.run))
        .where(
            ExampleRow.batch == TuningJobRow.batch,
            ExampleRow.state == ExampleState.CLAIMED,
        )
        .scalar_subquery()
    )
    return select(TuningJobRow, run)


def _record(row: TuningJobRow, run: int | None) -> TuningJob:
    """Return a row's record."""
    state = one_known(TuningState, row.state)
    return TuningJob(
        id=row.id,
        created_at=row.created_at,
        batch=row.batch,
        file=row.file,
        model=row.model,
        metadata=json.loads(row.pairs),
        state=state,
        ended_at=row.ended_at,
        version=row.version,
        error=row.error,
        run=run if state is TuningState.OPEN else None,
    )
