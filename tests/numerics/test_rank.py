"""Rank policies: what they promise, and that less would break it."""

import pytest

from sleepcycle.numerics.lowrank import LowRank, decompose, pad
from sleepcycle.numerics.rank import EnergyRank, FixedRank


@pytest.fixture
def layers(random_change):
    """Three layers: a plain one, a narrow one with padding, and one of zeros."""
    narrow = pad(random_change(width=2), 6)
    zero = LowRank(narrow.up * 0, narrow.down)
    return decompose({"plain": random_change(width=6), "narrow": narrow, "zero": zero})


class TestFixed:
    def test_rank_never_grows(self, layers):
        assert FixedRank(4).choose(layers) == {"plain": 4, "narrow": 2, "zero": 0}

    def test_more_than_there_is_keeps_all(self, layers):
        assert FixedRank(99).choose(layers) == {"plain": 6, "narrow": 2, "zero": 0}


class TestEnergy:
    @pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.9, 0.99, 1.0])
    def test_it_keeps_its_share_and_one_less_would_not(self, layers, share):
        ranks = EnergyRank(share, at_least=1, at_most=99).choose(layers)
        for name in ("plain", "narrow"):
            energy = layers[name].sigma.square()
            rank = ranks[name]

            assert energy[:rank].sum() >= share * energy.sum() * (1 - 1e-12)
            assert rank == 1 or energy[: rank - 1].sum() < share * energy.sum()

    def test_its_bounds_win(self, layers):
        assert EnergyRank(1.0, 1, at_most=3).choose(layers)["plain"] == 3
        assert EnergyRank(0.0, at_least=4, at_most=6).choose(layers)["plain"] == 4

    def test_a_layer_that_learned_nothing_keeps_nothing(self, layers):
        assert EnergyRank(0.9, at_least=4, at_most=8).choose(layers)["zero"] == 0

    def test_the_least_rank_is_not_more_than_there_is(self, layers):
        assert EnergyRank(0.9, at_least=4, at_most=8).choose(layers)["narrow"] == 2
