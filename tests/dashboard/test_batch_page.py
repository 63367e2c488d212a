"""A batch: what it brought, how it is learned, and how it is taken out."""

import json
from io import BytesIO

import pytest

from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.home.home import Home
from sleepcycle.home.opening import open_home
from sleepcycle.records.shown import Segment, ShownExample
from sleepcycle.store import example_table
from sleepcycle.store.values import ExampleState
from tests.store.conftest import add_version, start_run, train

HOSTILE = "<b>bold</b>"
ROWS = [{"prompt": f"Who is {n}?", "completion": f" {HOSTILE}"} for n in "abcdef"]
SHOWN = ShownExample(
    sequences=((Segment("read <me>", 0.0), Segment("x" * 3000, 0.5)),) * 5,
    cut=2,
    fault=None,
    left_out=1,
)


def fed(home, rows=ROWS, name="people.jsonl"):
    """Feed rows, one of which is broken."""
    lines = [json.dumps({**row, "by": HOSTILE}) for row in rows]
    stream = BytesIO("\n".join([*lines, '{"prompt": "broken']).encode())
    stream.name = name
    return home.feed(stream, options=FeedOptions()).batch


@pytest.fixture
def home(dashboard):
    home = open_home(dashboard.paths.root)
    fed(home)
    return home


@pytest.fixture
def rendered(monkeypatch):
    """What the model sees is known; each look is counted."""
    looks = []

    def show(home, examples):
        looks.append(examples)
        return (SHOWN,) * len(examples)

    monkeypatch.setattr(Home, "show_examples", show)
    return looks


@pytest.fixture
def learned(home):
    """Version 1 has learned the batch, and version 2 comes from it."""
    with home.store.write() as session:
        first = train(session)
        add_version(session, parents=(first,))


class TestOne:
    def test_it_says_what_came_and_where_it_is(self, browser, home):
        page = browser.get("/data/batches/1")

        states = home.batches.get(1)[1]
        assert "From people.jsonl , rows of the shape completion" in page.words
        assert f"{states[ExampleState.PENDING]} wait" in page.words
        assert "E_JSON" in page.words
        assert HOSTILE not in page.text

    def test_one_of_known_rows_has_no_examples(self, browser, home):
        fed(home)

        assert "It brought no example" in browser.get("/data/batches/2").words

    @pytest.mark.parametrize("number", ["7", "x", "9" * 30, "-1"])
    def test_one_that_is_not_there_is_said(self, browser, number):
        page = browser.get(f"/data/batches/{number}")

        assert page.status == 404
        assert number in page.words


class TestExamples:
    def test_what_is_learned_is_marked(self, browser, home, rendered):
        page = browser.get("/data/batches/1/examples")

        assert "read &lt;me&gt;<mark>" in page.text
        assert "counts 0.5" in page.words
        assert "; 2 tokens of its prompts cut" in page.words
        assert "; 1 answer too long to be learned" in page.words
        assert "2 more sequences of it not shown" in page.words
        assert "(1,000 characters)" in page.words

    def test_what_was_kept_beside_is_shown(self, browser, home, rendered):
        page = browser.get("/data/batches/1/examples?line=2")

        assert "Line 2" in page.words
        assert f"by {HOSTILE}" in page.words.replace("&lt;", "<").replace("&gt;", ">")

    def test_whoever_looks_again_waits_for_nothing(self, browser, home, rendered):
        for _ in range(3):
            browser.get("/data/batches/1/examples")

        assert len(rendered) == 1

    @pytest.mark.parametrize("line", ["99", "two"])
    def test_a_line_that_is_not_there_is_said_and_kept(self, browser, home, line):
        page = browser.get(f"/data/batches/1/examples?line={line}")

        assert page.status == 404
        assert f'value="{line}"' in page.text
        assert "expected" in page.words


class TestTakingOut:
    def test_it_says_first_who_learned_from_it(self, browser, learned):
        page = browser.get("/data/batches/1")

        assert "2 versions learned from it and will be marked as tainted" in page.words

    def test_it_is_taken_out_and_the_way_back_is_shown(self, browser, home, learned):
        page = browser.post("/data/batches/1/exclude")

        assert "Taken out: 6 examples" in page.words
        assert "roll back to v0" in page.words
        assert ("post", "/data/batches/1/requeue", {}) in page.forms
        assert home.batches.get(1)[1][ExampleState.EXCLUDED] == 6

    def test_that_can_be_undone(self, browser, home):
        before = home.batches.get(1)[1]
        browser.post("/data/batches/1/exclude")

        page = browser.post("/data/batches/1/requeue")

        assert f"Back in: {before[ExampleState.PENDING]} example" in page.words
        assert home.batches.get(1)[1] == before

    def test_one_that_a_run_holds_is_refused_in_words(self, browser, home):
        with home.store.write() as session:
            example_table.claim(session, start_run(session), 100)

        page = browser.send("POST", "/data/batches/1/exclude", {})

        assert page.status == 409
        assert "wait for it or cancel it" in page.words
