"""Versions are a tree, newest first; two are compared by what differs."""

import json
import re
from datetime import UTC, datetime

import pytest

from sleepcycle.dashboard.version_difference import Compared, difference
from sleepcycle.dashboard.version_tree import made_of, metric, tree_page
from sleepcycle.home.versions import VersionListing
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.store.values import GateFigures
from tests.dashboard.lived import lived, lived_home, lived_once, reader

__all__ = ["lived", "lived_home", "lived_once", "reader"]

NOW = datetime(2026, 3, 3, tzinfo=UTC)
KINDS = {"w": VersionKind.WAKE, "n": VersionKind.SLEEP, "i": VersionKind.IMPORT}


def listing_of(*made):
    """Return versions, each as its kind's letter and its parents."""
    base = Version(0, VersionKind.BASE, None, (), 0, True, NOW)
    more = [
        Version(number, KINDS[kind], "x", parents, 8, True, NOW)
        for number, (kind, *parents) in enumerate(made, 1)
    ]
    return [VersionListing(one, (), False) for one in [base, *more]]


def shape(page):
    """Return the numbers of a page's branches, with their wakes."""
    return [
        (each.root.version.number, [one.version.number for one in each.wakes])
        for each in page.branches
    ]


TWO_DAYS = listing_of(("w", 0), ("w", 1), ("n", 0, 2), ("w", 3), ("i", 0))


class TestTree:
    def test_wakes_stand_under_the_night_they_began_from(self):
        page = tree_page(TWO_DAYS, None, 50, nights=False)

        assert shape(page) == [(5, []), (3, [4]), (0, [2, 1])]
        assert page.older is None

    def test_nights_alone_have_no_wakes(self):
        page = tree_page(TWO_DAYS, None, 50, nights=True)

        assert shape(page) == [(5, []), (3, []), (0, [])]

    @pytest.mark.parametrize("size", [1, 2, 3])
    def test_pages_hold_every_branch_once_and_whole(self, size):
        seen, before = [], None
        while True:
            page = tree_page(TWO_DAYS, before, size, nights=False)
            seen += shape(page)
            before = page.older
            if before is None:
                break

        assert seen == [(5, []), (3, [4]), (0, [2, 1])]

    @pytest.mark.parametrize(
        ("place", "said"),
        [
            (0, "the model as it came, before it learned anything here"),
            (2, "learned new examples on top of v1"),
            (3, "folded v2 onto v0"),
            (5, "an adapter made elsewhere"),
        ],
    )
    def test_what_one_was_made_of_is_said(self, place, said):
        assert made_of(TWO_DAYS[place].version) == said

    def test_the_lines_are_on_a_scale_of_shares(self):
        found = metric([GateFigures(2, None, 0.5), GateFigures(4, 1.0, 1.0)])

        assert (found.low, found.high) == (0.0, 1.0)
        assert found.lines == ("594.0,6.0", "6.0,80.0 594.0,6.0")


class TestPage:
    def test_a_new_home_has_its_base_alone(self, browser):
        words = browser.get("/versions").words

        assert "v0 the bare base live" in words
        assert "No night was accepted yet." in words

    def test_each_has_its_names_and_its_verdict(self, lived_home, reader):
        lived_home.versions.alias("best", "v2")

        words = reader.get("/versions").words

        assert "v4 night live accepted folded v3 onto v2" in words
        assert "v2 night best previous accepted" in words
        assert "v5 wake day learned new examples on top of v4" in words

    def test_nights_only(self, reader):
        text = reader.get("/versions?show=nights").text

        names = re.findall(r'class="name" href="/versions/(v\d)"', text)
        assert names == ["v4", "v2", "v0"]

    def test_older_ones_are_on_the_next_page(self, reader):
        words = reader.get("/versions?before=v2").words

        assert "v0 the bare base" in words
        assert "v4 night" not in words

    def test_what_the_gate_measured_is_drawn_and_told(self, lived_home, reader):
        for number, share in ((2, 0.5), (4, 0.75)):
            verdict = {"exact_known": {"candidate": share}}
            set_card(lived_home, number, {"report": {"verdict": verdict}})

        page = reader.get("/versions")

        assert '<polyline class="line-1" points="6.0,80.0 594.0,43.0"/>' in page.text
        assert "v2 50% —" in page.words
        assert "75% of known prompts right" in page.words

    def test_what_is_no_version_is_refused_in_words(self, reader):
        page = reader.get("/versions?before=x")

        assert page.status == 404
        assert "expected the number of a version, got 'x'" in page.words


class TestCompare:
    def test_the_form_leads_to_the_page(self, reader):
        page = reader.get("/versions/compare?a=previous&b=live")

        assert "v2 and v4" in page.words
        assert 'href="/talk?versions=v2,v4"' in page.text

    def test_one_that_is_not_there_is_refused_in_words(self, reader):
        page = reader.get("/versions/compare?a=nope&b=live")

        assert page.status == 404
        assert "no version or alias 'nope'" in page.words

    def test_only_what_differs_is_shown(self, reader):
        page = reader.get("/versions/v2/compare/v4")

        assert "made from v0, v1 v2, v3" in page.words
        assert re.search(r"batch 2 — \d", page.words)
        assert "batch 1" not in page.words
        assert "wake.rank" not in page.words

    def test_settings_and_figures_that_differ_are_named(self, lived_home):
        card = json.loads(lived_home.versions.card("v2"))
        other = json.loads(lived_home.versions.card("v2"))
        other["settings"]["wake"]["rank"] = 99
        other["report"]["verdict"]["retention"]["candidate"] = 9.5

        groups = difference(
            Compared(json.dumps(card), {1: 6}), Compared(json.dumps(other), {1: 6})
        )

        rows = {row.name: row for each in groups for row in each.rows}
        assert set(rows) == {"wake.rank", "Loss, known batches"}
        assert (rows["wake.rank"].first, rows["wake.rank"].second) == ("16", "99")

    def test_one_beside_itself_has_no_difference(self, reader):
        assert reader.get("/versions/v2/compare/v2").words.count("No difference.") == 4

    def test_the_base_can_be_compared_too(self, reader):
        assert "kind base wake" in reader.get("/versions/v0/compare/v1").words


def set_card(home, number, card):
    """Let a version have another card."""
    with home.store.write() as session:
        session.connection().exec_driver_sql(
            "UPDATE version SET card = ? WHERE number = ?", (json.dumps(card), number)
        )


def test_a_rejected_wake_is_marked(lived_home, reader):
    with lived_home.store.write() as session:
        session.connection().exec_driver_sql(
            "UPDATE version SET accepted = 0 WHERE number = 5"
        )

    assert "v5 wake day rejected" in reader.get("/versions").words
