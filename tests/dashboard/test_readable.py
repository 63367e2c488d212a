"""Figures are read with their units."""

from datetime import UTC, datetime, timedelta

import pytest

from sleepcycle.dashboard import readable

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "—"),
        (0.25, "0.2 s"),
        (42, "42 s"),
        (90, "2 min"),
        (3600, "1 h"),
        (18_720, "5 h 12 min"),
        (86_400, "1 d"),
        (100_000, "1 d 3 h"),
    ],
)
def test_how_long_something_takes(seconds, said):
    assert readable.duration(seconds) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [(None, "—"), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (3e15, "3000.0 TB")],
)
def test_how_large_something_is(number, said):
    assert readable.size(number) == said


@pytest.mark.parametrize(
    ("number", "thing", "said"),
    [
        (1, "example", "1 example"),
        (1200, "example", "1,200 examples"),
        (2, "batch", "2 batches"),
        (3, "entry", "3 entries"),
        (2, "day", "2 days"),
    ],
)
def test_how_many_there_are(number, thing, said):
    assert readable.counted(number, thing) == said


def test_how_far_away_a_moment_is():
    assert readable.since(NOW - timedelta(minutes=5), NOW) == "5 min ago"
    assert readable.since(NOW + timedelta(hours=3), NOW) == "in 3 h"
    assert readable.since(NOW, NOW) == "now"


def test_a_moment_is_said_as_short_as_it_can_be():
    assert readable.clock(NOW, NOW) == f"{NOW.astimezone():%H:%M}"
    assert readable.clock(NOW - timedelta(days=2), NOW).startswith("Sun ")
    assert readable.clock(NOW - timedelta(days=99), NOW) == "24 Nov 2025"


def test_a_long_text_is_clipped():
    assert readable.clipped("abcdef", 3) == "abc …"
    assert readable.clipped("abc", 3) == "abc"
