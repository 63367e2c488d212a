"""The switch by which the owner stops wakes and nights from beginning by themselves."""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.orm import Session

from sleepcycle.store.schema import ControlRow
from sleepcycle.store.values import PAUSED


def paused(session: Session) -> bool:
    """Return whether wakes and nights begin only when they are asked for."""
    value = select(ControlRow.value).where(ControlRow.name == PAUSED)
    return session.scalar(value) == "yes"


def pause(session: Session, flag: bool) -> None:
    """Let nothing begin by itself, or let it again; it outlives the process."""
    row = {"value": "yes" if flag else "no", "at": datetime.now(UTC)}
    session.execute(
        upsert(ControlRow)
        .values(name=PAUSED, **row)
        .on_conflict_do_update(index_elements=["name"], set_=row)
    )
