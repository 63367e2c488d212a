"""What making another version live takes from a home, and gives back to it."""

from dataclasses import dataclass

from sleepcycle.records.version import Version
from sleepcycle.runs.lineage import Lineage, read_lineage
from sleepcycle.store import example_table, version_table
from sleepcycle.store.database import Session


@dataclass(frozen=True, slots=True)
class SwitchPlan:
    """What becomes of a home where another version becomes live."""

    target: Version
    live: Version
    """Before it."""

    day: Version | None
    """The open day, which ends."""

    lost: frozenset[int]
    """Versions whose lessons go."""

    line: frozenset[int]
    """What the target comes from, itself included."""

    orphaned: int
    """Examples that the lost versions learned."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """What making a version live would do, without doing it."""

    live: str
    previous: str
    """What is live now."""

    day: str | None
    """The open day's version, with which the day would end."""

    lost: tuple[str, ...]
    """Versions that live would no longer come from, oldest first."""

    orphaned: int
    """Examples learned by them: these can be learned again."""

    regained: int
    """Examples that would be the live version's again."""


def plan_switch(session: Session, target: Version) -> SwitchPlan:
    """Return what making a version live takes, as the home is now."""
    lineage = read_lineage(session)
    line = frozenset(version_table.ancestors(session, target.number))
    lost = _lost(session, lineage, target.number, line)
    return SwitchPlan(
        target=target,
        live=lineage.live,
        day=lineage.day,
        lost=lost,
        line=line,
        orphaned=example_table.count_trained(session, lost),
    )


def foresee(session: Session, target: Version) -> Foresight:
    """Return what making a version live would do, and change nothing."""
    plan = plan_switch(session, target)
    return Foresight(
        live=target.name,
        previous=plan.live.name,
        day=plan.day.name if plan.day else None,
        lost=tuple(f"v{number}" for number in sorted(plan.lost)),
        orphaned=plan.orphaned,
        regained=example_table.count_disowned(session, plan.line),
    )


def _lost(
    session: Session, lineage: Lineage, target: int, line: frozenset[int]
) -> frozenset[int]:
    """Return the versions whose lessons go when another version becomes live.

    Going to what is live already, these are all that it does not come from: so what
    an earlier rollback left behind can be learned again later.
    """
    if target == lineage.live.number and lineage.day is None:
        return frozenset(range(version_table.next_number(session))) - line
    return (lineage.live_versions | lineage.day_versions) - line
