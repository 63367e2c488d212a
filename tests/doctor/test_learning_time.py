"""What a wake takes is told by the last one, or guessed and said to be a guess."""

import json

import pytest

from sleepcycle.doctor.learning_time import by_last_wake, by_product, in_words
from sleepcycle.model.model_size import read_size
from sleepcycle.settings.config import ModelSettings, WakeSettings
from sleepcycle.store.reader import RunText
from tests.doctor.examined import look

SETTINGS = WakeSettings(general_share=0.0)


def run(kind="wake", state="done", speed=100.0):
    """Return a run's row."""
    report = json.dumps({"tokens_per_second": speed})
    return RunText(1, kind, state, "2026-01-01", None, None, report)


class TestByLastWake:
    def test_a_hundred_examples_are_seen_thrice_beside_as_many_known_ones(self):
        """
        75 steps of 8 examples of 64 tokens are 38,400 tokens.
        """
        found = by_last_wake([run()], SETTINGS)

        assert found.seconds == pytest.approx(384)
        assert in_words(found) == (
            "100 short examples take a wake about 0:06:24, "
            "by the last wake's 100 tokens/s"
        )

    def test_that_turns_of_the_base_are_written_first_is_said(self):
        settings = WakeSettings(general_share=0.25)

        words = in_words(by_last_wake([run()], settings))

        assert words.endswith(
            "; before it the base writes turns of its own, and how long that takes is "
            "not counted"
        )

    def test_nights_and_failed_wakes_tell_nothing(self):
        runs = [run("sleep"), run(state="failed"), run(speed=50.0)]

        assert by_last_wake(runs, SETTINGS).tokens_per_second == 50
        assert by_last_wake(runs[:2], SETTINGS) is None

    @pytest.mark.parametrize("report", ["{", "{}", "[]", '{"tokens_per_second": ""}'])
    def test_a_report_that_cannot_be_read_is_passed_over(self, report):
        broken = RunText(2, "wake", "done", "", None, None, report)

        assert by_last_wake([broken], SETTINGS) is None


class TestByProduct:
    def test_a_small_base_learns_within_minutes(self):
        settings = SETTINGS
        small = by_product(read_size(ModelSettings()), settings)

        assert small.guessed
        assert 0 < small.seconds < 600

    def test_the_doctor_says_that_it_is_a_guess(self, home):
        found = look(home)["speed"]

        assert "a guess from a product" in found.message
        assert found.figures["guessed"]
