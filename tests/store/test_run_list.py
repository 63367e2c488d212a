"""Many runs are listed with the little of their reports that a list shows."""

import json
from datetime import date, timedelta

import pytest

from sleepcycle.errors import StoreError
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.store import night_table, run_list, run_table
from sleepcycle.store.values import GateFigures, NightState, ReportExcerpt
from tests.store.conftest import add_version, start_run

REPORT = {
    "seconds": 4.5,
    "rank": 16,
    "rem": {"cost": 0.25},
    "verdict": {
        "accepted": False,
        "reason": "it forgot",
        "retention": {"live": 1.0, "candidate": 2.5},
        "acquisition": None,
    },
    "layers": [{"spectrum": [1.0] * 1000}],
}


def end(session, state=RunState.DONE, report=None, error=None):
    """Start a run and end it."""
    number = start_run(session)
    told = None if report is None else json.dumps(report)
    run_table.finish(session, number, state, told, error)
    return number


class TestEntries:
    def test_of_a_report_only_what_is_shown_is_there(self, session):
        number = end(session, report=REPORT)
        version = add_version(session, run=number)

        [entry] = run_list.entries(session, 10, None)

        assert entry.reported == ReportExcerpt(
            accepted=False,
            reason="it forgot",
            seconds=4.5,
            rem_cost=0.25,
            known_live=1.0,
            known=2.5,
        )
        assert (entry.id, entry.version) == (number, version)

    def test_one_without_a_report_says_why(self, session):
        end(session, RunState.FAILED, error="no room")

        [entry] = run_list.entries(session, 10, None)

        assert (entry.reported, entry.error) == (ReportExcerpt(), "no room")
        assert entry.version is None

    def test_pages_follow_each_other(self, session):
        first, second, third = (end(session) for _ in range(3))

        newest = run_list.entries(session, 2, None)

        assert [one.id for one in newest] == [third, second]
        assert [one.id for one in run_list.entries(session, 2, second)] == [first]

    def test_a_report_that_is_damaged_is_said(self, store):
        with store.write() as session:
            number = start_run(session)
            run_table.finish(session, number, RunState.DONE, "{", None)

        with pytest.raises(StoreError, match="malformed JSON"), store.read() as session:
            run_list.entries(session, 10, None)


class TestIdleNights:
    def test_they_are_those_that_ended_without_a_run(self, session):
        days = [date(2026, 3, day) for day in (1, 2, 3, 4)]
        run = run_table.start(session, RunKind.SLEEP, 1, "x")
        ends = [
            (NightState.SKIPPED, None, "nothing"),
            (NightState.DONE, run, ""),
            (NightState.FAILED, None, "no room"),
        ]
        for day, (state, by, reason) in zip(days, ends, strict=False):
            night_table.begin(session, day)
            night_table.end(session, day, state, by, reason)
        night_table.begin(session, days[3])

        found = run_list.idle_nights(session, None, None)

        assert [(one.date.day, one.reason) for one in found] == [
            (3, "no room"),
            (1, "nothing"),
        ]

    def test_those_of_a_page_lie_between_two_moments(self, session):
        night_table.begin(session, date(2026, 3, 1))
        night_table.end(session, date(2026, 3, 1), NightState.SKIPPED, None, "nothing")
        [one] = run_list.idle_nights(session, None, None)
        later = one.at + timedelta(seconds=1)

        assert run_list.idle_nights(session, one.at, later) == [one]
        assert run_list.idle_nights(session, later, None) == []
        assert run_list.idle_nights(session, None, one.at) == []


def test_what_the_gate_measured_is_taken_from_cards(session):
    card = {"report": {"verdict": {"agreement": {"candidate": 0.75}}}}
    first, second = add_version(session), add_version(session)
    set_card(session, first, card)
    set_card(session, second, {"report": None})

    assert run_list.gate_figures(session, [0, first, second]) == [
        GateFigures(0, None, None),
        GateFigures(first, None, 0.75),
        GateFigures(second, None, None),
    ]


def set_card(session, number, card):
    """Let a version have a card."""
    session.connection().exec_driver_sql(
        "UPDATE version SET card = ? WHERE number = ?", (json.dumps(card), number)
    )
