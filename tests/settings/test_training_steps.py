"""How long a wake is, and that its replay fills its batches' places exactly."""

from fractions import Fraction

import pytest

from sleepcycle.model.batching import BatchSource
from sleepcycle.settings import training_steps
from sleepcycle.settings.config import WakeSettings


@pytest.mark.parametrize(
    ("new", "changes", "steps"),
    [
        (1_000, {}, 750),  # 3 rounds of 1,000, 4 a batch
        (10, {}, 40),  # min_steps
        (10, {"min_steps": 1}, 8),  # 3 rounds of 10, 4 a batch
        (3, {"min_steps": 1}, 3),  # a batch holds each new one once
        (1_000, {"max_steps": 5}, 5),
        (10, {"max_steps": 5}, 5),  # max_steps wins
    ],
)
def test_steps_lie_in_their_bounds(new, changes, steps):
    settings = WakeSettings(**changes)
    room = training_steps.room(
        settings.batch_size, Fraction(settings.replay_share), new
    )

    assert training_steps.step_count(settings, new, room) == steps


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("new", [1, 10, 500])
@pytest.mark.parametrize("max_steps", [0, 3])
def test_replay_is_what_the_batches_draw(share, new, max_steps):
    """
    Of enough known examples, the whole run shows the limit, but for the last's part.
    """
    settings = WakeSettings(replay_share=share, max_steps=max_steps)
    limit = training_steps.replay_limit(settings, new)
    known = range(-50_000, 0)
    source = BatchSource(range(new), known, share, settings.batch_size)

    room = training_steps.room(settings.batch_size, Fraction(share), new)
    steps = training_steps.step_count(settings, new, room)
    batches = source.draw(steps, seed=0)

    shown = sum(example < 0 for batch in batches for example in batch)
    assert limit - 1 <= shown <= limit


class TestSharesOfTheBase:
    def test_its_places_come_out_of_all_others(self):
        settings = WakeSettings(general_share=0.25, replay_share=0.5, batch_size=8)

        assert training_steps.shown_again(settings) == Fraction(5, 8)
        assert training_steps.general_limit(settings, 24) == 2 * 40
