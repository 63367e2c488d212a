"""Continual-learning metrics on matrices small enough to work out by hand."""

import pytest

from sleepcycle.numerics.metrics import retention_metrics

FORGETFUL = [
    [0.9, 0.1, 0.2],
    [0.6, 0.8, 0.3],
    [0.3, 0.7, 0.9],
]


def test_by_hand():
    found = retention_metrics(FORGETFUL, base=[0.0, 0.0, 0.1])

    assert found.acc == pytest.approx((0.3 + 0.7 + 0.9) / 3)
    assert found.bwt == pytest.approx(((0.3 - 0.9) + (0.7 - 0.8)) / 2)
    assert found.fwt == pytest.approx(((0.1 - 0.0) + (0.3 - 0.1)) / 2)
    assert found.forgetting == pytest.approx(((0.9 - 0.3) + (0.8 - 0.7)) / 2)
    assert found.learned == pytest.approx((0.9 + 0.8 + 0.9) / 3)


def test_forgetting_is_measured_from_the_best_and_transfer_from_the_first():
    """
    A lesson that got better before it was lost: the two differ by what it had gained.
    """
    matrix = [[0.5, 0.0, 0.0], [0.9, 0.5, 0.0], [0.4, 0.5, 0.5]]

    found = retention_metrics(matrix, base=[0.0, 0.0, 0.0])

    assert found.bwt == pytest.approx((0.4 - 0.5) / 2)
    assert found.forgetting == pytest.approx((0.9 - 0.4) / 2)


def test_a_lesson_that_helps_the_past_is_positive_transfer():
    found = retention_metrics([[0.5, 0.0], [0.7, 0.6]], base=[0.0, 0.0])

    assert found.bwt == pytest.approx(0.2)
    assert found.forgetting == pytest.approx(-0.2)


def test_one_lesson_has_no_transfer():
    found = retention_metrics([[0.7]], base=[0.1])

    assert (found.acc, found.bwt, found.fwt, found.forgetting) == (
        0.7,
        None,
        None,
        None,
    )


class TestIntransigence:
    def test_it_is_what_the_turns_cost(self):
        found = retention_metrics(
            FORGETFUL, base=[0.0, 0.0, 0.0], reference=[1.0, 0.95, 0.9]
        )

        assert found.intransigence == pytest.approx((0.1 + 0.15 + 0.0) / 3)

    def test_a_lesson_learned_better_in_its_turn_is_negative(self):
        found = retention_metrics(
            [[0.9, 0.0], [0.2, 0.7]], base=[0.0, 0.0], reference=[0.5, 0.5]
        )

        assert found.intransigence == pytest.approx(-((0.9 - 0.5) + (0.7 - 0.5)) / 2)

    def test_what_is_forgotten_later_does_not_count(self):
        """
        It asks how well a lesson was learned, forgetting how long it was kept.
        """
        kept = [[0.9, 0.0], [0.9, 0.7]]
        lost = [[0.9, 0.0], [0.0, 0.7]]
        first, second = (
            retention_metrics(m, [0.0, 0.0], [1.0, 1.0]) for m in (kept, lost)
        )

        assert first.intransigence == second.intransigence
        assert first.forgetting < second.forgetting

    def test_one_lesson_has_it(self):
        found = retention_metrics([[0.7]], base=[0.1], reference=[0.9])

        assert found.intransigence == pytest.approx(0.2)

    def test_it_is_unknown_without_a_reference(self):
        assert retention_metrics(FORGETFUL, base=[0.0, 0.0, 0.0]).intransigence is None

    def test_the_reference_needs_a_score_for_each_lesson(self):
        with pytest.raises(ValueError, match=r"a reference of 1 scores, got 2"):
            retention_metrics([[0.7]], base=[0.1], reference=[0.9, 0.9])


def test_a_matrix_must_be_square():
    with pytest.raises(ValueError, match=r"expected 2 rows of 2 scores, got 1 rows"):
        retention_metrics([[0.1, 0.2]], base=[0.0, 0.0])
