"""Rows that are not learned, page by page: what was quarantined, what was set aside."""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sleepcycle.errors import NotFoundError
from sleepcycle.records.example import BadRow
from sleepcycle.store import open_batch
from sleepcycle.store.schema import BadRowRow, BatchRow, ExampleRow, SetAsideRow

BEGINNING = 300  # bytes of a row that a page shows


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """A row that is not learned, by the number under which it is found again."""

    id: int
    batch: int
    row: BadRow

    @property
    def is_cut(self) -> bool:
        """Whether more came than is here."""
        return self.row.size_bytes > len(self.row.raw)


def quarantined(
    session: Session, batch: int | None, before: int, limit: int
) -> list[QuarantinedRow]:
    """Return rows that could not become examples, newest first; the text is cut.

    Args:
        session: A transaction.
        batch: Those of it alone; None for all.
        before: Those of a lower number alone.
        limit: How many at most.
    """
    raw = func.substr(BadRowRow.raw, 1, BEGINNING).label("raw")
    query = (
        select(BadRowRow, raw)
        .where(BadRowRow.id < before, BadRowRow.batch.not_in(open_batch.hidden()))
        .order_by(BadRowRow.id.desc())
        .limit(limit)
    )
    if batch is not None:
        query = query.where(BadRowRow.batch == batch)
    return [_quarantined(row, begin) for row, begin in session.execute(query)]


def get_quarantined(session: Session, number: int) -> QuarantinedRow:
    """Return one row that could not become an example, with all that is kept of it.

    Raises:
        NotFoundError: There is none with that number.
    """
    row = session.get(BadRowRow, number)
    if row is None or row.batch == session.scalar(open_batch.hidden()):
        raise NotFoundError(f"no quarantined row {number}")
    return _quarantined(row, row.raw)


def set_aside(
    session: Session, batch: int | None, before: int, limit: int
) -> list[QuarantinedRow]:
    """Return examples that the base could not learn, as `quarantined` does.

    Their number is the example's, and their text its stored form.
    """
    text = func.substr(ExampleRow.content, 1, BEGINNING).label("text")
    size = func.length(ExampleRow.content).label("size")
    query = (
        select(ExampleRow.id, ExampleRow.batch, ExampleRow.line, text, size)
        .add_columns(BatchRow.source, SetAsideRow.code, SetAsideRow.reason)
        .join(SetAsideRow, SetAsideRow.example == ExampleRow.id)
        .join(BatchRow, BatchRow.id == ExampleRow.batch)
        .where(SetAsideRow.example < before)
        .order_by(SetAsideRow.example.desc())
        .limit(limit)
    )
    if batch is not None:
        query = query.where(ExampleRow.batch == batch)
    return [
        QuarantinedRow(
            row.id,
            row.batch,
            BadRow(
                row.source,
                row.line or 0,
                0,
                row.code,
                row.reason,
                row.text.encode(),
                max(row.size, len(row.text.encode())),
            ),
        )
        for row in session.execute(query)
    ]


def codes(session: Session, batch: int) -> dict[str, int]:
    """Return how many rows of a batch each code quarantined, the most first."""
    rows = session.execute(
        select(BadRowRow.code, func.count())
        .where(BadRowRow.batch == batch)
        .group_by(BadRowRow.code)
        .order_by(func.count().desc(), BadRowRow.code)
    )
    return dict(rows.all())


def _quarantined(row: BadRowRow, raw: bytes) -> QuarantinedRow:
    """Return a row's record, with so much of its text."""
    return QuarantinedRow(
        row.id,
        row.batch,
        BadRow(
            file=row.file,
            line=row.line,
            offset=row.offset,
            code=row.code,
            message=row.message,
            raw=raw,
            size_bytes=row.size_bytes,
        ),
    )
