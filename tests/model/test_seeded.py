"""Random numbers by a seed, and generators that are left as they were."""

import pytest
import torch

from sleepcycle.model.seeded import seeded


def test_the_same_seed_draws_the_same():
    with seeded(3):
        first = torch.rand(4)
    with seeded(3):
        again = torch.rand(4)
    with seeded(4):
        other = torch.rand(4)

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_generator_is_as_it_was_also_after_an_exception():
    before = torch.random.get_rng_state()

    with pytest.raises(IndexError, match="out of bounds"), seeded(3):
        torch.rand(4)[9]

    assert torch.equal(torch.random.get_rng_state(), before)
