"""A night by the command line: what it dreamt is kept, and shown."""

import pytest

from tests.cli.conftest import LESSONS, copied


@pytest.fixture(scope="module")
def dreamer(lived_once, tmp_path_factory):
    """A home whose nights may ask past wake versions alone; its wakes are short."""
    lived = copied(lived_once, tmp_path_factory.mktemp("dreamer"))
    lived.settings = {
        "SLEEPCYCLE__SLEEP__REM__MEMORY": '["archive"]',
        "SLEEPCYCLE__WAKE__PROMPT_WEIGHT": "0.05",
        "SLEEPCYCLE__WAKE__MAX_STEPS": "10",
    }
    lived.run("feed", LESSONS / "plurals.jsonl")
    lived.run("wake")
    return lived


@pytest.fixture(scope="module")
def night(dreamer):
    """What its night said of itself."""
    return dreamer.json("sleep")


def test_dreams_of_past_versions_are_shown(dreamer, night):
    """
    The first day had not dreamt yet, and today's version dreams for nights to come.
    """
    dreams = dreamer.json("runs", "show", str(night["run"]), "--dreams")

    assert dreams
    assert all(set(dream) == {"version", "content"} for dream in dreams)
    assert {dream["version"] for dream in dreams} == {"v1", "v3"}


class TestVerdict:
    def test_what_the_gate_measured_is_in_the_json(self, night):
        """
        Each batch stands for itself, and the whole is the known one and today's.
        """
        verdict = night["verdict"]

        assert verdict["exact"]["known"]["asked"] >= 16
        known, today = verdict["batches"]
        assert (known["batch"], known["known"]) == (1, True)
        assert (today["batch"], today["known"]) == (2, False)
        assert verdict["losses"]["known"] == known["loss"]
        assert verdict["exact"]["today"] == today["exact"]
        assert verdict["learned_bits"] > 0
        assert verdict["drift"]["live"] >= 0
        assert verdict["drift"]["tokens"] == verdict["losses"]["general"]["tokens"]

    def test_a_card_shows_its_measures(self, lived):
        shown = lived.run("versions", "show", "v2").stdout

        assert "loss, today's batches" in shown
        assert "KL to the base" in shown
        assert "bits of today's held-out learned" in shown
