"""Aware times, as the database keeps them."""

from datetime import UTC, datetime

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from sleepcycle.errors import StoreError


def utc_text(moment: datetime) -> str:
    """Return an aware time as it is kept."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class UtcTime(TypeDecorator[datetime]):
    """An aware time, kept as ISO 8601 text in UTC, which sorts as time does."""

    impl = Text
    cache_ok = True

    def process_bind_param(
        self, value: datetime | None, dialect: Dialect
    ) -> str | None:
        """Write a time; one without a zone is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a time with a zone, got {value.isoformat()}")
        return utc_text(value)

    def process_result_value(
        self, value: str | None, dialect: Dialect
    ) -> datetime | None:
        """Read a time."""
        try:
            return None if value is None else datetime.fromisoformat(value)
        except ValueError as error:
            raise StoreError(
                f"expected a time in the database, got {value!r}; it is damaged, see: "
                "sleepcycle doctor"
            ) from error
