"""The batch that is being added in parts, which nobody sees before it is whole.

There is one at most: feeds add one after the other, and a switch has one row.
"""

from datetime import UTC, datetime

from sqlalchemy import Integer, Select, cast, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import Session

from sleepcycle.store.schema import BadRowRow, BatchRow, ControlRow, ExampleRow
from sleepcycle.store.values import OPEN_BATCH, ExampleState

CACHE_KIB = 65_536  # so that the pages of a part wait in memory until it is committed


def widen_cache(session: Session) -> None:
    """Let this transaction change more pages before it must shut readers out."""
    session.connection().exec_driver_sql(f"PRAGMA cache_size=-{CACHE_KIB}")


def hide(session: Session, batch: int) -> None:
    """Keep a batch from everybody's sight until `show`, or until it is dropped."""
    session.execute(
        upsert(ControlRow)
        .values(name=OPEN_BATCH, value=str(batch), at=datetime.now(UTC))
        .on_conflict_do_nothing()
    )


def show(session: Session) -> None:
    """Let everybody see what was hidden; nothing may be."""
    session.execute(delete(ControlRow).where(ControlRow.name == OPEN_BATCH))


def hidden() -> Select[int]:
    """Return a query for the batch that is hidden: one row, or none."""
    number = cast(ControlRow.value, Integer)
    return select(number).where(ControlRow.name == OPEN_BATCH)


def drop_some(session: Session, batch: int, limit: int) -> int:
    """Delete rows of the hidden batch, and the batch when it has none any more.

    Returns:
        How many rows were deleted; 0 when the batch is gone.
    """
    fed = [ExampleState.PENDING, ExampleState.HELD_OUT]
    examples = (
        select(ExampleRow.id)
        .where(ExampleRow.state.in_(fed), ExampleRow.batch == batch)
        .limit(limit)
    )
    bad = select(BadRowRow.id).where(BadRowRow.batch == batch).limit(limit)
    connection = session.connection()
    gone = connection.execute(
        delete(ExampleRow).where(ExampleRow.id.in_(examples))
    ).rowcount
    gone += connection.execute(delete(BadRowRow).where(BadRowRow.id.in_(bad))).rowcount
    if not gone:
        session.execute(delete(BatchRow).where(BatchRow.id == batch))
        show(session)
    return gone
