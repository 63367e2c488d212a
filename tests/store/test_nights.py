"""Nights that were due: each date ends once."""

import datetime

import pytest
from sqlalchemy import text

from sleepcycle.errors import RunError, StoreError
from sleepcycle.store import nights
from sleepcycle.store.nights import NightState
from tests.store.conftest import start_run

SUNDAY = datetime.date(2026, 11, 22)
MONDAY = datetime.date(2026, 11, 23)


@pytest.fixture
def session(store):
    with store.write() as session:
        yield session


def test_a_night_begins_and_ends(session):
    assert nights.get(session, MONDAY) is None
    assert nights.last(session) is None

    begun = nights.begin(session, MONDAY)

    assert nights.get(session, MONDAY) == begun
    assert (begun.state, begun.attempts, begun.run) == (NightState.BEGUN, 1, None)

    run = start_run(session)
    nights.end(session, MONDAY, NightState.DONE, run, "accepted")

    done = nights.get(session, MONDAY)
    assert (done.date, done.state, done.run) == (MONDAY, NightState.DONE, run)
    assert (done.attempts, done.reason) == (1, "accepted")
    assert done.at >= begun.at


def test_the_newest_date_is_last_whatever_was_written_last(session):
    nights.begin(session, MONDAY)
    nights.begin(session, SUNDAY)

    assert nights.last(session).date == MONDAY


def test_a_night_that_failed_or_was_cut_short_is_begun_again(session):
    nights.begin(session, MONDAY)
    nights.end(session, MONDAY, NightState.FAILED, start_run(session), "no disk")

    second = nights.begin(session, MONDAY)
    third = nights.begin(session, MONDAY)

    assert (second.attempts, third.attempts) == (2, 3)
    assert (second.state, second.run, second.reason) == (NightState.BEGUN, None, "")
    assert nights.get(session, MONDAY) == third


def test_an_attempt_that_is_put_back_does_not_count(session):
    for _ in range(2):
        nights.begin(session, MONDAY)
        nights.put_back(session, MONDAY, "the service was stopped")
        assert nights.spent(nights.get(session, MONDAY)) == 0

    again = nights.begin(session, MONDAY)

    assert (again.attempts, nights.spent(again), again.reason) == (1, 1, "")
    assert nights.begin(session, MONDAY).attempts == 2
    nights.end(session, MONDAY, NightState.FAILED, None, "no disk")
    assert nights.spent(nights.get(session, MONDAY)) == 2


@pytest.mark.parametrize("state", [NightState.DONE, NightState.SKIPPED])
def test_a_night_that_is_over_is_not_begun_again(session, state):
    nights.begin(session, MONDAY)
    nights.end(session, MONDAY, state, None, "why")

    with pytest.raises(RunError, match=f"of 2026-11-23 cannot begin: it is {state}"):
        nights.begin(session, MONDAY)

    assert nights.get(session, MONDAY).attempts == 1
    assert nights.begin(session, SUNDAY).attempts == 1


def test_a_night_ends_once(session):
    with pytest.raises(RunError, match="cannot become done: it is not begun"):
        nights.end(session, MONDAY, NightState.DONE, None, "")
    nights.begin(session, MONDAY)
    nights.end(session, MONDAY, NightState.DONE, None, "")

    with pytest.raises(RunError, match="cannot become failed: it is not begun"):
        nights.end(session, MONDAY, NightState.FAILED, None, "")


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
        nights.begin(session, MONDAY)

    with pytest.raises(StoreError, match=rule), store.write() as session:
        session.execute(text(f"UPDATE night SET {change}"))
