"""Completions that were kept, and what they became."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from sleepcycle.errors import NotFoundError
from sleepcycle.records.captured import (
    ID_PREFIX,
    Captured,
    CapturedState,
    Exchange,
    Thumb,
)
from sleepcycle.records.content import plain_json
from sleepcycle.store import open_batch
from sleepcycle.store.schema import BatchRow, CapturedRow, ErasedRow, ExampleRow
from sleepcycle.store.values import ExampleState, FoundExample, one_known


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which kept completions are asked for."""

    state: CapturedState | None = None
    """None for all."""

    metadata: dict[str, str] = field(default_factory=dict)
    """Pairs that each must have."""

    after: str | None = None
    """The completion before the first, as one list goes on where another ended."""

    newest_first: bool = False


def add(session: Session, kept: Exchange) -> None:
    """Keep a completion, which waits to be judged."""
    session.execute(
        insert(CapturedRow).values(
            id=kept.id,
            created_at=datetime.now(UTC),
            version=kept.version,
            model=kept.model,
            messages=plain_json(kept.messages),
            tools=plain_json(kept.tools),
            answer=plain_json(kept.answer),
            pairs=plain_json(kept.metadata),
            state=CapturedState.WAITING,
        )
    )


def get(session: Session, name: str) -> Captured:
    """Return one completion.

    Raises:
        NotFoundError: None of that name is kept.
    """
    rows = session.execute(_all().where(CapturedRow.id == name))
    found = [_record(row, batch) for row, batch in rows]
    if not found:
        raise NotFoundError(f"no kept completion {name!r}; see: sleepcycle inbox list")
    return found[0]


def list_captured(session: Session, wanted: Wanted, limit: int) -> list[Captured]:
    """Return up to `limit` completions, in the order that they were kept.

    Raises:
        NotFoundError: The one to go on after is not kept.
    """
    query = _all().limit(limit)
    if wanted.state is not None:
        query = query.where(CapturedRow.state == wanted.state)
    for key, value in wanted.metadata.items():
        pair = func.json_each(CapturedRow.pairs).table_valued("key", "value")
        has_it = select(pair.c.key).where(pair.c.key == key, pair.c.value == value)
        query = query.where(has_it.exists())
    if wanted.after is not None:
        query = query.where(_comes_after(get(session, wanted.after), wanted))
    order = (CapturedRow.created_at, CapturedRow.id)
    if wanted.newest_first:
        query = query.order_by(*(column.desc() for column in order))
    else:
        query = query.order_by(*order)
    return [_record(row, batch) for row, batch in session.execute(query)]


def set_metadata(session: Session, name: str, metadata: Mapping[str, str]) -> None:
    """Replace the metadata of one completion.

    Raises:
        NotFoundError: None of that name is kept.
    """
    _set(session, name, pairs=plain_json(metadata))


def set_thumb(session: Session, name: str, thumb: Thumb) -> None:
    """Write down what who got an answer thinks of it.

    Raises:
        NotFoundError: None of that name is kept.
    """
    _set(session, name, thumb=thumb)


def correct(session: Session, name: str, message: Mapping[str, Any]) -> None:
    """Write down the answer that should have been given; it waits to be accepted.

    Raises:
        NotFoundError: None of that name is kept.
    """
    _set(
        session,
        name,
        correction=plain_json(message),
        state=CapturedState.WAITING,
        example=None,
    )


def move(session: Session, name: str, state: CapturedState) -> None:
    """Write down that a completion waits again, or is rejected.

    Raises:
        NotFoundError: None of that name is kept.
    """
    _set(session, name, state=state)


def accept(session: Session, name: str, example: int) -> None:
    """Write down that a completion is accepted, and which example it is.

    Raises:
        NotFoundError: None of that name is kept.
    """
    _set(session, name, state=CapturedState.ACCEPTED, example=example)


def remove(session: Session, name: str) -> None:
    """Delete a completion; its example is another's to erase."""
    session.execute(delete(CapturedRow).where(CapturedRow.id == name))


def let_go(session: Session, example: int) -> None:
    """Forget which completions were an erased example, but for accepted ones."""
    session.execute(
        update(CapturedRow)
        .where(
            CapturedRow.example == example,
            CapturedRow.state != CapturedState.ACCEPTED,
        )
        .values(example=None)
    )


def same_example(session: Session, digest: bytes) -> FoundExample | None:
    """Return the example with a hash; None where there is none."""
    query = (
        select(ExampleRow.id, ExampleRow.batch, ExampleRow.state, BatchRow.source)
        .join(BatchRow, BatchRow.id == ExampleRow.batch)
        .where(ExampleRow.hash == digest, ExampleRow.batch.not_in(open_batch.hidden()))
    )
    row = session.execute(query).first()
    if row is None:
        return None
    number, batch, state, source = row
    return FoundExample(number, batch, one_known(ExampleState, state), source)


def own_examples(session: Session, kept: Captured) -> dict[int, int]:
    """Return the examples that a completion alone stands for, with their batches.

    One that came in by a file is none, nor is one that another accepted completion is
    too, nor one that is erased.
    """
    shared = select(CapturedRow.example).where(
        CapturedRow.example.is_not(None),
        CapturedRow.id != kept.id,
        CapturedRow.state == CapturedState.ACCEPTED,
    )
    is_its = ExampleRow.id == kept.example
    rows = session.execute(
        select(ExampleRow.id, ExampleRow.batch)
        .join(BatchRow, BatchRow.id == ExampleRow.batch)
        .where(
            (BatchRow.source == kept.id)
            | (is_its & BatchRow.source.startswith(ID_PREFIX)),
            ExampleRow.id.not_in(shared),
            ExampleRow.id.not_in(select(ErasedRow.example)),
        )
    )
    return dict(rows.all())


def _set(session: Session, name: str, **values: object) -> None:
    """Change one completion.

    Raises:
        NotFoundError: None of that name is kept.
    """
    get(session, name)
    session.execute(update(CapturedRow).where(CapturedRow.id == name).values(**values))


def _all() -> Select[CapturedRow, int]:
    """Return the query for completions with the batch of their example."""
    return select(CapturedRow, ExampleRow.batch).join(
        ExampleRow, ExampleRow.id == CapturedRow.example, isouter=True
    )


def _comes_after(last: Captured, wanted: Wanted) -> ColumnElement[bool]:
    """Return the condition that a completion comes after another in a list."""
    at, name = CapturedRow.created_at, CapturedRow.id
    same_time = at == last.created_at
    if wanted.newest_first:
        return (at < last.created_at) | (same_time & (name < last.id))
    return (at > last.created_at) | (same_time & (name > last.id))


def _record(row: CapturedRow, batch: int | None) -> Captured:
    """Return a row's record."""
    return Captured(
        id=row.id,
        created_at=row.created_at,
        version=f"v{row.version}",
        model=row.model,
        messages=json.loads(row.messages),
        tools=json.loads(row.tools),
        answer=json.loads(row.answer),
        metadata=json.loads(row.pairs),
        state=one_known(CapturedState, row.state),
        thumb=None if row.thumb is None else one_known(Thumb, row.thumb),
        correction=None if row.correction is None else json.loads(row.correction),
        example=row.example,
        batch=batch,
    )
