"""Rows that could not be read are shown with why, mended in place and fed again."""

import json
from io import BytesIO

import pytest

from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.home.home import Home
from sleepcycle.home.opening import open_home
from sleepcycle.records.example import BadRow, SetAside
from sleepcycle.store import batch_table, example_table
from tests.store.conftest import start_run

HOSTILE = '</textarea><script>alert("x")</script>'
BAD = f'{{"prompt": "{HOSTILE}'
MENDED = json.dumps({"prompt": "Who?", "completion": " Me."})


@pytest.fixture
def home(dashboard, monkeypatch):
    """A home with one quarantined row."""
    monkeypatch.setattr(Home, "show_examples", lambda home, examples: ())
    home = open_home(dashboard.paths.root)
    good = [json.dumps({"text": f"It is {n}."}) for n in range(9)]
    stream = BytesIO("\n".join([*good, BAD]).encode())
    stream.name = "a.jsonl"
    home.feed(stream, options=FeedOptions())
    return home


def add_bad(home, number, raw=b"{", size_bytes=1):
    """Quarantine more rows."""
    rows = [
        BadRow("b.jsonl", line, 0, "E_JSON", "expected JSON", raw, size_bytes)
        for line in range(number)
    ]
    with home.store.write() as session:
        batch_table.add_bad_rows(session, 1, rows)


class TestList:
    def test_each_row_says_where_why_and_how_it_begins(self, browser, home):
        page = browser.get("/data/quarantine")

        assert "a.jsonl, line 10" in page.words
        assert "expected JSON, got" in page.words
        assert "E_JSON" in page.words
        assert "<script>alert" not in page.text

    def test_it_can_be_of_one_batch(self, browser, home):
        assert "of batch 1" in browser.get("/data/quarantine?batch=1").words
        assert browser.get("/data/quarantine?batch=2").status == 404

    def test_older_rows_come_on_pages(self, browser, home):
        add_bad(home, 50)

        page = browser.get("/data/quarantine?batch=1")

        assert 'href="/data/quarantine?batch=1&amp;before=2"' in page.text
        older = browser.get("/data/quarantine?batch=1&before=2")
        assert "a.jsonl, line 10" in older.words
        assert "b.jsonl" not in older.words

    def test_what_was_set_aside_is_there_too(self, browser, home):
        with home.store.write() as session:
            run = start_run(session)
            held = example_table.claim(session, run, 1)
            why = SetAside("E_LONG", "its answer is too long", (held[0].id,))
            example_table.set_aside(session, run, [why])

        assert "its answer is too long" in browser.get("/data/quarantine").words

    def test_a_home_without_any_says_so(self, browser):
        assert "Nothing is here" in browser.get("/data/quarantine").words


class TestMending:
    def test_the_row_is_there_to_be_mended(self, browser, home):
        page = browser.get("/data/quarantine/1")

        assert "Line 10 of a.jsonl" in page.words
        assert page.text.count("</textarea>") == 1
        assert ("post", "/data/quarantine/1", {"text": ""}) in page.forms

    def test_mended_it_is_looked_at_and_fed_by_itself(self, browser, home):
        looked = browser.send("POST", "/data/quarantine/1", {"text": MENDED})
        assert "mended a.jsonl:10" in browser.get(looked.to).words

        page = browser.post(looked.to)

        assert "Fed as batch 2: 1 new example." in page.words
        assert home.batches.get(2)[0].source == "mended a.jsonl:10"

    def test_what_was_mended_can_be_changed(self, browser, home):
        looked = browser.send("POST", "/data/quarantine/1", {"text": MENDED})
        key = looked.to.rpartition("/")[2]

        assert "Who?" in browser.get(f"/data/quarantine/1?again={key}").words

    def test_what_is_still_wrong_is_said_and_kept(self, browser, home):
        page = browser.send("POST", "/data/quarantine/1", {"text": '{"prompt": "q"}'})

        assert page.status == 422
        assert "E_" in page.words
        assert "{&#34;prompt&#34;: &#34;q&#34;}</textarea>" in page.text

    def test_one_that_is_cut_is_to_be_mended_in_its_file(self, browser, home):
        add_bad(home, 1, b"x" * 10, size_bytes=1_000_000)

        page = browser.get("/data/quarantine/2")
        sent = browser.send("POST", "/data/quarantine/2", {"text": MENDED})

        assert "only the first 10 B are kept, of 1.0 MB" in page.words
        assert "/data/quarantine/2" not in [form[1] for form in page.forms]
        assert sent.status == 422
        assert len(home.batches.listing()) == 1

    def test_bytes_that_are_no_text_are_said(self, browser, home):
        add_bad(home, 1, b"\xff\xfe", size_bytes=2)

        assert "no UTF-8" in browser.get("/data/quarantine/2").words

    def test_one_that_is_not_there_is_said(self, browser):
        assert "no quarantined row 7" in browser.get("/data/quarantine/7").words
