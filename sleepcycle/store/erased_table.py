"""Examples whose text is gone for ever."""

import secrets
from datetime import UTC, datetime

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.store.schema import ErasedRow, ExampleRow, SetAsideRow
from sleepcycle.store.values import ExampleState


def add(session: Session, example: int) -> None:
    """Overwrite the text of an example, which is excluded for ever.

    Its row stays, so that every count still adds up and the versions that learned it
    stay tainted; the same text may be fed again, as new.
    """
    content = canonical_json(Text(f"[erased {example} {secrets.token_hex(8)}]"))
    session.execute(delete(SetAsideRow).where(SetAsideRow.example == example))
    session.execute(insert(ErasedRow).values(example=example, at=datetime.now(UTC)))
    session.execute(
        update(ExampleRow)
        .where(ExampleRow.id == example)
        .values(
            state=ExampleState.EXCLUDED,
            content=content,
            hash=content_hash(content),
            provenance=None,
        )
    )
