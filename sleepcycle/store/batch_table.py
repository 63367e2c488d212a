"""Batches, and the rows of theirs that could not become examples."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from sleepcycle.errors import NotFoundError
from sleepcycle.records.captured import ID_PREFIX
from sleepcycle.records.example import BadRow, FeedReport
from sleepcycle.store import open_batch
from sleepcycle.store.digest import BAD_ROW, sha256_of
from sleepcycle.store.schema import (
    BadRowRow,
    BatchRow,
    ExampleRow,
    VersionBatchRow,
)
from sleepcycle.store.utc_time import utc_text
from sleepcycle.store.values import Batch, ExampleState


def add(session: Session, source: str, shapes: str, held_out_share: float) -> int:
    """Add an empty batch and return its number; `close` adds what it brought."""
    return session.scalars(
        insert(BatchRow)
        .values(
            source=source,
            format=shapes,
            created_at=datetime.now(UTC),
            held_out_share=held_out_share,
            lines=0,
            accepted=0,
            duplicate=0,
            quarantined=0,
            held_out=0,
        )
        .returning(BatchRow.id)
    ).one()


def close(session: Session, batch: int, report: FeedReport) -> None:
    """Write down what a batch brought, and let everybody see it."""
    open_batch.show(session)
    session.execute(
        update(BatchRow)
        .where(BatchRow.id == batch)
        .values(
            lines=report.lines,
            accepted=report.accepted,
            duplicate=report.duplicate,
            quarantined=report.quarantined,
            held_out=report.held_out,
        )
    )


def add_bad_rows(session: Session, batch: int, rows: Iterable[BadRow]) -> None:
    """Keep rows that could not become examples."""
    fields = [
        {
            "batch": batch,
            "file": row.file,
            "line": row.line,
            "offset": row.offset,
            "code": row.code,
            "message": row.message,
            "raw": row.raw,
            "size_bytes": row.size_bytes,
        }
        for row in rows
    ]
    if fields:
        session.execute(insert(BadRowRow), fields)


def get(session: Session, batch: int) -> Batch:
    """Return one batch.

    Raises:
        NotFoundError: There is none with that number, or it is not whole yet.
    """
    row = session.get(BatchRow, batch)
    if row is None or batch == session.scalar(open_batch.hidden()):
        raise NotFoundError(f"no batch {batch}; see: sleepcycle batches list")
    return _record(row)


def journal_fields(session: Session, batch: int) -> dict[str, object]:
    """Return all that is kept of a new batch, so that the journal keeps it too.

    Raises:
        NotFoundError: There is none with that number.
    """
    fields = asdict(get(session, batch))
    opened_at = utc_text(fields.pop("created_at"))
    columns = [getattr(BadRowRow, name) for name in BAD_ROW]
    query = select(*columns).where(BadRowRow.batch == batch).order_by(BadRowRow.id)
    bad = sha256_of(session.execute(query.execution_options(yield_per=500)))
    return {
        "batch": fields.pop("id"),
        **fields,
        "created_at": opened_at,
        "bad_rows": bad,
    }


def sources(session: Session, numbers: Collection[int]) -> dict[int, str]:
    """Return where some batches came from, by their numbers."""
    query = select(BatchRow.id, BatchRow.source).where(BatchRow.id.in_(numbers))
    return {row.id: row.source for row in session.execute(query)}


def list_batches(
    session: Session, after: int = 0, limit: int | None = None
) -> list[Batch]:
    """Return the batches behind a number that are whole, oldest first."""
    whole = select(BatchRow).where(
        BatchRow.id.not_in(open_batch.hidden()), BatchRow.id > after
    )
    rows = session.scalars(whole.order_by(BatchRow.id).limit(limit))
    return [_record(row) for row in rows]


def newest(session: Session, before: int, limit: int) -> list[Batch]:
    """Return the batches before a number that are whole, newest first."""
    whole = select(BatchRow).where(
        BatchRow.id.not_in(open_batch.hidden()), BatchRow.id < before
    )
    rows = session.scalars(whole.order_by(BatchRow.id.desc()).limit(limit))
    return [_record(row) for row in rows]


def bad_rows(session: Session, batch: int | None) -> Iterator[BadRow]:
    """Yield the bad rows of one batch, or of all, in the order they came in."""
    whole = BadRowRow.batch.not_in(open_batch.hidden())
    query = select(BadRowRow).where(whole).order_by(BadRowRow.id)
    if batch is not None:
        query = query.where(BadRowRow.batch == batch)
    for row in session.scalars(query.execution_options(yield_per=500)):
        yield BadRow(
            file=row.file,
            line=row.line,
            offset=row.offset,
            code=row.code,
            message=row.message,
            raw=row.raw,
            size_bytes=row.size_bytes,
        )


def states(session: Session, batch: int) -> dict[ExampleState, int]:
    """Return how many examples of a batch are in each state now."""
    return states_of(session, [batch])[batch]


def states_of(
    session: Session, batches: Collection[int]
) -> dict[int, dict[ExampleState, int]]:
    """Return how many examples of each batch are in each state now."""
    rows = session.execute(
        select(ExampleRow.batch, ExampleRow.state, func.count())
        .where(ExampleRow.batch.in_(batches), ExampleRow.state.in_(list(ExampleState)))
        .group_by(ExampleRow.state, ExampleRow.batch)
    )
    found = {batch: dict.fromkeys(ExampleState, 0) for batch in batches}
    for batch, state, count in rows:
        found[batch][ExampleState(state)] = count
    return found


def sources_of(session: Session, versions: Collection[int]) -> dict[int, set[str]]:
    """Return the sources of the batches that each version learned from itself."""
    rows = session.execute(
        select(VersionBatchRow.version, BatchRow.source)
        .join(BatchRow, BatchRow.id == VersionBatchRow.batch)
        .where(VersionBatchRow.version.in_(versions))
    )
    found: dict[int, set[str]] = {}
    for version, source in rows:
        found.setdefault(version, set()).add(source)
    return found


def conversations(session: Session, batches: Collection[int]) -> list[str]:
    """Return which kept completions are among these batches, oldest first."""
    query = select(BatchRow.id, BatchRow.source).order_by(BatchRow.id)
    fed = session.execute(query.where(BatchRow.source.startswith(ID_PREFIX)))
    return [source for batch, source in fed if batch in batches]


def _record(row: BatchRow) -> Batch:
    """Return a row's record."""
    return Batch(
        id=row.id,
        source=row.source,
        format=row.format,
        created_at=row.created_at,
        held_out_share=row.held_out_share,
        lines=row.lines,
        accepted=row.accepted,
        duplicate=row.duplicate,
        quarantined=row.quarantined,
        held_out=row.held_out,
    )
