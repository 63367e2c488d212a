"""Days and nights are told newest first; the dull ones are folded."""

from datetime import date

import pytest

from sleepcycle.dashboard.timeline_page import stretches_of, timeline_of
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.store import night_table, run_table
from sleepcycle.store.values import NightState
from tests.dashboard.lived import lived, lived_home, lived_once, reader

__all__ = ["lived", "lived_home", "lived_once", "reader"]


def end(home, state, *, kind=RunKind.WAKE, report=None, error=None):
    """Add a run that has ended."""
    with home.store.write() as session:
        run = run_table.start(session, kind, 1, "boot 1")
        run_table.finish(session, run, state, report, error)
    return run


def skip(home, *days, state=NightState.SKIPPED, reason="nothing was learned"):
    """Add nights that ended without a run."""
    for day in days:
        with home.store.write() as session:
            night_table.begin(session, date(2026, 3, day))
            night_table.end(session, date(2026, 3, day), state, None, reason)


class TestPage:
    def test_a_new_home_is_told_what_to_do(self, browser):
        page = browser.get("/timeline")

        assert "Nothing has happened yet." in page.words
        assert "Give it something to learn" in page.words

    def test_the_newest_is_first_with_its_verdict_and_its_cost(self, reader):
        words = reader.get("/timeline").words

        places = [words.index(f"{name} ") for name in ("Wake 5", "Night 4", "Wake 3")]
        assert places == sorted(places)
        assert "Night 4 folded the day, and its version went live accepted" in words
        assert "60 tokens/s" in words
        assert "today's batches 2.000 to 1.000" in words
        assert "Made v4" in words

    def test_a_failure_says_its_error(self, lived_home, reader):
        end(lived_home, RunState.FAILED, error="<b>no room</b>")

        page = reader.get("/timeline")

        assert "Wake 6 failed failed &lt;b&gt;no room&lt;/b&gt;" in page.words
        assert "<b>no room" not in page.text

    def test_a_rejected_night_says_why(self, lived_home, reader):
        verdict = '{"verdict": {"accepted": false, "reason": "it forgot"}}'
        end(lived_home, RunState.DONE, kind=RunKind.SLEEP, report=verdict)

        words = reader.get("/timeline").words

        assert "Night 6 was rejected: what was live stays live rejected" in words
        assert "it forgot" in words

    def test_dull_ones_in_a_row_are_one(self, lived_home, reader):
        skip(lived_home, 1, 2, 3)
        end(lived_home, RunState.CANCELLED)

        page = reader.get("/timeline")

        assert "1 cancelled run, 3 nights with nothing to learn" in page.words
        assert page.text.count("<details>") == 1

    def test_a_night_that_failed_without_a_run_is_not_folded(self, lived_home, reader):
        skip(lived_home, 1)
        skip(lived_home, 2, state=NightState.FAILED, reason="no room")
        skip(lived_home, 3)

        page = reader.get("/timeline")

        assert "no room (begun 1 time)" in page.words
        assert "<details>" not in page.text

    def test_what_is_no_number_is_refused_in_words(self, reader):
        page = reader.get("/timeline?before=x")

        assert page.status == 404
        assert "expected the number of a run, got 'x'" in page.words


class TestPaging:
    def test_pages_hold_every_run_and_night_once(self, lived_home):
        skip(lived_home, 1)
        for number in range(4):
            end(lived_home, RunState.FAILED, error="x")
            skip(lived_home, 2 + number)

        seen, before = [], None
        while True:
            stretches, before = timeline_of(lived_home.runs, before, 2)
            seen += [one.headline for each in stretches for one in each.moments]
            if before is None:
                break

        assert len(seen) == len(set(seen)) == 9 + 5

    def test_the_link_leads_to_older_ones(self, lived_home, reader):
        for _ in range(30):
            end(lived_home, RunState.FAILED, error="x")

        page = reader.get("/timeline")

        assert 'href="/timeline?before=6"' in page.text
        assert "Wake 5 learned" not in page.words
        assert "Wake 5 learned" in reader.get("/timeline?before=6").words

    @pytest.mark.parametrize("count", [1, 2])
    def test_a_dull_one_alone_is_not_folded(self, home_of_nights, count):
        stretches, _ = timeline_of(home_of_nights(count).runs, None)

        assert bool(stretches[0].folded) == (count > 1)
        assert stretches_of([]) == []

    @pytest.fixture
    def home_of_nights(self, lived_home):
        """Return a home whose last nights were skipped."""

        def with_nights(count):
            skip(lived_home, *range(1, count + 1))
            return lived_home

        return with_nights
