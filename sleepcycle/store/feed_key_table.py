"""Keys that feeds were asked for under, and what each brought."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from sleepcycle.errors import FeedKeyError
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.example import FeedKey, FeedReport
from sleepcycle.store.schema import FeedKeyRow

KEPT = timedelta(days=7)
"""A guess: longer than anybody's program goes on to try, past a weekend."""


def add(session: Session, key: FeedKey, report: FeedReport) -> None:
    """Keep what a feed brought, and forget what was kept for long enough."""
    now = datetime.now(UTC)
    session.execute(delete(FeedKeyRow).where(FeedKeyRow.at < now - KEPT))
    session.execute(
        insert(FeedKeyRow).values(
            key=key.name, digest=key.digest, at=now, report=to_json(report)
        )
    )


def find(session: Session, key: FeedKey) -> FeedReport | None:
    """Return what a feed brought that was asked for under a key before.

    Raises:
        FeedKeyError: The key is of another feed.
    """
    row = session.get(FeedKeyRow, key.name)
    if row is None:
        return None
    if row.digest != key.digest:
        raise FeedKeyError(
            f"expected the bytes and options that the key {key.name!r} was first sent "
            "with, got others; take a new key for another feed"
        )
    return from_json(row.report, FeedReport)
