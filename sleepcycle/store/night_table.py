"""The nights that were due: each date is done once, and tried again where it failed."""

import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from sleepcycle.errors import RunError
from sleepcycle.store.schema import NightRow
from sleepcycle.store.values import Night, NightState, one_known

SETTLED = frozenset({NightState.DONE, NightState.SKIPPED})


def get(session: Session, date: datetime.date) -> Night | None:
    """Return the night of a date, or None where it was never begun."""
    row = session.get(NightRow, date.isoformat(), populate_existing=True)
    return None if row is None else _record(row)


def last(session: Session) -> Night | None:
    """Return the night of the newest date, or None before the first."""
    newest = select(NightRow).order_by(NightRow.date.desc()).limit(1)
    row = session.scalar(newest.execution_options(populate_existing=True))
    return None if row is None else _record(row)


def begin(session: Session, date: datetime.date) -> Night:
    """Begin the night of a date, for the first time or once more.

    Raises:
        RunError: It is done or skipped.
    """
    before = get(session, date)
    if before is not None and before.state in SETTLED:
        raise RunError(
            f"the night of {date} cannot begin: it is {before.state}; the next date "
            "has its own"
        )
    night = Night(
        date,
        NightState.BEGUN,
        attempts=spent(before) + 1 if before else 1,
        run=None,
        reason="",
        at=datetime.datetime.now(datetime.UTC),
    )
    _write(session, night, new=before is None)
    return night


def put_back(session: Session, date: datetime.date, reason: str) -> None:
    """Let an attempt not count that nobody wanted to end; the night stays begun.

    Args:
        session: A transaction that may write.
        date: When it was begun.
        reason: What ended the attempt, which marks it as put back.
    """
    session.execute(
        update(NightRow)
        .where(NightRow.date == date.isoformat(), NightRow.state == NightState.BEGUN)
        .values(reason=reason)
    )


def spent(night: Night) -> int:
    """Return how many attempts count: all but one that was put back."""
    was_put_back = night.state is NightState.BEGUN and night.reason != ""
    return night.attempts - was_put_back


def end(
    session: Session,
    date: datetime.date,
    state: NightState,
    run: int | None,
    reason: str,
) -> None:
    """Write down how the night of a date ended.

    Args:
        session: A transaction that may write.
        date: When it was begun.
        state: Any but `begun`.
        run: Its run, if there was one.
        reason: Why it was skipped or failed.

    Raises:
        RunError: It has not begun, or has ended already.
    """
    ended = session.scalar(
        update(NightRow)
        .where(NightRow.date == date.isoformat(), NightRow.state == NightState.BEGUN)
        .values(
            state=state,
            run=run,
            reason=reason,
            at=datetime.datetime.now(datetime.UTC),
        )
        .returning(NightRow.date)
    )
    if ended is None:
        raise RunError(f"the night of {date} cannot become {state}: it is not begun")


def _write(session: Session, night: Night, *, new: bool) -> None:
    """Write a night's row, in place of the one there is."""
    row = {
        "date": night.date.isoformat(),
        "state": night.state,
        "attempts": night.attempts,
        "run": night.run,
        "reason": night.reason,
        "at": night.at,
    }
    if new:
        session.execute(insert(NightRow).values(row))
    else:
        session.execute(
            update(NightRow).where(NightRow.date == row["date"]).values(row)
        )


def _record(row: NightRow) -> Night:
    """Return a row's record."""
    return Night(
        date=datetime.date.fromisoformat(row.date),
        state=one_known(NightState, row.state),
        attempts=row.attempts,
        run=row.run,
        reason=row.reason,
        at=row.at,
    )
