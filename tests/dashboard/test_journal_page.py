"""Who did what is read in words, page by page."""

import json

import pytest

from sleepcycle.dashboard.journal_words import SENTENCES, line_of
from sleepcycle.home.opening import open_home
from sleepcycle.store import journal
from sleepcycle.store.reader import JournalText

HOSTILE = "<i>{0.__class__} {batch}</i>"


def entry(action, details, actor="user:anna"):
    """Return an entry."""
    text = details if isinstance(details, str) else json.dumps(details)
    return JournalText(7, "2026-03-03T20:48:00+00:00", actor, action, text)


class TestWords:
    @pytest.mark.parametrize(
        ("action", "details", "said"),
        [
            (
                "feed",
                {"batch": 3, "source": HOSTILE, "accepted": 2, "lines": 4},
                f"fed batch 3 from {HOSTILE}: 2 new of 4 rows",
            ),
            ("rollback", {"live": "v1", "previous": "v2"}, "rolled back to v1 from v2"),
            ("remove versions", {"versions": ["v1"]}, "removed the files of v1"),
            ("exclude", {}, "took batch ? out: ? examples are not learned any more"),
            (HOSTILE, {"batch": 3}, HOSTILE),
        ],
    )
    def test_each_says_what_was_done(self, action, details, said):
        line = line_of(entry(action, details))

        assert (line.who, line.what) == ("anna, by a command", said)

    @pytest.mark.parametrize(
        ("details", "address"),
        [
            ({"batch": 3, "version": "v1"}, "/data/batches/3"),
            ({"run": 5}, "/runs/5"),
            ({"batch": None, "version": "v1"}, "/versions/v1"),
            ({"version": "../../x"}, ""),
            ([1], ""),
            ("no JSON", ""),
        ],
    )
    def test_what_it_is_about_can_be_looked_at(self, details, address):
        assert line_of(entry("feed", details)).address == address

    def test_one_that_was_tampered_with_is_shown_too(self):
        line = line_of(JournalText(1, "never", "clock", "start wake", "{"))

        assert line.at is None
        assert (line.who, line.what) == ("The clock", "began to learn, in run ?")

    def test_every_sentence_can_be_filled(self):
        for action in SENTENCES:
            assert "{" not in line_of(entry(action, {})).what


class TestPage:
    def test_entries_come_on_pages(self, dashboard, browser):
        with open_home(dashboard.paths.root).store.write() as session:
            for number in range(60):
                journal.append(session, "clock", "start wake", run=number)

        page = browser.get("/care/journal")
        older = browser.get("/care/journal?before=11")

        assert page.text.count("<li value=") == 50
        assert 'href="/care/journal?before=11"' in page.text
        assert older.text.count("<li value=") == 10
        assert "The clock began to learn, in run 9" in older.words
        assert "Older entries" not in older.words

    def test_an_empty_one_says_so(self, browser):
        assert "Nothing was done yet." in browser.get("/care/journal").words
