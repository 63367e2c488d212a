"""Who did what: rows that are only ever added."""

from datetime import UTC, datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from sleepcycle.store.records import JournalEntry
from sleepcycle.store.tables import JournalRow


def append(session: Session, actor: str, action: str, **details: object) -> None:
    """Write down one change of state, in the transaction that makes it."""
    session.execute(
        insert(JournalRow).values(
            at=datetime.now(UTC), actor=actor, action=action, details=details
        )
    )


def entries(session: Session, limit: int) -> list[JournalEntry]:
    """Return the last entries, newest first."""
    rows = session.scalars(
        select(JournalRow).order_by(JournalRow.id.desc()).limit(limit)
    )
    return [
        JournalEntry(row.id, row.at, row.actor, row.action, row.details) for row in rows
    ]
