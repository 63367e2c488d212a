"""Homes whose nights see no old example: what versions dream is memory enough."""

import json
from itertools import islice

import pytest

from sleepcycle.home.opening import create_home, open_home
from sleepcycle.settings.configfile import settings_from
from tests.cli.conftest import LESSONS
from tests.forked import forked_workers

ROWS = 120
ASKED = 20
ARCHIVE = {
    "engine": {"reserve_mb": 0, "device": "cpu"},
    "gate": {"probe_dreams": 16},
    "bank": {"max_tokens": 16},
    "sleep": {"rem": {"memory": ["archive"]}},
}


@pytest.fixture
def home(tmp_path):
    """A home with no setting but its memory that bears on what it learns."""
    create_home(tmp_path / "home")
    return open_home(tmp_path / "home", settings=settings_from(ARCHIVE))


def rows_of(file):
    """Return the rows of a file of the lessons."""
    return [json.loads(line) for line in (LESSONS / file).read_text().splitlines()]


def live_a_day(home, name):
    """Feed a short lesson, wake and sleep; return the night's verdict."""
    file = home.paths.root.parent / f"{name}.jsonl"
    rows = rows_of(file.name)[:ROWS]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with forked_workers():
        home.feed(file)
        home.wake()
        return home.sleep().report.verdict


def right(home):
    """Return how many capitals are known that were taught, in wordings that were not.

    Some of the shorter lesson's only.
    """
    taught = {row["completion"] for row in rows_of("capitals.jsonl")[:ROWS]}
    questions = rows_of("capitals.questions.jsonl")
    asked = islice((one for one in questions if one["answer"] in taught), ASKED)
    return sum(home.ask(one["prompt"]).text == one["answer"] for one in asked)


def test_a_short_day_is_remembered_by_its_dreams(home):
    """
    Its night teaches a dreamer for long enough, though the day pays for less: the
    second night need not be weakened, and what was half learned goes on to be.
    """
    live_a_day(home, "capitals")
    learned = right(home)
    verdict = live_a_day(home, "plurals")

    assert verdict.accepted
    assert verdict.mending is None
    assert right(home) >= learned > 0
