"""Rank policies: what they promise, and that less would break it."""

import pytest

from sleepcycle.numerics.downscale import scaled
from sleepcycle.numerics.lowrank import LowRank, decompose, pad
from sleepcycle.numerics.rank import BudgetRank, EnergyRank, FixedRank


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


class TestBudget:
    def test_it_spends_no_more_than_a_fixed_rank_would(self, layers):
        for rank in (1, 2, 3, 5):
            ranks = BudgetRank(rank, at_most=99).choose(layers)

            cost = {name: sum(layer.change.shape) for name, layer in layers.items()}
            spent = sum(ranks[name] * cost[name] for name in ranks)
            assert spent <= rank * sum(cost.values())
            assert ranks["zero"] == 0

    def test_no_kept_direction_brings_less_than_one_left_out(self, random_change):
        layers = decompose(
            {
                "small": random_change(out=6, width=5, size=8),
                "large": random_change(out=40, width=5, size=30),
                "strong": scaled(random_change(width=5), 9.0),
            }
        )
        ranks = BudgetRank(2, at_most=99).choose(layers)

        def worth(name, index):
            layer = layers[name]
            return float(layer.sigma[index]) ** 2 / sum(layer.change.shape)

        kept = [worth(name, rank - 1) for name, rank in ranks.items() if rank]
        left = [worth(n, rank) for n, rank in ranks.items() if rank < layers[n].rank]
        assert min(kept) >= max(left)
        assert ranks["strong"] > ranks["large"]

    def test_it_keeps_more_than_the_same_rank_everywhere(self, random_change):
        """
        The reason to pool: layers of unlike strength.
        """
        layers = decompose(
            {
                "weak": random_change(width=8),
                "strong": scaled(random_change(width=8), 9.0),
            }
        )

        def kept(ranks):
            return sum(
                float(layers[name].sigma[:rank].square().sum())
                for name, rank in ranks.items()
            )

        pooled = BudgetRank(4, at_most=8).choose(layers)
        assert kept(pooled) > kept(FixedRank(4).choose(layers))

    def test_a_layer_has_its_cap(self, layers):
        assert max(BudgetRank(50, at_most=3).choose(layers).values()) == 3
