"""Magnitude pruning: the smallest entries go, and no others."""

import pytest
import torch

from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.numerics.prune import prune


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_the_share_of_each_factor_is_zero(random_change, share):
    change = random_change()

    pruned = prune(change, share)

    for factor, before in ((pruned.up, change.up), (pruned.down, change.down)):
        assert int((factor == 0).sum()) == int(share * before.numel())


def test_what_goes_is_smaller_than_what_stays(random_change):
    change = random_change()

    pruned = prune(change, 0.3).up

    gone, kept = change.up[pruned == 0].abs(), pruned[pruned != 0].abs()
    assert gone.max() <= kept.min()
    assert torch.equal(pruned[pruned != 0], change.up[pruned != 0])


def test_equals_go_first_come_first():
    ones = LowRank(torch.ones(2, 2), torch.ones(2, 2))

    assert torch.equal(prune(ones, 0.5).up, torch.tensor([[0.0, 0.0], [1.0, 1.0]]))


def test_the_original_is_left_alone(random_change):
    change = random_change()
    before = change.up.clone()

    prune(change, 0.5)

    assert torch.equal(change.up, before)
