"""Pages of a home with much in it: what they ask the database for does not grow."""

import sqlite3
from dataclasses import replace

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from benchmarks.dashboard import paths_of, served, time_page
from benchmarks.long_home import HomeSize, make_home

SMALL = HomeSize(60, 90, 80, 1_600, 240, 200, 200)
LARGE = replace(SMALL, versions=120, runs=180, examples=4_800, journal=400)


def statements_of_pages(root, size):
    """Return how many statements each page of a home sends, by its place."""
    home, sent, counts = make_home(root, size), [], []

    def note(*statement):
        sent.append(statement[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with served(home) as browser:
            for path in paths_of(home, size):
                sent.clear()
                time_page(browser, path, repeats=1)
                counts.append((path, len(sent)))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return counts


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("long") / "home", SMALL)


def test_no_page_asks_more_often_where_there_is_more(tmp_path):
    small = statements_of_pages(tmp_path / "small", SMALL)
    large = statements_of_pages(tmp_path / "large", LARGE)

    grown = [(a, b) for a, b in zip(small, large, strict=True) if b[1] > a[1]]
    assert sum(count for _, count in small) > len(small)
    assert grown == []


def test_what_is_made_is_whole(home):
    """
    Every reference leads somewhere, and as much is there as was asked for.
    """
    with sqlite3.connect(home.database) as connection:
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("version", "run", "batch", "example", "bad_row", "captured")
        ]

    assert broken == []
    assert counts == [60, 90, 80, 1_600, 240, 200]
