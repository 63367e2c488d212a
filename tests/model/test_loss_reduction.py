"""What an example counts for in a batch, by each reduction of the loss."""

import math

import pytest

from sleepcycle.model.adapters import activate, day_config, new_day
from sleepcycle.model.encode import Encoded
from sleepcycle.model.fit import fit
from sleepcycle.model.loss_reduction import reduced, token_share
from sleepcycle.model.score import each_nll, held_out_loss
from sleepcycle.records.progress import ignore_progress
from sleepcycle.settings.choices import Reduction
from tests.model.conftest import make_plan

SHORT = Encoded((5, 6, 7, 8), (0.0, 1.0, 1.0, 1.0))
LONG = Encoded(tuple(range(3, 94)), (0.0, *[1.0] * 90))


def whole(example):
    """Return what an example weighs in all."""
    return math.fsum(example.weights)


@pytest.mark.parametrize(
    ("reduction", "ratio"), [("token", 30), ("sqrt", math.sqrt(30)), ("example", 1)]
)
def test_ninety_tokens_outweigh_three_by_their_reduction(reduction, ratio):
    short, long = reduced([SHORT, LONG], Reduction(reduction))

    assert whole(long) / whole(short) == pytest.approx(ratio)


@pytest.mark.parametrize("reduction", Reduction)
def test_weights_keep_their_ratios_inside_an_example(reduction):
    turns = Encoded((5, 6, 7, 8, 9), (0.0, 0.1, 1.0, 2.0, 0.0))

    _, found = reduced([LONG, turns], reduction)

    light, plain, heavy = found.weights[1:4]
    assert (light / plain, heavy / plain) == pytest.approx((0.1, 2.0))
    assert found.learned == turns.learned


@pytest.mark.parametrize("reduction", Reduction)
def test_a_row_of_twice_the_weight_counts_twice(reduction):
    heavy = Encoded(SHORT.ids, tuple(2 * weight for weight in SHORT.weights))

    plain, twice = reduced([SHORT, heavy], reduction)

    assert whole(twice) == pytest.approx(2 * whole(plain))


def test_a_light_prompt_takes_little_from_its_answer():
    """
    A prompt of 80 tokens at a tenth is worth 8 tokens, so the answer keeps 3 of 11.
    """
    asked = Encoded(tuple(range(84)), (0.0, *[0.1] * 80, *[1.0] * 3))

    [found] = reduced([asked], Reduction.EXAMPLE)

    assert whole(found) == pytest.approx(1)
    assert math.fsum(found.weights[81:]) == pytest.approx(3 / 11)


def test_what_is_not_learned_stays_as_it_is():
    silent = Encoded((5, 6, 7), (0.0, 0.0, 0.0))

    assert reduced([silent], Reduction.EXAMPLE) == [silent]
    assert token_share(silent, Reduction.EXAMPLE) == 1


def test_the_loss_by_example_is_the_mean_of_their_means(llama):
    rows = [SHORT, LONG]
    short, long = each_nll(llama, rows)
    new_day(llama, "day", day_config(4, 8.0, 0.0), seed=0)
    activate(llama, ["day"])

    batch = reduced(rows, Reduction.EXAMPLE)
    result = fit(llama, make_plan(steps=1), [batch], on_progress=ignore_progress)

    assert result.loss_first == pytest.approx((short / 3 + long / 90) / 2, rel=1e-5)


class TestHeldOut:
    @pytest.fixture
    def means(self, llama):
        """Losses of both rows, in nats per token."""
        nats = each_nll(llama, [SHORT, LONG])
        return nats[0] / 3, nats[1] / 90

    @pytest.mark.parametrize(
        ("reduction", "share"),
        [
            ("token", 3 / 93),
            ("example", 1 / 2),
            ("sqrt", math.sqrt(3) / (math.sqrt(3) + math.sqrt(90))),
        ],
    )
    def test_it_is_the_mean_that_is_learned_by(self, llama, means, reduction, share):
        rows = [SHORT, LONG]

        measure = held_out_loss(llama, [rows], ignore_progress, Reduction(reduction))

        short, long = means
        assert measure() == pytest.approx(share * short + (1 - share) * long, rel=1e-5)

    def test_each_part_counts_alike(self, llama, means):
        parts = [[SHORT], [LONG, LONG], []]

        measure = held_out_loss(llama, parts, ignore_progress, Reduction.EXAMPLE)

        assert measure() == pytest.approx(sum(means) / 2, rel=1e-5)
