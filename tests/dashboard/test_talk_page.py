"""Versions are talked to, and learn from what was good and what was corrected."""

import html
import shutil

import pytest

from sleepcycle.home.home import Home
from sleepcycle.settings.config import Settings
from sleepcycle.store.values import ExampleState
from tests.dashboard.conftest import Dashboard


@pytest.fixture(scope="module")
def talked_to(new_home, tmp_path_factory):
    """A dashboard whose versions answer, one for all tests here."""
    root = tmp_path_factory.mktemp("talk") / "home"
    shutil.copytree(new_home, root)
    served = Dashboard(root)
    yield served
    served.http.stop()


@pytest.fixture(scope="module")
def visitor(talked_to):
    """A browser that is signed in."""
    return talked_to.browser()


@pytest.fixture(scope="module")
def said(visitor):
    """The page after something was said to two versions."""
    page = visitor.post("/talk", versions="live,v0", message="<b>hi</b> there")
    assert page.status == 200
    return page


def fields_of(page, address, place=0):
    """Return the fields of one of the forms to an address."""
    found = [fields for _, to, fields in page.forms if to == address]
    return found[place]


def examples_of(talked_to, batch):
    """Return the content of a batch's examples."""
    home = Home(talked_to.paths, Settings(), "test")
    return [one.content for one in home.batches.examples(batch)]


class TestSay:
    def test_a_new_conversation_is_with_live(self, visitor):
        page = visitor.get("/talk")

        assert "Nothing was said yet" in page.words
        assert fields_of(page, "/talk", -1)["versions"] == "live"

    def test_the_chooser_names_versions_one_by_one(self, visitor):
        page = visitor.get("/talk?version=live&version=v0&version=")

        assert fields_of(page, "/talk", -1)["versions"] == "live,v0"

    def test_all_versions_answer_side_by_side(self, said):
        assert said.text.count('class="answer words"') == 2
        assert "&lt;b&gt;hi&lt;/b&gt; there" in said.text
        assert "<b>hi</b>" not in said.text

    def test_the_page_carries_it_on(self, visitor, said):
        fields = fields_of(said, "/talk", -1)

        page = visitor.post("/talk", **{**fields, "message": "and then?"})

        assert page.text.count('<article class="turn">') == 2

    def test_a_version_that_is_not_there_is_an_error_in_words(self, visitor):
        page = visitor.post("/talk", versions="v99", message="hi")

        assert page.status == 404
        assert "v99" in page.words

    def test_what_cannot_be_answered_is_not_lost(self, visitor):
        long = "word " * 30_000

        page = visitor.post("/talk", versions="live", message=long)

        assert page.status == 409
        assert "shorten the conversation" in page.words
        assert long in html.unescape(page.text)

    def test_a_broken_conversation_is_refused(self, visitor):
        page = visitor.post("/talk", conversation="{", message="hi")

        assert page.status == 422
        assert "begin a new one" in page.words

    def test_streamed_answers_are_shown_as_others(self, visitor, said):
        fields = fields_of(said, "/talk", -1)

        page = visitor.post("/talk/turns", **fields)

        assert page.text.count('class="answer words"') == 2


class TestFeedback:
    def test_a_correction_is_learned_of_that_answer_alone(
        self, talked_to, visitor, said
    ):
        fields = fields_of(said, "/talk/correct")

        page = visitor.post("/talk/correct", **{**fields, "better": "Hello, you."})

        assert "The corrected answer is learned next." in page.words
        [undo] = [to for _, to, _ in page.forms if to.endswith("/exclude")]
        [content] = examples_of(talked_to, int(undo.split("/")[3]))
        assert "Hello, you." in content
        assert "consider" in talked_to.scheduler.asked

    def test_it_waits_to_be_learned_and_is_not_held_out(self, talked_to, visitor, said):
        fields = fields_of(said, "/talk/correct", 1)

        visitor.post("/talk/correct", **{**fields, "better": "Good day."})

        home = Home(talked_to.paths, Settings(), "test")
        batch = home.batches.listing()[-1]
        assert home.batches.get(batch.id)[1][ExampleState.PENDING] == 1
        assert batch.source == "dashboard: corrected answer of v0"

    def test_what_was_corrected_before_is_not_learned_twice(self, visitor, said):
        fields = fields_of(said, "/talk/correct")
        sent = {**fields, "better": "Only once."}
        visitor.post("/talk/correct", **sent)

        page = visitor.post("/talk/correct", **sent)

        assert page.status == 422
        assert "was not fed before" in page.words

    def test_an_empty_correction_is_refused(self, visitor, said):
        fields = fields_of(said, "/talk/correct")

        assert visitor.post("/talk/correct", **{**fields, "better": " "}).status == 422

    def test_a_good_answer_is_learned(self, talked_to, visitor, said):
        fields = fields_of(said, "/talk/rate")

        page = visitor.post("/talk/rate", **{**fields, "thumb": "up"})

        assert "The good answer is learned next." in page.words

    def test_a_bad_answer_is_not(self, talked_to, visitor, said):
        before = len(Home(talked_to.paths, Settings(), "test").batches.listing())
        fields = fields_of(said, "/talk/rate", 1)

        page = visitor.post("/talk/rate", **{**fields, "thumb": "down"})

        assert "That answer is never learned." in page.words
        after = Home(talked_to.paths, Settings(), "test").batches.listing()
        assert len(after) == before

    @pytest.mark.parametrize("place", ["", "9-0", "0-9", "-1-0", "x", "0"])
    def test_an_answer_that_is_not_there_is_refused(self, visitor, said, place):
        fields = fields_of(said, "/talk/rate")

        page = visitor.post("/talk/rate", **{**fields, "place": place, "thumb": "up"})

        assert page.status == 422
