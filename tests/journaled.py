"""What the journal of a store holds, as plain records."""

from types import SimpleNamespace

from sqlalchemy import select
from sqlalchemy.orm import Session

from sleepcycle.store.schema import JournalRow


def journal_entries(session: Session, limit: int) -> list[SimpleNamespace]:
    """Return the last entries, newest first; they can be read after the session."""
    rows = session.scalars(
        select(JournalRow).order_by(JournalRow.id.desc()).limit(limit)
    )
    return [
        SimpleNamespace(
            id=row.id,
            at=row.at,
            actor=row.actor,
            action=row.action,
            details=row.details,
        )
        for row in rows
    ]
