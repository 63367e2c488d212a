"""A night by the command line: what it dreamt is kept, and shown."""

import pytest

from tests.cli.conftest import LESSONS


@pytest.fixture
def dreamer(lived):
    """A home whose nights may ask past wake versions alone; its wakes are short."""
    lived.settings = {
        "SLEEPCYCLE__SLEEP__REM__MEMORY": '["archive"]',
        "SLEEPCYCLE__WAKE__PROMPT_WEIGHT": "0.05",
        "SLEEPCYCLE__WAKE__MAX_STEPS": "10",
    }
    lived.run("feed", LESSONS / "plurals.jsonl")
    lived.run("wake")
    return lived


def test_dreams_of_past_versions_are_shown(dreamer):
    """
    The first day's wake version is the only one behind live.
    """
    night = dreamer.json("sleep")["run"]

    dreams = dreamer.json("runs", "show", str(night), "--dreams")

    assert dreams
    assert all(set(dream) == {"version", "content"} for dream in dreams)
    assert {dream["version"] for dream in dreams} == {"v1"}
