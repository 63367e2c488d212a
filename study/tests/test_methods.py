"""The ways to live through the lessons, and their settings."""

from dataclasses import replace

import pytest

from sleepcycle_study.memory.methods import METHODS, settings


def test_masks_leave_half_the_rank_after_the_first_fold():
    arm = METHODS["sequential + svd 8, masks"]

    ranks = [settings(arm, 24, 64, first=first).wake.rank for first in (True, False)]

    assert ranks == [16, 8]


@pytest.mark.parametrize("name", ["joint", "replay 50 %"])
def test_half_more_differs_in_what_is_shown_alone(name):
    more = METHODS[f"{name}, half more"]

    assert more.more == 1.5
    assert replace(more, more=1.0) == METHODS[name]
