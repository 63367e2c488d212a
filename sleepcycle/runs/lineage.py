"""What a run stands on: the live version, the open day, and what both learned."""

from dataclasses import dataclass

from sleepcycle.records.version import Version
from sleepcycle.store import version_table
from sleepcycle.store.database import Session
from sleepcycle.store.values import Alias


@dataclass(frozen=True)
class Lineage:
    """Where the next run starts from."""

    live: Version
    day: Version | None
    """The newest wake version since the last night, if there is one."""

    live_versions: frozenset[int]
    """Versions that live comes from, itself included."""

    day_versions: frozenset[int]
    """Versions of the open day."""

    known: dict[int, int]
    """Examples that live has learned, by batch."""

    learned: dict[int, int]
    """Examples that the open day has learned, by batch."""


def read_lineage(session: Session) -> Lineage:
    """Read from the database what the next run starts from."""
    names = version_table.aliases(session)
    live = version_table.get(session, names[Alias.LIVE])
    day = version_table.get(session, names[Alias.DAY]) if Alias.DAY in names else None
    live_versions = frozenset(version_table.ancestors(session, live.number))
    day_versions = (
        frozenset(version_table.ancestors(session, day.number) if day else ())
        - live_versions
    )
    return Lineage(
        live=live,
        day=day,
        live_versions=live_versions,
        day_versions=day_versions,
        known=version_table.batches_of(session, live_versions),
        learned=version_table.batches_of(session, day_versions),
    )
