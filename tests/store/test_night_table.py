"""Nights that were due: each date ends once."""

import datetime

import pytest
from sqlalchemy import text

from sleepcycle.errors import RunError, StoreError
from sleepcycle.store import night_table
from sleepcycle.store.values import NightState
from tests.store.conftest import start_run

SUNDAY = datetime.date(2026, 11, 22)
MONDAY = datetime.date(2026, 11, 23)


@pytest.fixture
def session(store):
    with store.write() as session:
        yield session


def test_a_night_begins_and_ends(session):
    assert night_table.get(session, MONDAY) is None
    assert night_table.last(session) is None

    begun = night_table.begin(session, MONDAY)

    assert night_table.get(session, MONDAY) == begun
    assert (begun.state, begun.attempts, begun.run) == (NightState.BEGUN, 1, None)

    run = start_run(session)
    night_table.end(session, MONDAY, NightState.DONE, run, "accepted")

    done = night_table.get(session, MONDAY)
    assert (done.date, done.state, done.run) == (MONDAY, NightState.DONE, run)
    assert (done.attempts, done.reason) == (1, "accepted")
    assert done.at >= begun.at


def test_the_newest_date_is_last_whatever_was_written_last(session):
    night_table.begin(session, MONDAY)
    night_table.begin(session, SUNDAY)

    assert night_table.last(session).date == MONDAY


def test_a_night_that_failed_or_was_cut_short_is_begun_again(session):
    night_table.begin(session, MONDAY)
    night_table.end(session, MONDAY, NightState.FAILED, start_run(session), "no disk")

    second = night_table.begin(session, MONDAY)
    third = night_table.begin(session, MONDAY)

    assert (second.attempts, third.attempts) == (2, 3)
    assert (second.state, second.run, second.reason) == (NightState.BEGUN, None, "")
    assert night_table.get(session, MONDAY) == third


def test_an_attempt_that_is_put_back_does_not_count(session):
    for _ in range(2):
        night_table.begin(session, MONDAY)
        night_table.put_back(session, MONDAY, "the service was stopped")
        assert night_table.spent(night_table.get(session, MONDAY)) == 0

    again = night_table.begin(session, MONDAY)

    assert (again.attempts, night_table.spent(again), again.reason) == (1, 1, "")
    assert night_table.begin(session, MONDAY).attempts == 2
    night_table.end(session, MONDAY, NightState.FAILED, None, "no disk")
    assert night_table.spent(night_table.get(session, MONDAY)) == 2


@pytest.mark.parametrize("state", [NightState.DONE, NightState.SKIPPED])
def test_a_night_that_is_over_is_not_begun_again(session, state):
    night_table.begin(session, MONDAY)
    night_table.end(session, MONDAY, state, None, "why")

    with pytest.raises(RunError, match=f"of 2026-11-23 cannot begin: it is {state}"):
        night_table.begin(session, MONDAY)

    assert night_table.get(session, MONDAY).attempts == 1
    assert night_table.begin(session, SUNDAY).attempts == 1


def test_a_night_ends_once(session):
    with pytest.raises(RunError, match="cannot become done: it is not begun"):
        night_table.end(session, MONDAY, NightState.DONE, None, "")
    night_table.begin(session, MONDAY)
    night_table.end(session, MONDAY, NightState.DONE, None, "")

    with pytest.raises(RunError, match="cannot become failed: it is not begun"):
        night_table.end(session, MONDAY, NightState.FAILED, None, "")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("date = '2026-1-1'", "ck_night_date_is_iso"),
        ("date = '2026-02-41'", "ck_night_date_is_iso"),
        ("date = 'today'", "ck_night_date_is_iso"),
        ("attempts = 0", "ck_night_attempted"),
        ("state = 'lost'", "ck_night_state_known"),
        ("run = 99", "FOREIGN KEY"),
    ],
)
def test_the_database_itself_keeps_a_night_in_its_form(store, change, rule):
    with store.write() as session:
        night_table.begin(session, MONDAY)

    with pytest.raises(StoreError, match=rule), store.write() as session:
        session.execute(text(f"UPDATE night SET {change}"))
