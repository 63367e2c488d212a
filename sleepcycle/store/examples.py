"""Examples, and the states that they go through."""

import json
import random
from collections.abc import Collection, Sequence

from sqlalchemy import (
    CursorResult,
    Select,
    Update,
    case,
    func,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.orm import Session

from sleepcycle.content import parse_canonical
from sleepcycle.errors import RunError
from sleepcycle.records import Example
from sleepcycle.store import batches as batch_table
from sleepcycle.store import versions as version_table
from sleepcycle.store.records import Alias, Counts, ExampleState
from sleepcycle.store.tables import BadRowRow, BatchRow, ExampleRow

_FREE = {"run": None, "version": None}


def add(
    session: Session,
    batch: int,
    state: ExampleState,
    rows: Sequence[tuple[bytes, str]],
) -> int:
    """Add examples that are not in the store yet.

    Args:
        session: A transaction that may write.
        batch: Where they came in.
        state: Held out or pending.
        rows: Hash and canonical content of each.

    Returns:
        How many were new.
    """
    if not rows:
        return 0
    added = session.connection().exec_driver_sql(
        "INSERT INTO example (batch, state, hash, content) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (hash) DO NOTHING",
        [(batch, state, digest, content) for digest, content in rows],
    )
    return added.rowcount


def claim(session: Session, run: int, limit: int) -> list[Example]:
    """Take up to `limit` pending examples for one run, oldest first.

    A single UPDATE, so two processes can never claim the same example. If the run
    dies, `release` gives them back.

    Returns:
        All that the run holds now.
    """
    oldest = (
        select(ExampleRow.id)
        .where(ExampleRow.state == ExampleState.PENDING)
        .order_by(ExampleRow.batch, ExampleRow.id)
        .limit(limit)
    )
    session.execute(
        update(ExampleRow)
        .where(ExampleRow.id.in_(oldest))
        .values(state=ExampleState.CLAIMED, run=run),
        execution_options={"synchronize_session": False},
    )
    return _records(session, _query().where(ExampleRow.run == run))


def release(session: Session, run: int) -> int:
    """Give a run's examples back, and return how many there were."""
    return _change(
        session,
        update(ExampleRow)
        .where(ExampleRow.run == run)
        .values(state=ExampleState.PENDING, **_FREE),
    )


def mark_trained(session: Session, run: int, version: int) -> int:
    """Say that a run's examples are learned, and return how many there were."""
    return _change(
        session,
        update(ExampleRow)
        .where(ExampleRow.run == run)
        .values(state=ExampleState.TRAINED, run=None, version=version),
    )


def count_trained(session: Session, versions: Collection[int]) -> int:
    """Return how many examples these versions learned themselves."""
    query = select(func.count()).where(ExampleRow.version.in_(versions))
    return int(session.scalar(query) or 0)


def replay_sample(
    session: Session, versions: Collection[int], limit: int, seed: int
) -> list[Example]:
    """Draw examples that these versions learned themselves.

    Every such example is as likely as any other. The same seed gives the same
    draw as long as the versions learned nothing more.
    """
    return _sample(
        session, select(ExampleRow.id).where(ExampleRow.version.in_(versions)), limit, seed
    )


def held_out(
    session: Session, batches: Collection[int], limit: int, seed: int
) -> list[Example]:
    """Draw held-out examples of these batches, as `replay_sample` draws."""
    eligible = select(ExampleRow.id).where(
        ExampleRow.state == ExampleState.HELD_OUT, ExampleRow.batch.in_(batches)
    )
    return _sample(session, eligible, limit, seed)


def requeue(session: Session, versions: Collection[int]) -> int:
    """Make what these versions learned pending again, and return how many."""
    return _change(
        session,
        update(ExampleRow)
        .where(ExampleRow.version.in_(versions))
        .values(state=ExampleState.PENDING, **_FREE),
    )


def exclude_batch(session: Session, batch: int) -> int:
    """Take a batch out of everything to come, and return how many examples it had.

    They are not trained on, replayed or measured any more. What a version learned
    from them stays in that version: roll back to be rid of it.

    Raises:
        NotFoundError: There is no such batch.
        RunError: A run holds some of them.
    """
    batch_table.get(session, batch)
    held = batch_table.states(session, batch)[ExampleState.CLAIMED]
    if held:
        raise RunError(
            f"batch {batch} has {held} examples in a run; wait for it or cancel it"
        )
    return _change(
        session,
        update(ExampleRow)
        .where(ExampleRow.batch == batch, ExampleRow.state != ExampleState.EXCLUDED)
        .values(state=ExampleState.EXCLUDED, **_FREE),
    )


def requeue_batch(session: Session, batch: int) -> int:
    """Let a batch be learned (again), and return how many examples changed.

    Excluded examples are held out or pending as they were at the door; trained ones
    become pending where no ancestor of the live version learned them, so along its
    line every example is still trained once.

    Raises:
        NotFoundError: There is no such batch.
    """
    batch_table.get(session, batch)
    live = version_table.aliases(session)[Alias.LIVE]
    share = session.scalar(
        select(BatchRow.held_out_share).where(BatchRow.id == batch)
    )
    ...
