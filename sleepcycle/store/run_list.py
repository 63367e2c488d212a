"""Runs as a list of many shows them: of each report only what is shown is read."""

import json
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from sleepcycle.records.codec import from_plain
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.version import VersionKind
from sleepcycle.store.schema import NightRow, RunRow, VersionRow
from sleepcycle.store.values import (
    GateFigures,
    Night,
    NightScores,
    NightState,
    ReportExcerpt,
    RunEntry,
    one_known,
)

PATHS = {
    "accepted": "$.verdict.accepted",
    "reason": "$.verdict.reason",
    "examples": "$.examples",
    "seconds": "$.seconds",
    "tokens_per_second": "$.tokens_per_second",
    "rem_cost": "$.rem.cost",
    "known_live": "$.verdict.retention.live",
    "known": "$.verdict.retention.candidate",
    "today_live": "$.verdict.acquisition.live",
    "today": "$.verdict.acquisition.candidate",
}
"""Where each field of `ReportExcerpt` is in a report, which has all layers too."""

VERDICT = "$.report.verdict"  # in a version's card
SCORES = ("batches", "agreement", "anchors")
"""Fields of `NightScores` that a verdict has."""


def entries(session: Session, limit: int, before: int | None) -> list[RunEntry]:
    """Return the last runs, newest first; or the last before one of some number."""
    query = (
        select(
            RunRow.id,
            RunRow.kind,
            RunRow.state,
            RunRow.started_at,
            RunRow.ended_at,
            RunRow.error,
            func.json_extract(RunRow.report, *PATHS.values()),
        )
        .order_by(RunRow.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(RunRow.id < before)
    rows = session.execute(query).all()
    made = _made_by(session, [row.id for row in rows])
    return [
        RunEntry(
            id=number,
            kind=one_known(RunKind, kind),
            state=one_known(RunState, state),
            started_at=started_at,
            ended_at=ended_at,
            error=error,
            reported=_reported(told),
            version=made.get(number),
        )
        for number, kind, state, started_at, ended_at, error, told in rows
    ]


def idle_nights(
    session: Session, since: datetime | None, until: datetime | None
) -> list[Night]:
    """Return the nights that ended without a run, newest first.

    Args:
        session: A transaction.
        since: Those that ended then or later; None for all before `until`.
        until: Those that ended before; None for all after `since`.
    """
    query = select(NightRow).where(
        NightRow.run.is_(None), NightRow.state != NightState.BEGUN
    )
    if since is not None:
        query = query.where(NightRow.at >= since)
    if until is not None:
        query = query.where(NightRow.at < until)
    return [
        Night(
            date=datetime.fromisoformat(row.date).date(),
            state=one_known(NightState, row.state),
            attempts=row.attempts,
            run=None,
            reason=row.reason,
            at=row.at,
        )
        for row in session.scalars(query.order_by(NightRow.at.desc()))
    ]


def version_of(session: Session, run: int) -> int | None:
    """Return the number of the version that a run made; None where it made none."""
    return _made_by(session, [run]).get(run)


def gate_figures(session: Session, versions: Collection[int]) -> list[GateFigures]:
    """Return what the gate measured of versions, by number; none where it did not."""
    asked = func.json_extract(
        VersionRow.card,
        f"{VERDICT}.exact_known.candidate",
        f"{VERDICT}.agreement.candidate",
    )
    rows = session.execute(
        select(VersionRow.number, asked)
        .where(VersionRow.number.in_(versions))
        .order_by(VersionRow.number)
    )
    return [GateFigures(number, *json.loads(told)) for number, told in rows]


def night_scores(session: Session, limit: int, before: int | None) -> list[NightScores]:
    """Return what the gate measured of the last accepted nights, newest first.

    Args:
        session: A transaction.
        limit: How many at most.
        before: Those of a lower number alone; None for the last ones.
    """
    asked = func.json_extract(
        VersionRow.card, *(f"{VERDICT}.{name}" for name in SCORES)
    )
    query = (
        select(VersionRow.number, asked)
        .where(VersionRow.kind == VersionKind.SLEEP, VersionRow.accepted)
        .order_by(VersionRow.number.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(VersionRow.number < before)
    return [_scores(number, told) for number, told in session.execute(query)]


def _scores(number: int, told: str) -> NightScores:
    """Return the record of what a card tells of a night's verdict."""
    found = zip(SCORES, json.loads(told), strict=True)
    known = {name: value for name, value in found if value is not None}
    return from_plain({"version": number, **known}, NightScores)


def _made_by(session: Session, runs: Collection[int]) -> dict[int, int]:
    """Return which version each of these runs made."""
    rows = session.execute(
        select(VersionRow.run, VersionRow.number).where(VersionRow.run.in_(runs))
    )
    return {run: number for run, number in rows if run is not None}


def _reported(told: str | None) -> ReportExcerpt:
    """Return the record of what was taken from a report."""
    if told is None:
        return ReportExcerpt()
    return ReportExcerpt(**dict(zip(PATHS, json.loads(told), strict=True)))
