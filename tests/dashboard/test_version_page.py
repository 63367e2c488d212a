"""A version tells what it is; it is named, checked and made live by forms."""

import json

import pytest

from sleepcycle.home.versions import Switch
from sleepcycle.records.run_order import RunKind
from sleepcycle.store import version_table
from tests.dashboard.lived import lived, lived_home, lived_once, reader

__all__ = ["lived", "lived_home", "lived_once", "reader"]


class TestPage:
    def test_a_night_tells_what_it_is_and_knows(self, reader):
        page = reader.get("/versions/v4")

        assert "v4 live accepted Folded v3 onto v2." in page.words
        assert "Made by run 4" in page.words
        assert "examples of 2 batches; 0 learned by itself" in page.words
        assert 'href="/data/batches/2"' in page.text
        assert 'href="/versions/v5"' in page.text
        assert "Verdict accepted because" in page.words
        assert "dreamt by v3 of v3" in page.words
        assert "versions export v4 FOLDER" in page.words

    def test_an_alias_is_the_version_it_points_at(self, reader):
        assert "Folded v3 onto v2." in reader.get("/versions/live").words

    def test_a_wake_tells_what_it_learned_itself(self, reader):
        words = reader.get("/versions/v1").words

        assert "Learned new examples on top of v0." in words
        assert "0 learned by itself" not in words

    def test_the_base_has_neither_files_nor_a_report(self, reader):
        words = reader.get("/versions/v0").words

        assert "The model as it came, before it learned anything here." in words
        assert "Verify" not in words

    def test_one_whose_files_are_gone_can_only_be_looked_up(self, lived_home, reader):
        with lived_home.store.write() as session:
            version_table.remove(session, 1, "cleared")

        page = reader.get("/versions/v1")

        assert "Its files are gone since" in page.words
        assert "/make-live" not in page.text

    def test_one_that_learned_what_is_excluded_is_marked(self, lived_home, reader):
        lived_home.batches.exclude(1)

        assert "v1 tainted" in reader.get("/versions/v1").words

    def test_an_import_tells_where_it_comes_from(self, lived_home, reader):
        card = json.loads(lived_home.versions.card("v1"))
        card |= {"origin": "/x/<b>", "made_for": {"base": "nano", "warning": "old"}}
        card |= {"conversations": ["chatcmpl-1"]}
        with lived_home.store.write() as session:
            session.connection().exec_driver_sql(
                "UPDATE version SET card = ? WHERE number = 1", (json.dumps(card),)
            )

        page = reader.get("/versions/v1")

        assert "/x/&lt;b&gt;" in page.text
        assert "Made for nano old" in page.words
        assert 'href="/data/review/chatcmpl-1"' in page.text

    def test_one_that_is_not_there_is_refused_in_words(self, reader):
        page = reader.get("/versions/nope")

        assert page.status == 404
        assert "no version or alias 'nope'" in page.words


class TestNames:
    def test_a_name_is_given_and_taken_back(self, lived_home, reader):
        page = reader.post("/versions/v2/alias", alias=" best ")

        assert "best is v2 now." in page.words
        assert ("post", "/versions/v2/drop-alias", {"alias": "best"}) in page.forms
        assert lived_home.versions.get("best").name == "v2"

        page = reader.post("/versions/v2/drop-alias", alias="best")

        assert "best is forgotten." in page.words
        assert ("post", "/versions/v2/alias", {"alias": "best"}) in page.forms

    def test_one_that_is_moved_can_be_moved_back(self, reader):
        reader.post("/versions/v2/alias", alias="best")

        page = reader.post("/versions/v4/alias", alias="best")

        assert ("post", "/versions/v2/alias", {"alias": "best"}) in page.forms

    @pytest.mark.parametrize("alias", ["live", "v3", "", "A b"])
    def test_one_that_is_not_to_be_chosen_is_refused_in_words(self, reader, alias):
        page = reader.post("/versions/v2/alias", alias=alias)

        assert page.status >= 400
        assert "alias" in page.words


class TestVerify:
    def test_one_that_holds_is_said_to(self, reader):
        page = reader.post("/versions/v4/verify")

        assert "v4 holds: every byte of it is what was sealed." in page.words

    def test_one_that_is_damaged_names_the_fault(self, lived_home, reader):
        version = lived_home.versions.get("v4")
        weights = lived_home.paths.versions / version.folder
        weights = weights / "adapter_model.safetensors"
        weights.chmod(0o600)
        weights.write_bytes(b"x")

        page = reader.post("/versions/v4/verify")

        assert "v4 is damaged: " in page.words
        assert "adapter_model.safetensors" in page.words

    def test_the_base_has_nothing_to_verify(self, reader):
        page = reader.post("/versions/v0/verify")

        assert "has no files of its own" in page.words


class TestMakeLive:
    def test_what_would_happen_is_shown_first(self, lived_home, lived, reader):
        seen = lived_home.versions.foresee("v2")

        page = reader.get("/versions/v2/make-live")

        assert "v2 then answers instead of v4." in page.words
        assert "The open day ends: v5" in page.words
        assert f"{seen.orphaned} examples were learned only by versions" in page.words
        assert "v3 , v4 , v5" in page.words
        [fields] = [fields for _, to, fields in page.forms if to.endswith("make-live")]
        assert "requeue" in fields
        assert not lived.scheduler.asked

    def test_an_older_one_is_gone_back_to_and_that_can_be_undone(self, lived, reader):
        lived.scheduler.rollback = told(lived, Switch("v2", "v4", 4, 0, 3))

        page = reader.post("/versions/v2/make-live")

        assert lived.scheduler.asked == [("v2", False)]
        assert "v2 is live. 3 examples it learned are known again." in page.words
        assert ("post", "/versions/v4/make-live", {}) in page.forms
        assert "Undo: make v4 live again" in page.words

    def test_what_was_lost_waits_again_where_that_is_wanted(self, lived, reader):
        lived.scheduler.rollback = told(lived, Switch("v2", "v4", 4, 4, 0))

        page = reader.post("/versions/v2/make-live", requeue="yes")

        assert lived.scheduler.asked == [("v2", True)]
        assert "4 examples wait to be learned again." in page.words

    def test_a_newer_one_is_promoted(self, lived, reader):
        reader.post("/versions/v5/make-live")

        assert lived.scheduler.asked == [("promote", "v5")]

    def test_what_is_live_already_is_said(self, reader):
        page = reader.get("/versions/v4/make-live")

        assert "v4 is live already." in page.words
        assert "Start again from v4" in page.words

    def test_while_a_run_is_on_it_has_to_wait(self, lived, reader):
        lived.scheduler.become(kind=RunKind.SLEEP)

        page = reader.get("/versions/v2/make-live")

        assert "A night is on." in page.words
        assert "disabled" in page.text

    def test_one_that_was_rejected_is_warned_of(self, lived_home, reader):
        with lived_home.store.write() as session:
            session.connection().exec_driver_sql(
                "UPDATE version SET accepted = 0 WHERE number = 2"
            )

        assert "The gate rejected v2" in reader.get("/versions/v2/make-live").words

    def test_one_whose_files_are_gone_is_refused_in_words(self, lived_home, reader):
        with lived_home.store.write() as session:
            version_table.remove(session, 1, "cleared")

        page = reader.get("/versions/v1/make-live")

        assert page.status == 404
        assert "the files of v1 are gone" in page.words


def told(served, switch):
    """Return a rollback that remembers what was asked."""

    def rollback(name, *, requeue):
        served.scheduler.asked.append((name, requeue))
        return switch

    return rollback
