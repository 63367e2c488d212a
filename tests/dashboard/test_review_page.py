"""Kept conversations are looked at, accepted, rejected, put right or deleted."""

import pytest

from sleepcycle.home.opening import open_home
from sleepcycle.records.captured import CapturedState, Exchange
from sleepcycle.settings.configfile import settings_from
from sleepcycle.store.values import ExampleState

HOSTILE = "<img src=x>"
ONE = "/data/review/chatcmpl-1"


@pytest.fixture
def home(dashboard):
    """A home that keeps all."""
    settings = settings_from({"capture": {"mode": "all"}})
    dashboard.scheduler.settings = settings
    return open_home(dashboard.paths.root, settings=settings)


@pytest.fixture
def kept(home):
    keep(home, 1)
    return home.captured


def keep(home, number):
    """Keep one conversation."""
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": f"What is moon {number}? {HOSTILE}"},
    ]
    answer = {"role": "assistant", "content": f"A rock, {number}."}
    asked = Exchange(f"chatcmpl-{number}", 0, "live", turns, answer)
    home.captured.capture(asked, asked=False)


class TestList:
    def test_who_keeps_nothing_is_told_how_to(self, browser):
        words = browser.get("/data/review").words

        assert '[capture] mode = "all"' in words
        assert "config.toml" in words

    def test_with_nothing_to_review_it_says_so(self, browser, home):
        assert "Nothing waits." in browser.get("/data/review").words

    def test_what_waits_is_listed(self, browser, kept):
        page = browser.get("/data/review")

        assert "What is moon 1?" in page.words
        assert HOSTILE not in page.text

    def test_each_state_has_its_list(self, browser, kept):
        kept.reject("chatcmpl-1")

        assert "moon 1" not in browser.get("/data/review").words
        assert "moon 1" in browser.get("/data/review?state=rejected").words
        assert "moon 1" in browser.get("/data/review?state=all").words
        assert browser.get("/data/review?state=lost").status == 404

    def test_older_ones_come_on_pages(self, browser, home):
        for number in range(52):
            keep(home, number)

        page = browser.get("/data/review")
        older = browser.get("/data/review?state=waiting&after=chatcmpl-2")

        assert page.text.count('<th scope="row"') == 50
        assert "after=chatcmpl-2" in page.text
        assert older.text.count('<th scope="row"') == 2


class TestOne:
    def test_its_answer_alone_is_marked(self, browser, kept):
        page = browser.get(ONE)

        assert page.text.count("<mark>") == 2  # one in the legend
        assert "<mark>A rock, 1.</mark>" in page.text

    def test_one_that_is_not_kept_is_said(self, browser, kept):
        assert browser.get("/data/review/chatcmpl-9").status == 404


class TestJudging:
    def test_accepted_it_waits_to_be_learned(self, browser, home, kept):
        page = browser.post(f"{ONE}/accept")

        assert "Accepted: its answer is learned, as batch 1." in page.words
        assert ("post", f"{ONE}/reopen", {}) in page.forms
        assert home.batches.get(1)[0].source == "chatcmpl-1"

    def test_that_can_be_undone_and_done_again(self, browser, home, kept):
        browser.post(f"{ONE}/accept")

        browser.post(f"{ONE}/reopen")
        states = home.batches.get(1)[1]
        assert kept.get("chatcmpl-1").state is CapturedState.WAITING
        assert states[ExampleState.EXCLUDED] == 1

        browser.post(f"{ONE}/accept")
        assert home.batches.get(1)[1][ExampleState.EXCLUDED] == 0
        assert len(home.batches.listing()) == 1

    def test_rejected_it_is_never_learned(self, browser, home, kept):
        page = browser.post(f"{ONE}/reject")

        assert "Rejected" in page.words
        assert kept.get("chatcmpl-1").state is CapturedState.REJECTED
        assert home.batches.listing() == []

    def test_a_better_answer_is_learned(self, browser, home, kept):
        page = browser.post(f"{ONE}/edit", answer="A satellite.\r\nOf Earth.")

        assert "Corrected" in page.words
        assert "A satellite.\\nOf Earth." in home.batches.examples(1)[0].content
        assert "<mark>A satellite." in browser.get(ONE).text

    def test_no_answer_is_refused_in_words(self, browser, kept):
        page = browser.send("POST", f"{ONE}/edit", {"answer": "  "})

        assert page.status == 422
        assert "expected the answer that should have been given" in page.words
        assert kept.get("chatcmpl-1").correction is None

    def test_it_is_deleted_once_that_was_asked(self, browser, home, kept):
        browser.post(f"{ONE}/accept")
        asked = browser.get(f"{ONE}/delete")
        assert "gone for ever" in asked.words

        page = browser.post(f"{ONE}/delete")

        assert "Deleted, with its example." in page.words
        assert browser.get(ONE).status == 404
