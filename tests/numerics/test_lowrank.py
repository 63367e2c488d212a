"""Low-rank algebra against the dense matrices that it never forms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sleepcycle.errors import AdapterError, RankError
from sleepcycle.numerics.lowrank import (
    LowRank,
    compose,
    compose_layers,
    decompose,
    pad,
    trim,
)
from tests.numerics.conftest import dense


def decomposed(change):
    return decompose({"layer": change})["layer"]


class TestCompose:
    def test_it_is_the_exact_sum(self, random_change):
        a, b = random_change(), random_change(width=3)

        torch.testing.assert_close(dense(compose([a, b])), dense(a) + dense(b))

    def test_adding_factors_is_not(self, random_change):
        """
        The reason this function exists: cross terms are most of the result.
        """
        a, b = random_change(), random_change()
        wrong = LowRank(a.up + b.up, a.down + b.down)

        error = torch.linalg.norm(dense(wrong) - dense(compose([a, b])))

        assert error > 0.5 * torch.linalg.norm(dense(compose([a, b])))

    def test_columns_keep_their_order(self, random_change):
        a, b = random_change(), random_change()

        whole = compose([a, b])

        assert torch.equal(whole.up[:, : a.rank], a.up)
        assert torch.equal(whole.down[a.rank :], b.down)

    def test_other_shapes_are_refused(self, random_change):
        with pytest.raises(
            RankError, match=r"one shape, got \[\(24, 18\), \(24, 19\)\]"
        ):
            compose([random_change(), random_change(size=19)])

    def test_a_layer_may_be_in_one_adapter_alone(self, random_change):
        a, b = random_change(), random_change()

        whole = compose_layers({"x": a, "y": a}, {"y": b})

        assert whole["x"].rank == a.rank
        torch.testing.assert_close(dense(whole["y"]), dense(a) + dense(b))


class TestKeep:
    @pytest.mark.parametrize("rank", range(5))
    def test_nothing_of_that_rank_is_nearer(self, random_change, rank):
        """
        The error is the tail of the dense spectrum: Eckart and Young's bound.
        """
        change = compose([random_change(width=2), random_change(width=3)])

        kept = decomposed(change).keep(rank)

        error = torch.linalg.norm(dense(change) - dense(kept))
        tail = torch.linalg.norm(torch.linalg.svdvals(dense(change))[rank:])
        torch.testing.assert_close(error, tail, rtol=1e-5, atol=1e-5)

    def test_no_more_than_the_change_has(self, random_change):
        with pytest.raises(RankError, match=r"must be in 0\.\.4, got 5"):
            decomposed(random_change()).keep(5)

    def test_factors_are_balanced(self, random_change):
        """
        Each direction is as strong in one factor as in the other.
        """
        kept = decomposed(random_change()).keep(4)

        torch.testing.assert_close(kept.up.norm(dim=0), kept.down.norm(dim=1))

    def test_other_factors_of_the_same_product_give_the_same(self, random_change, rng):
        """
        (B G, G⁻¹ A) is the same change as (B, A), and has the same fold.
        """
        change = random_change()
        gauge = torch.randn(4, 4, generator=rng)
        other = LowRank(change.up @ gauge, torch.linalg.solve(gauge, change.down))

        a, b = decomposed(change).keep(2), decomposed(other).keep(2)

        torch.testing.assert_close(a.up, b.up, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(a.down, b.down, rtol=1e-3, atol=1e-4)

    def test_twice_is_once(self, random_change):
        once = decomposed(random_change()).keep(2)

        twice = decomposed(once).keep(2)

        torch.testing.assert_close(dense(twice), dense(once), rtol=1e-5, atol=1e-5)


class TestDecompose:
    @settings(max_examples=40, deadline=None)
    @given(
        out=st.integers(1, 12),
        width=st.integers(1, 16),
        size=st.integers(1, 12),
        seed=st.integers(0, 999),
    )
    def test_singular_values_are_the_dense_ones(self, out, width, size, seed):
        """
        Also where the factors are wider than the layer, and for rank 1.
        """
        rng = torch.Generator().manual_seed(seed)
        change = LowRank(
            torch.randn(out, width, generator=rng),
            torch.randn(width, size, generator=rng),
        )

        found = decomposed(change).sigma

        expected = torch.linalg.svdvals(dense(change))[: len(found)]
        assert len(found) == min(out, width, size)
        torch.testing.assert_close(
            found, expected, rtol=1e-5, atol=1e-6 * float(expected[0])
        )

    def test_values_six_digits_below_the_strongest_are_right(self, rng):
        """
        The Gram matrix squares the condition number; float64 has room for that.
        """
        up, _ = torch.linalg.qr(torch.randn(40, 4, generator=rng).double())
        down, _ = torch.linalg.qr(torch.randn(30, 4, generator=rng).double())
        sigma = torch.tensor([1.0, 1e-2, 1e-4, 1e-6], dtype=torch.float64)

        found = decomposed(LowRank(up * sigma, down.T)).sigma

        torch.testing.assert_close(found, sigma, rtol=1e-3, atol=0)

    def test_zero_padding_adds_no_direction(self, random_change):
        change = random_change()

        wide = decomposed(pad(change, 9))

        assert wide.rank == decomposed(change).rank == 4
        torch.testing.assert_close(
            dense(wide.keep(4)), dense(change), rtol=1e-5, atol=1e-5
        )

    def test_a_repeated_direction_counts_once(self, random_change):
        change = random_change(width=2)

        twice = decomposed(compose([change, change]))

        assert twice.rank == 2
        torch.testing.assert_close(
            dense(twice.keep(2)), 2 * dense(change), rtol=1e-5, atol=1e-5
        )

    def test_a_zero_change_has_rank_zero(self):
        zero = LowRank(torch.zeros(6, 3), torch.zeros(3, 5))

        found = decomposed(zero)

        assert found.rank == 0
        assert torch.equal(dense(found.keep(2)), dense(zero))

    def test_layers_together_are_as_one_by_one(self, random_change):
        layers = {
            "a": random_change(),
            "b": random_change(out=7, width=3),
            "c": random_change(size=33),
        }

        together = decompose(layers)

        assert list(together) == list(layers)
        for name, change in layers.items():
            torch.testing.assert_close(together[name].sigma, decomposed(change).sigma)

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    @pytest.mark.parametrize("factor", ["up", "down"])
    def test_a_broken_value_is_refused_by_its_layer(self, random_change, value, factor):
        change = random_change()
        getattr(change, factor)[1, 2] = value

        with pytest.raises(AdapterError, match="bad: expected finite weights"):
            decompose({"good": random_change(), "bad": change})

    def test_half_precision_factors_are_read(self, random_change):
        change = random_change()
        half = LowRank(change.up.bfloat16(), change.down.bfloat16())

        kept = decomposed(half).keep(4)

        assert kept.up.dtype is torch.float32
        torch.testing.assert_close(dense(kept), dense(half), rtol=1e-5, atol=1e-5)


def test_factors_that_do_not_meet_are_refused():
    with pytest.raises(
        RankError, match=r"inner width, got up \(3, 2\) and down \(4, 5\)"
    ):
        LowRank(torch.zeros(3, 2), torch.zeros(4, 5))


def test_padding_does_not_cut(random_change):
    with pytest.raises(RankError, match="cannot pad a change of width 4 to 3"):
        pad(random_change(), 3)


class TestTrim:
    def test_it_undoes_padding_and_changes_nothing(self, random_change):
        changes = {"a": random_change(width=2), "b": random_change(out=7, width=3)}
        padded = {name: pad(change, 8) for name, change in changes.items()}

        trimmed = trim(padded)

        assert [change.rank for change in trimmed.values()] == [3, 3]
        for name, change in changes.items():
            assert torch.equal(dense(trimmed[name]), dense(padded[name]))
            assert torch.allclose(dense(trimmed[name]), dense(change))

    def test_a_zero_in_the_middle_stays(self, random_change):
        change = random_change(width=3)
        change.up[:, 1] = 0
        change.down[1] = 0

        assert trim({"a": change})["a"].rank == 3

    def test_of_nothing_nothing_is_left(self):
        assert trim({}) == {}
        assert trim({"a": LowRank.zero((3, 4))})["a"].rank == 0


class TestUneven:
    """Factors whose columns are of very unlike length, as training may leave them."""

    def test_a_tiny_column_with_a_huge_row_counts(self, random_change):
        a, b = random_change(), random_change()
        uneven = LowRank(a.up * 1e-8, a.down * 1e8)

        found = decomposed(compose([uneven, b]))

        assert found.rank == 8
        whole = dense(compose([a, b]))
        error = (dense(found.keep(8)) - whole).norm() / whole.norm()
        assert error < 1e-5

    @pytest.mark.parametrize("least", [1e-2, 1e-3, 1e-4])
    def test_factors_that_cancel_each_other_lose_little(self, rng, least):
        scales = torch.logspace(0, float(torch.log10(torch.tensor(least))), 8)
        left = torch.linalg.qr(torch.randn(24, 8, generator=rng)).Q
        right = torch.linalg.qr(torch.randn(18, 8, generator=rng)).Q.T
        turn = torch.linalg.qr(torch.randn(8, 8, generator=rng)).Q
        change = LowRank(left * scales @ turn, turn.T / scales @ right)

        found = decomposed(change).keep(8)

        error = (dense(found) - dense(change)).norm() / dense(change).norm()
        assert error < 1e-5


class TestMoments:
    """Decomposition by what the layers read, against a dense covariance."""

    @pytest.fixture
    def covariance(self, rng):
        """An uneven covariance of the inputs, (18, 18)."""
        spread = torch.randn(18, 18, generator=rng, dtype=torch.float64)
        return spread @ torch.diag(torch.logspace(1, -2, 18).double()) @ spread.T

    @staticmethod
    def written(matrix, covariance):
        """Return the mean square of what a matrix writes, E|matrix x|²."""
        return float(torch.trace(matrix @ covariance @ matrix.T))

    def weighted(self, change, covariance):
        moment = change.down.double() @ covariance @ change.down.double().T
        return decompose({"layer": change}, {"layer": moment})["layer"]

    def test_strength_is_that_of_the_dense_product(self, random_change, covariance):
        change = random_change(width=6)
        root = torch.linalg.cholesky(covariance)

        found = self.weighted(change, covariance).sigma

        expected = torch.linalg.svdvals(dense(change) @ root)[:6]
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("rank", [0, 1, 2, 4, 6])
    def test_no_change_of_that_rank_writes_nearer(
        self, random_change, covariance, rank
    ):
        """
        The error is the tail of the weighted spectrum, as Eckart and Young have it.
        """
        change = random_change(width=6)
        found = self.weighted(change, covariance)

        error = dense(change) - dense(found.keep(rank))

        tail = float(found.sigma[rank:].square().sum())
        whole = float(found.sigma.square().sum())
        assert self.written(error, covariance) == pytest.approx(tail, abs=1e-6 * whole)

    def test_it_beats_the_plain_truncation(self, random_change, covariance):
        change = random_change(width=6)

        plain = dense(change) - dense(decomposed(change).keep(2))
        aware = dense(change) - dense(self.weighted(change, covariance).keep(2))

        assert self.written(aware, covariance) < self.written(plain, covariance)

    def test_even_inputs_change_nothing(self, random_change):
        change = random_change(width=6)

        even = self.weighted(change, torch.eye(18, dtype=torch.float64))

        torch.testing.assert_close(even.sigma, decomposed(change).sigma)
        torch.testing.assert_close(
            dense(even.keep(3)), dense(decomposed(change).keep(3)), rtol=0, atol=1e-4
        )

    def test_directions_have_their_length(self, random_change, covariance):
        found = self.weighted(random_change(width=6), covariance)

        rows = found.mix_down @ found.change.down.double()
        torch.testing.assert_close(rows.norm(dim=1), torch.ones(6).double())
