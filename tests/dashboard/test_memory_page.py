"""What nights knew of each batch is shown by what their gates measured."""

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import asdict

import pytest

from sleepcycle.dashboard.memory_page import (
    FADED,
    RetainedBatch,
    RetentionScore,
    fading_of,
    lessons_of,
)
from sleepcycle.records.verdict import BatchScore, Exact, Kept, Loss
from sleepcycle.store.values import NightScores
from tests.dashboard.lived import lived, lived_home, lived_once, reader

__all__ = ["lived", "lived_home", "lived_once", "reader"]


def loss(candidate):
    """Return a held-out loss of a candidate."""
    return Loss(live=9.0, candidate=candidate, examples=3, tokens=30)


def exact(share):
    """Return what a candidate answers by the letter."""
    return Exact(live=0.0, candidate=share, asked=10)


def night(version, *scores):
    """Return what a night measured."""
    return NightScores(version, scores)


def lesson(batch, *scores):
    """Return a batch with the scores that nights gave it."""
    cells = [
        None if one is None else RetentionScore(one, is_exact=True) for one in scores
    ]
    return RetainedBatch(batch, tuple(cells))


def measure(paths, version, *, batch, right, base):
    """Write into a card what a night's gate measured."""
    score = BatchScore(batch, True, loss(1.0), exact(right))
    kept = Kept(live=1.0, candidate=base, asked=10)
    with closing(sqlite3.connect(paths.database)) as database, database:
        [[text]] = database.execute(
            "SELECT card FROM version WHERE number = ?", (version,)
        )
        card = json.loads(text)
        card["report"]["verdict"] |= {
            "batches": [asdict(score)],
            "agreement": asdict(kept),
        }
        database.execute(
            "UPDATE version SET card = ? WHERE number = ?", (json.dumps(card), version)
        )


class TestLessons:
    def test_each_batch_has_a_cell_a_night(self):
        first = night(2, BatchScore(1, False, loss(1.0), exact(0.9)))
        second = night(
            4,
            BatchScore(1, True, loss(1.0), exact(0.6)),
            BatchScore(3, False, loss(0.0), None),
        )

        known, new = lessons_of([first, second])

        assert [cell and cell.score for cell in known.cells] == [0.9, 0.6]
        assert known.faded == pytest.approx(0.3)
        assert new.cells == (None, RetentionScore(1.0, is_exact=False))

    def test_a_loss_that_is_no_number_is_not_measured(self):
        broken = night(2, BatchScore(1, False, loss(float("nan")), None))

        assert lessons_of([broken]) == [RetainedBatch(1, (None,))]

    @pytest.mark.parametrize(("score", "shade"), [(0, 0), (0.44, 4), (1, 10)])
    def test_a_score_has_a_shade(self, score, shade):
        assert RetentionScore(score, is_exact=True).shade == shade


class TestFading:
    def test_the_worst_comes_first(self):
        slightly, badly = lesson(1, 1.0, 0.9), lesson(2, 0.5, None, 0.1)

        assert fading_of([slightly, badly]) == [badly, slightly]

    def test_what_is_kept_or_came_back_is_not_told(self):
        kept = lesson(1, 0.9, 0.9 - FADED / 2)
        back = lesson(2, 0.9, 0.1, 0.95)

        assert fading_of([kept, back, lesson(3, None)]) == []


class TestPage:
    def test_without_a_night_it_says_what_will_be_there(self, browser):
        page = browser.get("/memory")

        assert "No night was accepted yet" in page.words

    def test_each_night_is_a_column_and_each_batch_a_row(self, lived_home, reader):
        page = reader.get("/memory")

        nights = lived_home.runs.night_scores(None, 99)
        assert len(nights) == 2
        for one in nights:
            assert f'href="/versions/v{one.version}"' in page.text
            for score in one.batches:
                assert f'href="/data/batches/{score.batch}"' in page.text
        assert "Next night takes" in page.words

    def test_the_numbers_are_those_of_the_cards(self, lived, lived_home, reader):
        newest, oldest = lived_home.runs.night_scores(None, 2)
        measure(lived.paths, oldest.version, batch=1, right=0.9, base=1.0)
        measure(lived.paths, newest.version, batch=1, right=0.3, base=0.75)

        page = reader.get("/memory")

        assert "General ability kept 75%" in page.words
        assert "30% now, 60 points below its best night" in page.words
        assert re.findall(r"<td class=\"number heat-\d+\">(\d+%)</td>", page.text) == [
            *("100%", "75%"),
            *("90%", "30%"),
        ]

    def test_older_nights_are_on_the_page_before(self, lived_home, reader):
        newest, oldest = lived_home.runs.night_scores(None, 2)

        page = reader.get(f"/memory?before=v{newest.version}")

        assert f'href="/versions/v{oldest.version}"' in page.text
        assert f'href="/versions/v{newest.version}"' not in page.text
        assert "The last nights" in page.words

    def test_a_place_that_is_none_is_refused_in_words(self, browser):
        page = browser.get("/memory?before=x")

        assert page.status == 404
        assert "expected the number of a version" in page.words
