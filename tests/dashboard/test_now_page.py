"""The first page says what is done and why, what comes next, and what to do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sleepcycle.daemon.state import Activity
from sleepcycle.dashboard.now_page import button, sentence
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.store.snapshot import read_snapshot
from tests.dashboard.lived import lived, lived_home, lived_once, reader
from tests.server.conftest import IDLE

__all__ = ["lived", "lived_home", "lived_once", "reader"]

PRESENT = datetime(2026, 3, 3, 20, 48, tzinfo=UTC)
NIGHT = PRESENT + timedelta(hours=5, minutes=12)


@pytest.fixture(scope="module")
def home(new_home):
    """What there is in a new home."""
    from sleepcycle.files.paths import HomePaths

    return read_snapshot(HomePaths(new_home))


def with_counts(home, **counts):
    """Return a home with other counts."""
    return replace(home, counts=replace(home.counts, **counts))


def state(**changes):
    """Return what an idle service does, changed."""
    changes = {"next_night": NIGHT, "next_window": PRESENT, "since": PRESENT} | changes
    return replace(IDLE, **changes)


class TestSentence:
    def test_idle_with_nothing_to_learn(self, home):
        assert sentence(state(), home, PRESENT) == (
            "It is idle: nothing is left to learn, and the next night begins in "
            "5 h 12 min."
        )

    def test_idle_with_too_little(self, home):
        few = with_counts(home, pending=1)

        assert sentence(state(), few, PRESENT).startswith(
            "It is idle: 1 example waits until there are enough"
        )

    def test_idle_out_of_hours(self, home):
        some = with_counts(home, pending=3)
        later = state(next_window=PRESENT + timedelta(days=2))

        assert "3 examples wait for the hours of learning from " in sentence(
            later, some, PRESENT
        )

    def test_learning(self, home):
        claimed = with_counts(home, claimed=12)
        now = Progress("wake", 3, 10, left_s=90.0)
        on = state(word=Activity.AWAKE, kind=RunKind.WAKE, run=4, progress=now)

        assert sentence(on, claimed, PRESENT) == (
            "It is learning 12 examples, 2 min left."
        )

    def test_asleep(self, home):
        on = state(word=Activity.ASLEEP, kind=RunKind.SLEEP)

        assert sentence(on, home, PRESENT).startswith("It is asleep: ")

    def test_paused(self, home):
        ago = PRESENT - timedelta(minutes=5)
        on = state(word=Activity.PAUSED, paused=True, since=ago)

        assert sentence(on, home, PRESENT) == (
            "It is paused since you asked 5 min ago: 0 examples wait, and nothing "
            "begins."
        )

    def test_waiting(self, home):
        assert "something is in the way" in sentence(
            state(word=Activity.WAITING), home, PRESENT
        )


class TestButton:
    def test_a_new_home_is_to_be_given_something(self, home):
        assert button(state(), home).address == "/data"

    def test_what_waits_can_be_learned_now(self, home):
        assert button(state(), with_counts(home, pending=1)).address == "/wake"

    def test_a_run_can_be_watched(self, home):
        on = state(word=Activity.AWAKE, kind=RunKind.WAKE, run=4)

        assert button(on, home).address == "/runs/4"

    def test_who_paused_it_can_resume(self, home):
        on = state(word=Activity.PAUSED)

        assert button(on, with_counts(home, pending=9)).address == "/resume"


class TestPage:
    def test_it_says_the_sentence_and_offers_the_button(self, browser):
        page = browser.get("/")

        assert "It is idle: nothing is left to learn" in page.words
        assert "Give it something to learn" in page.words

    def test_what_needs_a_look_is_said(self, dashboard, browser):
        dashboard.scheduler.become(banner="the disk is nearly full")

        assert "the disk is nearly full" in browser.get("/").words

    @pytest.mark.parametrize(
        ("address", "asked"),
        [("/wake", "wake"), ("/sleep", "sleep"), ("/resume", "resume")],
    )
    def test_its_forms_do_what_they_say(self, dashboard, browser, address, asked):
        page = browser.post(address)

        assert page.status == 200
        assert dashboard.scheduler.asked == [asked]

    def test_a_pause_can_be_undone(self, dashboard, browser):
        page = browser.post("/pause")

        assert "Paused: nothing begins by itself." in page.words
        assert ("post", "/resume", {}) in page.forms
        assert dashboard.scheduler.asked == ["pause"]


def test_what_was_learned_last_is_told(lived_home, reader):
    page = reader.get("/")

    last = lived_home.runs.entries(None, 1)[0]
    assert f'href="/runs/{last.id}"' in page.text
    assert "Learned last" in page.words
