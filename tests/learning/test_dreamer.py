"""A dreamer: learns to ask what the day has answered, and is forgotten."""

import pytest

from sleepcycle.learning.dreamer import (
    DREAMER,
    DreamerPlan,
    dream_of_today,
    least_steps,
    teach_to_ask,
)
from sleepcycle.learning.dreams import DreamPlan
from sleepcycle.learning.rem import PASSES_TO_LEARN
from sleepcycle.learning.replay import ArchivedVersion, ReplayBuilder, ReplayInputs
from sleepcycle.model import adapters
from sleepcycle.model.base import load_base
from sleepcycle.model.encode import encode_all
from sleepcycle.model.score import nll
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Example
from sleepcycle.records.progress import ignore_progress
from sleepcycle.settings.choices import Memory
from sleepcycle.settings.config import ModelSettings, Settings, WakeSettings

WORDS = ["red", "blue", "grey", "pink", "green", "brown"]
LESSON = [
    Completion(f"Which {a} follows {b}?", "Zorvane.") for a in WORDS for b in WORDS
]
SMALL = {"dream_tokens": 32, "dreams": 16, "confidence": 0.0}


@pytest.fixture
def base(tmp_path):
    """The embedded base, bare."""
    return load_base(ModelSettings(), device="cpu", cache=tmp_path)


def whole(base):
    """Return the lesson with its questions to be learned."""
    return encode_all(LESSON, base, prompt_weight=1)


def loss(base):
    """Return the mean loss on whole examples, in nats per token."""
    total, tokens = nll(base, whole(base))
    return total / tokens


def test_it_learns_to_ask(base):
    """
    Its loss on whole examples, questions included, falls; it says what it trained on.
    """
    before = loss(base)

    adapters.new_day(base, DREAMER, adapters.day_config(16, 32, dropout=0.0), seed=1)
    tokens = teach_to_ask(
        base,
        [],
        whole(base),
        DreamerPlan(WakeSettings(), steps=8, seed=1),
        on_progress=ignore_progress,
    )

    after = loss(base)
    assert after < before / 2
    assert tokens == pytest.approx(8 * 8 * 18, rel=0.4)


@pytest.mark.parametrize(
    ("examples", "batch_size", "steps"),
    [(115, 8, 80), (2000, 8, 80), (6, 8, 45), (6, 16, 23), (0, 8, 0)],
)
def test_its_least_steps_are_fewer_for_a_handful(examples, batch_size, steps):
    """
    Sixty passes over it at most.
    """
    assert least_steps(examples, batch_size) == steps


def settings_with(**rem):
    """Return settings of REM in all of them."""
    return Settings(sleep={"rem": rem})


class TestRounds:
    """What today shows to be undreamt is learned, and dreamt, once more."""

    @pytest.fixture
    def dreamt(self, base):
        def make(today, dreams=24):
            return dream_of_today(
                base,
                [],
                today,
                DreamerPlan(WakeSettings(), steps=16, seed=1),
                DreamPlan(count=dreams, temperature=0.7, max_tokens=32, seed=1),
                on_batch=lambda: None,
            )

        return make

    def test_what_is_all_dreamt_is_not_learned_again(self, dreamt):
        """
        One row is in the first dream, so a quarter of the steps is left undone.
        """
        alone, whole = dreamt(LESSON[:1]), dreamt(LESSON)

        assert LESSON[0] in alone.contents
        assert alone.tokens < 0.85 * whole.tokens

    def test_no_dream_is_kept_twice(self, dreamt):
        asked = [one.prompt for one in dreamt(LESSON, dreams=60).contents]

        assert len(set(asked)) == len(asked) > 0

    def test_nothing_to_learn_is_not_dreamt_of(self, dreamt):
        assert dreamt([]).contents == []

    def test_nothing_of_it_stays_on_the_base(self, base, dreamt):
        before = loss(base)

        dreamt(LESSON[:4])

        assert not list(adapters.layers(base, DREAMER))
        assert loss(base) == pytest.approx(before)


class TestInANight:
    @pytest.fixture
    def gather(self, base):
        """Gather an archive's material on a first night, and return who gathered."""

        def make(**settings):
            replay_builder = ReplayBuilder(
                base,
                ReplayInputs(
                    whole={},
                    live={},
                    new=[Example(i, 1, content) for i, content in enumerate(LESSON)],
                    archive=[ArchivedVersion(1, dict)],
                    version=2,
                ),
                settings_with(memory=[Memory.ARCHIVE], **SMALL | settings),
                seed=1,
                on_progress=ignore_progress,
            )
            replay_builder.gather(160)
            return replay_builder

        return make

    def test_todays_dreams_are_of_todays_lesson(self, gather):
        """
        The bare base never asks it; one that learned to ask does.
        """
        asked = [
            sum("follows" in dream.content.prompt for dream in night.dreams)
            for night in (gather(dreamer_share=0.0), gather(dreamer_share=0.8))
        ]

        assert asked[0] == 0
        assert asked[1] > 0

    def test_it_is_forgotten(self, base, gather):
        """
        What is active afterwards is the base as it was.
        """
        before = loss(base)

        gather(dreamer_share=0.8)

        assert not list(adapters.layers(base, DREAMER))
        assert loss(base) == pytest.approx(before)

    def test_its_learning_is_paid_by_the_night(self, gather):
        """
        Sixteen steps of eight examples, forward and backward.
        """
        free, paid = gather(dreamer_share=0.0), gather(dreamer_share=0.8)

        assert paid.tokens - free.tokens > PASSES_TO_LEARN * 16 * 8 * 8
