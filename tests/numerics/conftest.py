"""Random changes, and their dense form to compare with."""

import pytest
import torch

from sleepcycle.numerics.lowrank import LowRank


@pytest.fixture
def random_change(rng):
    """Return what makes a random change of a shape and width."""

    def make(out: int = 24, width: int = 4, size: int = 18) -> LowRank:
        up = torch.randn(out, width, generator=rng)
        return LowRank(up, torch.randn(width, size, generator=rng))

    return make


def dense(change: LowRank) -> torch.Tensor:
    """Return a change as one float64 matrix."""
    return change.up.double() @ change.down.double()
