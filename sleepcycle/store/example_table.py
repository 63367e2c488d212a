"""Examples, and the states that they go through."""

import json
import math
import random
from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import (
    ColumnElement,
    Update,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)
from sqlalchemy.orm import Session

from sleepcycle.errors import RunError
from sleepcycle.records.content import parse_canonical
from sleepcycle.records.example import BadRow, Example, NewExample, SetAside
from sleepcycle.store import batch_table, open_batch, version_table
from sleepcycle.store.schema import (
    BatchRow,
    ErasedRow,
    ExampleRow,
    SetAsideRow,
    VersionExampleRow,
)
from sleepcycle.store.values import (
    Alias,
    ExampleState,
    StoredExample,
    one_known,
)


def add(
    session: Session,
    batch: int,
    state: ExampleState,
    rows: Sequence[NewExample],
) -> int:
    """Add examples that are not in the store yet.

    Args:
        session: A transaction that may write.
        batch: Where they came in.
        state: Held out or pending.
        rows: The examples.

    Returns:
        How many were new.
    """
    if not rows:
        return 0
    added = session.connection().exec_driver_sql(
        "INSERT INTO example (batch, state, hash, content, line, provenance) "
        "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
        [(batch, state, *row) for row in rows],
    )
    return added.rowcount


def pending_sources(session: Session) -> set[str]:
    """Return the sources of the batches that have pending examples."""
    pending = select(ExampleRow.batch).where(_pending())
    query = select(BatchRow.source).where(BatchRow.id.in_(pending)).distinct()
    return set(session.scalars(query))


def claim(
    session: Session, run: int, limit: int, source: str | None = None
) -> list[Example]:
    """Take up to `limit` pending examples for one run, oldest first.

    A single UPDATE, so two processes can never claim the same example. If the run
    dies, `release` gives them back.

    Args:
        session: A transaction that may write.
        run: Whose they are from now on.
        limit: How many at most.
        source: Take those of batches from there alone; None for all.

    Returns:
        All that the run holds now.
    """
    wanted = _pending()
    if source is not None:
        from_there = select(BatchRow.id).where(BatchRow.source == source)
        wanted &= ExampleRow.batch.in_(from_there)
    oldest = (
        select(ExampleRow.id)
        .where(wanted)
        .order_by(ExampleRow.batch, ExampleRow.id)
        .limit(limit)
    )
    _change(
        session,
        update(ExampleRow)
        .where(ExampleRow.id.in_(oldest))
        .values(state=ExampleState.CLAIMED, run=run),
    )
    return claimed(session, run)


def claimed(session: Session, run: int) -> list[Example]:
    """Return all that a run holds, oldest first."""
    return _records(session, ExampleRow.run == run)


def release(session: Session, run: int) -> int:
    """Give a run's examples back, and return how many there were."""
    return _change(
        session,
        update(ExampleRow)
        .where(ExampleRow.run == run)
        .values(state=ExampleState.PENDING, run=None),
    )


def mark_trained(session: Session, run: int, version: int) -> int:
    """Mark a run's examples as learned, and return how many there were."""
    learned = select(literal(version), ExampleRow.id).where(ExampleRow.run == run)
    session.execute(
        insert(VersionExampleRow).from_select(["version", "example"], learned)
    )
    return _change(
        session,
        update(ExampleRow)
        .where(ExampleRow.run == run)
        .values(state=ExampleState.TRAINED, run=None, version=version),
    )


def set_aside(session: Session, run: int, faults: Sequence[SetAside]) -> int:
    """Exclude those of a run's examples that the base cannot learn, with the reasons.

    The last reason of an example counts. `requeue_batch` lets them be learned again.

    Returns:
        How many there were.
    """
    held = set(session.scalars(select(ExampleRow.id).where(ExampleRow.run == run)))
    rows = [
        {"example": number, "run": run, "code": one.code, "reason": one.reason}
        for one in faults
        for number in held.intersection(one.examples)
    ]
    if not rows:
        return 0
    session.execute(insert(SetAsideRow).prefix_with("OR REPLACE"), rows)
    aside = select(SetAsideRow.example).where(SetAsideRow.run == run)
    return _change(
        session,
        update(ExampleRow)
        .where(ExampleRow.run == run, ExampleRow.id.in_(aside))
        .values(state=ExampleState.EXCLUDED, run=None),
    )


def set_aside_rows(session: Session, batch: int | None = None) -> Iterator[BadRow]:
    """Yield what the base could not learn of one batch, or of all, oldest first."""
    query = (
        select(BatchRow.source, ExampleRow.line, SetAsideRow, ExampleRow.content)
        .join(ExampleRow, ExampleRow.id == SetAsideRow.example)
        .join(BatchRow, BatchRow.id == ExampleRow.batch)
        .order_by(ExampleRow.batch, ExampleRow.id)
    )
    if batch is not None:
        query = query.where(ExampleRow.batch == batch)
    for source, line, why, content in session.execute(query):
        raw = content.encode()
        yield BadRow(source, line or 0, 0, why.code, why.reason, raw, len(raw))


def stored(
    session: Session, batch: int, line: int | None, limit: int
) -> list[StoredExample]:
    """Return the first examples of a batch, or the first of one line of its files."""
    of_batch = (ExampleRow.batch == batch) & ExampleRow.state.in_(list(ExampleState))
    if line is not None:
        of_batch &= ExampleRow.line == line
    # by the index of states and batches: + 0, or SQLite would read on by the number
    first = select(ExampleRow.id).where(of_batch).order_by(ExampleRow.id + 0)
    query = (
        select(
            ExampleRow.id,
            ExampleRow.line,
            ExampleRow.state,
            ExampleRow.content,
            ExampleRow.provenance,
        )
        .where(ExampleRow.id.in_(first.limit(limit)))
        .order_by(ExampleRow.id)
    )
    return [
        StoredExample(id_, row, one_known(ExampleState, state), content, provenance)
        for id_, row, state, content, provenance in session.execute(query)
    ]


def count_trained(session: Session, versions: Collection[int]) -> int:
    """Return how many examples these versions learned themselves."""
    # by the index of versions: + state, or SQLite would look at all that is trained
    is_trained = literal_column("+example.state") == ExampleState.TRAINED
    owned = ExampleRow.version.in_(versions) & is_trained
    return session.scalar(select(func.count()).where(owned)) or 0


def replay_sample(
    session: Session, versions: Collection[int], limit: int, seed: int
) -> list[Example]:
    """Draw examples that these versions learned themselves.

    Every such example is as likely as any other. The same seed gives the same
    draw as long as the versions learned nothing more.
    """
    return _sample(session, _trained(versions), limit, seed)


def held_out(
    session: Session, batches: Collection[int], limit: int, seed: int
) -> list[Example]:
    """Draw held-out examples of these batches, as `replay_sample` draws."""
    held = (ExampleRow.state == ExampleState.HELD_OUT) & ExampleRow.batch.in_(batches)
    return _sample(session, held, limit, seed)


def requeue(session: Session, versions: Collection[int]) -> int:
    """Make what these versions learned pending again, and return how many."""
    return _change(
        session,
        update(ExampleRow).where(_trained(versions)).values(state=ExampleState.PENDING),
    )


def own_again(session: Session, versions: Collection[int]) -> int:
    """Let these versions own all that they learned themselves, pending or not.

    Needed when one of them is live again, or it would learn the same twice. What was
    excluded stays so.

    Returns:
        How many examples they did not own before.
    """
    owner = (
        select(func.max(VersionExampleRow.version))
        .where(
            VersionExampleRow.example == ExampleRow.id,
            VersionExampleRow.version.in_(versions),
        )
        .scalar_subquery()
    )
    return _change(
        session,
        update(ExampleRow)
        .where(_disowned(versions))
        .values(state=ExampleState.TRAINED, version=owner),
    )


def count_disowned(session: Session, versions: Collection[int]) -> int:
    """Return how many examples `own_again` would give back to these versions."""
    return session.scalar(select(func.count()).where(_disowned(versions))) or 0


def exclude_batch(session: Session, batch: int) -> int:
    """Take a batch out of everything to come, and return how many examples it had.

    They are not trained on, replayed or measured any more. What a version learned
    from them stays in that version: roll back to be rid of it. `requeue_batch`
    undoes this.

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
        .values(state=ExampleState.EXCLUDED),
    )


def requeue_batch(session: Session, batch: int) -> int:
    """Let a batch be learned (again), and return how many examples became pending.

    What the live version, the open day or an ancestor of theirs learned counts as
    trained, so along that line an example is never trained twice. All else that was
    excluded or trained is pending again, or held out if it was so when it was fed; but
    for what was erased.

    Raises:
        NotFoundError: There is no such batch.
    """
    came = batch_table.get(session, batch)
    names = version_table.aliases(session)
    line = version_table.ancestors(session, names.get(Alias.DAY, names[Alias.LIVE]))
    before = batch_table.states(session, batch)[ExampleState.PENDING]
    of_batch = select(ExampleRow.id).where(ExampleRow.batch == batch)
    session.execute(delete(SetAsideRow).where(SetAsideRow.example.in_(of_batch)))
    was_held_out = ExampleRow.hash < _bound(came.held_out_share)
    _change(
        session,
        update(ExampleRow)
        .where(
            ExampleRow.batch == batch,
            ExampleRow.id.not_in(select(ErasedRow.example)),
            (ExampleRow.state == ExampleState.EXCLUDED)
            | ((ExampleRow.state == ExampleState.TRAINED) & ~_trained(line)),
        )
        .values(
            state=case(
                (was_held_out, ExampleState.HELD_OUT), else_=ExampleState.PENDING
            )
        ),
    )
    own_again(session, line)
    return batch_table.states(session, batch)[ExampleState.PENDING] - before


def _bound(share: float) -> bytes:
    """Return the least hash that `content.is_held_out` leaves in for training."""
    return math.ceil(share * 2**64).to_bytes(8)


def _pending() -> ColumnElement[bool]:
    """Return the condition that an example can be learned, and its batch is whole."""
    return (ExampleRow.state == ExampleState.PENDING) & ExampleRow.batch.not_in(
        open_batch.hidden()
    )


def _disowned(versions: Collection[int]) -> ColumnElement[bool]:
    """Return the condition for what these versions learned, and do not own."""
    learned = select(VersionExampleRow.example).where(
        VersionExampleRow.version.in_(versions)
    )
    return (
        ExampleRow.id.in_(learned)
        & ExampleRow.state.in_([ExampleState.PENDING, ExampleState.TRAINED])
        & ~_trained(versions)
    )


def _trained(versions: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that one of these versions learned an example itself."""
    return (ExampleRow.state == ExampleState.TRAINED) & ExampleRow.version.in_(versions)


def _sample(
    session: Session, condition: ColumnElement[bool], limit: int, seed: int
) -> list[Example]:
    """Draw up to `limit` of the examples that meet a condition, oldest first."""
    total = session.scalar(select(func.count()).where(condition)) or 0
    places = random.Random(seed).sample(range(total), min(limit, total))
    numbered = (
        select(
            ExampleRow.id,
            (func.row_number().over(order_by=ExampleRow.id) - 1).label("place"),
        )
        .where(condition)
        .subquery()
    )
    # one JSON list, as SQLite bounds the number of parameters
    drawn = func.json_each(json.dumps(places)).table_valued("value")
    ids = select(numbered.c.id).where(numbered.c.place.in_(select(drawn.c.value)))
    return _records(session, ExampleRow.id.in_(ids))


def _change(session: Session, statement: Update) -> int:
    """Run one UPDATE and return how many examples it changed."""
    result = session.connection().execute(statement)
    return result.rowcount


def _records(session: Session, condition: ColumnElement[bool]) -> list[Example]:
    """Return the examples that meet a condition, oldest first."""
    rows = session.execute(
        select(ExampleRow.id, ExampleRow.batch, ExampleRow.content)
        .where(condition)
        .order_by(ExampleRow.batch, ExampleRow.id)
    )
    return [Example(id_, batch, parse_canonical(text)) for id_, batch, text in rows]
