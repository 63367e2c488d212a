"""What is given is looked at first, then fed: just those bytes, and once."""

import json
import re

import pytest
from markupsafe import escape

from sleepcycle.dashboard import previews
from sleepcycle.home.home import Home
from sleepcycle.home.opening import open_home
from sleepcycle.records.content import Text, canonical_json
from sleepcycle.store import batch_table

HOSTILE = '<script>alert("x")</script>'
PASTED = "/data/preview/pasted"
ROWS = [{"prompt": f"Colour of {n}?", "completion": f" {HOSTILE}"} for n in "abcde"]
LINES = "".join(f"{json.dumps({**row, 'by': 'me'})}\n" for row in ROWS)
BAD = '{"prompt": "broken\n'
BOUNDARY = "boundary-of-a-form"


@pytest.fixture
def home(dashboard):
    return open_home(dashboard.paths.root)


@pytest.fixture
def unrendered(monkeypatch):
    """No tokenizer is loaded, which takes seconds; nothing is shown then."""
    monkeypatch.setattr(Home, "show_examples", lambda home, examples: ())


def upload(browser, name, data, **fields):
    """Send the form with a file."""
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{key}"\r\n\r\n{text}\r\n' for key, text in fields.items()]
    file = f'{head}"file"; filename="{name}"\r\n\r\n'
    body = "".join([*parts, file]).encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return browser.send_body("POST", "/data/preview", body, kind)


def previewed(browser, text=LINES, **fields):
    """Paste a text; return the address of its preview."""
    page = browser.send("POST", PASTED, {"text": text, **fields})
    assert page.status == 303, page.words
    return page.to


def fed(home, number):
    """Feed some batches."""
    for each in range(number):
        with home.store.write() as session:
            batch = batch_table.add(session, f"file {each}", "text", 0.0)
            assert batch


class TestPreview:
    def test_it_shows_what_would_come_of_it_and_feeds_nothing(
        self, browser, home, workers_forked
    ):
        page = browser.get(previewed(browser, LINES + BAD))

        assert "New 5 examples to learn, of 6 rows" in page.words
        assert "Refused 1 rows" in page.words
        assert "1 row: expected JSON, got: unterminated" in page.words
        assert "by (5 rows)" in page.words
        assert re.search(r"a\?.*<mark> &lt;script&gt;alert", page.text)
        assert HOSTILE not in page.text
        assert home.batches.listing() == []

    def test_feeding_it_feeds_just_those_bytes(self, browser, home, unrendered):
        address = previewed(browser)

        page = browser.post(address)

        assert "Fed as batch 1: 5 new examples." in page.words
        assert ("post", "/data/batches/1/exclude", {}) in page.forms
        [batch] = home.batches.listing()
        assert (batch.source, batch.accepted) == ("pasted text", 5)

    def test_asked_twice_it_is_fed_once(self, browser, home, unrendered):
        address = previewed(browser)

        first, second = browser.post(address), browser.post(address)

        assert first.words == second.words
        assert len(home.batches.listing()) == 1

    def test_it_can_be_changed(self, browser, unrendered):
        address = previewed(browser)
        [change] = re.findall(r'href="(/data\?again=[^"]+)"', browser.get(address).text)

        assert "Colour of a?" in browser.get(change).words

    def test_it_can_be_dropped(self, browser, dashboard, home, unrendered):
        address = previewed(browser)
        assert any(dashboard.paths.uploads.iterdir())

        page = browser.post(f"{address}/drop")

        assert "It was not fed" in page.words
        assert not any(dashboard.paths.uploads.iterdir())
        assert browser.send("POST", address, {}).status == 404
        assert home.batches.listing() == []

    def test_it_is_kept_for_an_hour(self, browser, dashboard, monkeypatch, unrendered):
        monkeypatch.setattr(previews, "KEPT_S", -1.0)
        address = previewed(browser)

        page = browser.get(address)

        assert page.status == 404
        assert "nothing of it was fed" in page.words
        assert not any(dashboard.paths.uploads.iterdir())

    def test_the_oldest_gives_way(self, browser, dashboard, monkeypatch, unrendered):
        monkeypatch.setattr(previews, "MOST", 2)

        first, *others = [previewed(browser) for _ in range(3)]

        assert browser.get(first).status == 404
        assert [browser.get(each).status for each in others] == [200, 200]
        assert len(list(dashboard.paths.uploads.iterdir())) == 2

    def test_nobody_guesses_its_key(self, browser):
        assert browser.send("POST", "/data/previews/1", {}).status == 404


class TestPaste:
    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"text": " "}, "expected some text, got none"),
            ({"text": BAD}, "expected at most 20.0% bad rows"),
            ({"text": LINES, "format": "nonsense"}, "expected one of messages"),
            ({"text": LINES, "map": "prompt"}, "expected --map as"),
        ],
    )
    def test_what_cannot_be_fed_is_said_and_kept(self, browser, fields, said):
        page = browser.send("POST", PASTED, fields)

        assert page.status == 422
        assert said in page.words
        assert f">\n{escape(fields['text'])}</textarea>" in page.text

    def test_plain_text_is_a_document(self, browser, home, unrendered):
        browser.post(previewed(browser, "The sky\r\nis blue.", kind=".txt"))

        [stored] = home.batches.examples(1)
        assert stored.content == canonical_json(Text("The sky\nis blue."))

    def test_other_keys_are_named(self, browser, home, unrendered):
        text = json.dumps({"q": "Who?", "a": "Me."})
        browser.post(previewed(browser, text, map="prompt=q,completion=a", source="s"))

        assert home.batches.get(1)[0].source == "s"
        assert '"prompt":"Who?"' in home.batches.examples(1)[0].content


class TestUpload:
    def test_a_file_is_looked_at_and_fed(self, browser, home, unrendered):
        page = upload(browser, "colours.jsonl", LINES.encode())
        browser.post(page.to)

        assert home.batches.get(1)[0].source == "colours.jsonl"

    def test_an_empty_one_is_refused_in_words(self, browser):
        page = upload(browser, "", b"", source="somewhere")

        assert page.status == 422
        assert "expected a file with something in it" in page.words
        assert 'value="somewhere"' in page.text

    def test_what_is_no_text_is_refused_in_words(self, browser):
        page = upload(browser, "a.zip", b"PK\x03\x04" + bytes(100))

        assert page.status == 422
        assert "a.zip" in page.words


class TestList:
    def test_a_new_home_is_told_what_to_do(self, browser):
        assert "Nothing was fed yet." in browser.get("/data").words

    def test_older_batches_come_on_pages(self, browser, home):
        fed(home, 52)

        page = browser.get("/data")
        older = browser.get("/data?before=3")

        assert page.text.count('<th scope="row">') == 50
        assert 'href="/data?before=3"' in page.text
        assert older.text.count('<th scope="row">') == 2

    def test_what_is_no_number_is_said(self, browser):
        page = browser.get("/data?before=x")

        assert page.status == 404
        assert "got 'x'" in page.words
