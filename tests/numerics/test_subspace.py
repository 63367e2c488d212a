"""Differences of changes against dense matrices, and known angles."""

import pytest
import torch

from sleepcycle.errors import RankError
from sleepcycle.numerics.lowrank import LowRank, pad
from sleepcycle.numerics.subspace import compare, difference_norm, stable_rank
from tests.numerics.conftest import dense


def test_distance_and_cosine_are_the_dense_ones(random_change):
    a, b = random_change(), random_change(width=3)

    found = compare(a, b)

    distance = torch.linalg.norm(dense(a) - dense(b))
    cosine = torch.cosine_similarity(dense(a).flatten(), dense(b).flatten(), dim=0)
    assert found.distance == pytest.approx(float(distance), rel=1e-6)
    assert found.cosine == pytest.approx(float(cosine), abs=1e-6)
    assert (found.rank_a, found.rank_b) == (4, 3)


def test_other_factors_of_the_same_product_do_not_differ(random_change, rng):
    """
    A and B differ in every entry; the change does not.
    """
    a = random_change()
    gauge = torch.randn(4, 4, generator=rng)
    b = LowRank(a.up @ gauge, torch.linalg.solve(gauge, a.down))

    found = compare(a, b)

    assert found.relative_distance < 1e-5
    assert found.cosine == pytest.approx(1, abs=1e-6)
    assert found.largest_angle_deg < 0.1


def test_a_small_difference_is_not_lost_in_rounding(random_change):
    """
    One part in a million; the difference of squared norms would show nothing.
    """
    a = random_change()
    b = LowRank(a.up * (1 + 1e-6), a.down)

    expected = float(torch.linalg.norm(dense(a) - dense(b)))
    assert difference_norm(a, b) == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("angle", [0.0, 30.0, 60.0, 90.0])
def test_a_known_angle_is_found(angle):
    radians = torch.deg2rad(torch.tensor(angle))
    down = torch.ones(1, 3)
    a = LowRank(torch.tensor([[1.0], [0.0]]), down)
    b = LowRank(torch.stack([radians.cos(), radians.sin()])[:, None], down)

    assert compare(a, b).largest_angle_deg == pytest.approx(angle, abs=0.1)


def test_a_zero_change_has_no_angle_and_no_cosine(random_change):
    a = random_change()

    found = compare(a, LowRank(a.up * 0, a.down))

    assert (found.cosine, found.mean_angle_deg, found.rank_b) == (None, None, 0)
    assert found.relative_distance == pytest.approx(1)


def test_padding_makes_no_difference(random_change):
    a = random_change()

    found = compare(a, pad(a, 9))

    assert found.relative_distance < 1e-6
    assert found.rank_b == 4


def test_other_shapes_are_refused(random_change):
    with pytest.raises(RankError, match=r"one shape, got \(24, 18\) and \(9, 18\)"):
        compare(random_change(), random_change(out=9))


def test_stable_rank_counts_equal_directions():
    assert stable_rank(torch.tensor([3.0, 3.0, 3.0])) == pytest.approx(3)
    assert stable_rank(torch.tensor([3.0, 0.0])) == pytest.approx(1)
    assert stable_rank(torch.zeros(4)) == 0
