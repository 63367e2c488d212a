"""Downscaling against dense singular value decompositions."""

import pytest
import torch

from sleepcycle.numerics.downscale import damp_intruders, scaled, top_directions
from sleepcycle.numerics.lowrank import LowRank, compose
from tests.numerics.conftest import dense


@pytest.fixture
def weight(rng):
    """A weight whose singular values fall as those of real ones do."""
    left = torch.linalg.qr(torch.randn(40, 30, generator=rng)).Q
    right = torch.linalg.qr(torch.randn(30, 30, generator=rng)).Q
    return left * torch.logspace(1, -1, 30) @ right.T


def test_the_strongest_directions_are_those_of_the_dense_svd(rng):
    """
    Of a matrix much wider than what is drawn, whose spectrum is as flat behind the
    first few as those of trained weights: each value is 3 % below the one before.
    """
    left = torch.linalg.qr(torch.randn(300, 200, generator=rng)).Q
    right = torch.linalg.qr(torch.randn(200, 200, generator=rng)).Q
    sigma = 5 * 0.97 ** torch.arange(200)

    found = top_directions(left * sigma @ right.T, 6, rng)

    torch.testing.assert_close(found.sigma, sigma[:6], rtol=1e-4, atol=0)
    cosines = (found.left * left[:, :6]).sum(dim=0).abs()
    torch.testing.assert_close(cosines, torch.ones(6), rtol=0, atol=1e-4)


def test_more_directions_than_there_are_is_all(weight, rng):
    assert len(top_directions(weight, 99, rng).sigma) == 30


def test_each_direction_is_read_from_the_matrix_however_flat_its_spectrum(rng):
    """
    left.T @ matrix = sigma * right.T holds to rounding even where the directions
    themselves are not those of the dense SVD yet; damping rests on it.
    """
    flat = torch.randn(50, 50, generator=rng)

    found = top_directions(flat, 4, rng)

    expected = found.sigma[:, None] * found.right.T
    torch.testing.assert_close(found.left.T @ flat, expected, rtol=0, atol=1e-4)


def test_a_zero_matrix_has_no_strength(rng):
    found = top_directions(torch.zeros(12, 9), 3, rng)

    assert torch.count_nonzero(found.sigma) == 0
    assert found.left.isfinite().all()


def test_scaling_scales_the_change(random_change):
    change = random_change()

    found = dense(scaled(change, 0.7))

    torch.testing.assert_close(found, 0.7 * dense(change), rtol=0, atol=1e-5)


def intruder(weight, rng, size=20.0):
    """Return a change of one direction that is outside of all that a weight has."""
    u = torch.randn(40, 1, generator=rng)
    basis = torch.linalg.svd(weight, full_matrices=False).U
    u = u - basis @ (basis.T @ u)
    v = torch.nn.functional.normalize(torch.randn(1, 30, generator=rng))
    return LowRank(size * u / u.norm(), v)


def damped(weight, change, rng, factor=0.5):
    """Damp a change over a weight; return the dense result and the count."""
    own = top_directions(weight, 30, rng).left
    changed = top_directions(weight + dense(change).float(), 5, rng)
    found, count = damp_intruders(change, changed, own, max_cosine=0.5, factor=factor)
    return dense(found), count


def test_an_intruder_is_weakened_and_nothing_else(weight, rng):
    """
    A strong direction outside of all that the base has.
    """
    change = intruder(weight, rng)

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


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0])
def test_damping_is_that_of_the_dense_svd(weight, rng, factor):
    """
    Each singular triple of base + change that intrudes is multiplied, the others
    stay. The matrix is narrower than what the randomised method draws, so the bound
    is float32's rounding.
    """
    parts = [intruder(weight, rng, size) for size in (20.0, 9.0)]
    change = compose(parts)
    changed = weight.double() + dense(change)
    left, sigma, right = torch.linalg.svd(changed, full_matrices=False)
    base = torch.linalg.svd(weight.double(), full_matrices=False).U
    intruding = (left[:, :5].T @ base).abs().amax(dim=1) < 0.5
    taken = (left[:, :5] * sigma[:5] * intruding) @ right[:5]

    found, count = damped(weight, change, rng, factor)

    assert count == int(intruding.sum()) > 0
    expected = changed - (1 - factor) * taken
    error = (weight.double() + found - expected).norm() / changed.norm()
    assert float(error) < 1e-5


def test_with_factor_zero_nothing_of_an_intruder_is_left(weight, rng):
    """
    To float32's rounding, since what is taken was read from the same matrix.
    """
    change = intruder(weight, rng)
    changed = top_directions(weight + dense(change).float(), 5, rng)
    own = top_directions(weight, 30, rng).left

    found, count = damp_intruders(change, changed, own, max_cosine=0.5, factor=0.0)

    gone = (changed.left.T @ own).abs().amax(dim=1) < 0.5
    left = changed.left[:, gone].double()
    written = left.T @ (weight.double() + dense(found))
    assert count == left.shape[1] == 1
    assert float(written.norm() / changed.sigma[0]) < 1e-5


def test_directions_of_no_strength_do_not_intrude(rng):
    """
    Base + change has two directions; the others of the five that are looked at are
    anywhere, and none of them is there to be weakened.
    """
    up, down = torch.randn(40, 2, generator=rng), torch.randn(2, 30, generator=rng)
    own = top_directions(up @ down, 2, rng).left
    change = LowRank(0.1 * up, down)
    changed = top_directions(1.1 * up @ down, 5, rng)

    found, count = damp_intruders(change, changed, own, max_cosine=0.9, factor=0.0)

    assert count == 0
    assert found is change


def test_a_zero_change_has_no_intruders(weight, rng):
    found, count = damped(weight, LowRank.zero((40, 30)), rng)

    assert count == 0
    assert torch.count_nonzero(found) == 0
