"""Deep sleep: what each way of folding keeps, and what its report says."""

import pytest
import torch

from sleepcycle.errors import AdapterError
from sleepcycle.learning.fold import fold_adapter
from sleepcycle.numerics.lowrank import LowRank, compose_layers
from sleepcycle.settings.choices import Compression, RankPolicy
from sleepcycle.settings.config import SleepSettings, SvdSettings


def adapter(rng, width=8):
    """Return a two-layer adapter whose directions fall off."""
    fall = 0.6 ** torch.arange(width)
    return {
        name: LowRank(
            torch.randn(out, width, generator=rng) * fall,
            torch.randn(width, 20, generator=rng),
        )
        for name, out in (("a", 16), ("b", 30))
    }


def dense(changes):
    return {n: c.up.double() @ c.down.double() for n, c in changes.items()}


def squared(matrices):
    return sum(float(matrix.square().sum()) for matrix in matrices.values())


def settings(**svd):
    return SleepSettings(svd=SvdSettings(**svd))


def test_live_and_day_fold_to_the_nearest_of_that_rank(rng):
    whole = compose_layers(adapter(rng), adapter(rng))

    folded = fold_adapter(whole, settings(rank=5))

    for name, matrix in dense(whole).items():
        error = torch.linalg.norm(matrix - dense(folded.change)[name])
        tail = torch.linalg.norm(torch.linalg.svdvals(matrix)[5:])
        torch.testing.assert_close(error, tail, rtol=1e-5, atol=1e-5)
    assert folded.rank == 5


@pytest.mark.parametrize(
    "chosen",
    [
        settings(rank=3),
        settings(policy=RankPolicy.ENERGY, energy=0.9, rank=16),
        SleepSettings(compression=Compression.MAGNITUDE),
        SleepSettings(compression=Compression.NONE),
    ],
)
def test_kept_energy_is_the_dense_share(rng, chosen):
    """
    One minus the squared norm lost over the squared norm there was.
    """
    whole = adapter(rng)

    folded = fold_adapter(whole, chosen)

    before, after = dense(whole), dense(folded.change)
    lost = squared({name: before[name] - after[name] for name in before})
    assert folded.kept_energy == pytest.approx(1 - lost / squared(before), abs=1e-5)
    for layer in folded.layers:
        name = layer.name
        share = 1 - squared({"": before[name] - after[name]}) / squared(
            {"": before[name]}
        )
        assert layer.kept_energy == pytest.approx(share, abs=1e-5)


def test_the_energy_policy_keeps_its_share_of_every_layer(rng):
    folded = fold_adapter(
        adapter(rng), settings(policy=RankPolicy.ENERGY, energy=0.95, rank=16)
    )

    assert all(layer.kept_energy >= 0.95 for layer in folded.layers)
    assert all(layer.rank < layer.rank_before for layer in folded.layers)


def test_none_changes_no_bit(rng):
    whole = adapter(rng)

    folded = fold_adapter(whole, SleepSettings(compression=Compression.NONE))

    assert all(torch.equal(folded.change[n].up, whole[n].up) for n in whole)
    assert folded.kept_energy == 1


def test_a_zero_layer_stays_zero(rng):
    whole = adapter(rng)
    whole["a"].up.zero_()

    folded = fold_adapter(whole, settings(rank=4))

    assert torch.count_nonzero(dense(folded.change)["a"]) == 0
    assert [layer.rank for layer in folded.layers] == [0, 4]
    assert folded.layers[0].kept_energy == 1


def test_the_same_adapter_folds_to_the_same_bits(rng):
    whole = adapter(rng)

    first, second = (fold_adapter(whole, settings(rank=4)) for _ in range(2))

    assert all(torch.equal(first.change[n].up, second.change[n].up) for n in whole)


def test_nan_is_refused_by_its_layer(rng):
    whole = adapter(rng)
    whole["b"].down[0, 0] = float("nan")

    with pytest.raises(AdapterError, match="b: expected finite weights, got NaN"):
        fold_adapter(whole, settings())
