"""The ways to live through the lessons, and their settings."""

from dataclasses import replace

import pytest

from sleepcycle_study.memory.methods import METHODS, PRIMARY, TWO_BY_TWO, settings


def test_masks_leave_half_the_rank_after_the_first_fold():
    arm = METHODS["sequential + svd 8, masks"]

    ranks = [settings(arm, 24, 64, first=first).wake.rank for first in (True, False)]

    assert ranks == [16, 8]


@pytest.mark.parametrize("name", ["joint", "replay 50 %", "store, no rem"])
def test_half_more_differs_in_what_is_shown_alone(name):
    more = METHODS[f"{name}, half more"]

    assert more.more == 1.5
    assert replace(more, more=1.0) == METHODS[name]


@pytest.mark.parametrize("mean", ["token", "example"])
@pytest.mark.parametrize("name", ["store", "store, no rem, half more"])
def test_another_mean_of_the_loss_is_all_that_differs(name, mean):
    other = METHODS[f"{name}, by {mean}"]

    assert replace(other, wake={}) == METHODS[name]
    assert settings(other, 24, 64, first=True).wake.loss_reduction == mean


def test_the_primary_comparison_is_of_two_of_the_four_ways():
    assert set(PRIMARY) < set(TWO_BY_TWO)


@pytest.mark.parametrize(("name", "dreams"), [("store", 32), ("store, no rem", 0)])
def test_the_base_dreams_for_the_gate_where_rem_is_stopped_by_it_alone(name, dreams):
    assert settings(METHODS[name], 24, 64, first=True).gate.probe_dreams == dreams
