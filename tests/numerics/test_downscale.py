"""Downscaling against dense singular value decompositions."""

import pytest
import torch

from sleepcycle.numerics.downscale import damp_intruders, scaled, top_directions
from sleepcycle.numerics.lowrank import LowRank
from tests.numerics.conftest import dense


@pytest.fixture
def weight(rng):
    """A weight whose singular values fall as those of real ones do."""
    left = torch.linalg.qr(torch.randn(40, 30, generator=rng)).Q
    right = torch.linalg.qr(torch.randn(30, 30, generator=rng)).Q
    return left * torch.logspace(1, -1, 30) @ right.T


def test_the_strongest_directions_are_those_of_the_dense_svd(weight, rng):
    left, sigma, _ = torch.linalg.svd(weight, full_matrices=False)

    found = top_directions(weight, 6, rng)

    torch.testing.assert_close(found.sigma, sigma[:6], rtol=1e-4, atol=0)
    cosines = (found.left * left[:, :6]).sum(dim=0).abs()
    torch.testing.assert_close(cosines, torch.ones(6), rtol=0, atol=1e-4)


def test_more_directions_than_there_are_is_all(weight, rng):
    assert len(top_directions(weight, 99, rng).sigma) == 30


def test_scaling_scales_the_change(random_change):
    change = random_change()

    found = dense(scaled(change, 0.7))

    torch.testing.assert_close(found, 0.7 * dense(change), rtol=0, atol=1e-5)


def damped(weight, change, rng, factor=0.5):
    """Damp a change over a weight; return the dense result and the count."""
    own = top_directions(weight, 30, rng)
    changed = top_directions(weight + dense(change).float(), 5, rng)
    found, count = damp_intruders(change, changed, own, max_cosine=0.5, factor=factor)
    return dense(found), count


def test_an_intruder_is_weakened_and_nothing_else(weight, rng):
    """
    A strong direction outside of all that the base has.
    """
    u = torch.randn(40, 1, generator=rng)
    basis = torch.linalg.svd(weight, full_matrices=False).U
    u = u - basis @ (basis.T @ u)
    change = LowRank(
        20 * u / u.norm(),
        torch.nn.functional.normalize(torch.randn(1, 30, generator=rng)),
    )

    found, count = damped(weight, change, rng)

    assert count == 1
    before = torch.linalg.svdvals(weight.double() + dense(change))
    after = torch.linalg.svdvals(weight.double() + found)
    assert float(after[0]) == pytest.approx(float(before[0]) / 2, rel=0.05)
    torch.testing.assert_close(after[1:], before[1:], rtol=0.05, atol=0.02)


def test_what_the_base_has_too_is_left_alone(weight, rng):
    left, _, right = torch.linalg.svd(weight, full_matrices=False)
    change = LowRank(5 * left[:, :1].clone(), right[:1].clone())

    found, count = damped(weight, change, rng)

    assert count == 0
    torch.testing.assert_close(found, dense(change))
