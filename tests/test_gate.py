"""The gate's judgement: what it accepts, and which number it names."""

import math
import re

import pytest
import torch

from sleepcycle.config import GateSettings
from sleepcycle.gate import is_finite, judge, note
from sleepcycle.numerics.lowrank import LowRank
from sleepcycle.records import Loss

LIMITS = GateSettings(max_rise=0.5, max_general_rise=1.0)


def moved(rise, start=2.0):
    """Return a held-out loss that rose by so many nats per token."""
    return Loss(live=start, candidate=start + rise, examples=4, tokens=40)


@pytest.mark.parametrize(
    ("today", "known", "accepted", "reason"),
    [
        (moved(-1), moved(0.1), True, "known batches rose 0.100 nats per token"),
        (moved(-1), moved(-0.2), True, "known batches fell 0.200"),
        (moved(-1), moved(0.6), False, "rose 0.600 .* more than 0.5"),
        (moved(0.1), moved(0), False, "today's batches rose 0.100 .* must fall"),
        (moved(0), moved(0), False, "must fall"),
        (moved(math.nan), moved(0), False, "must fall"),
        (moved(-1), moved(math.nan), False, "more than 0.5"),
        (moved(-1), None, True, "nothing known is held out"),
        (None, moved(0.1), True, "nothing of today's batches is held out"),
        (None, None, True, "retention is not measured"),
    ],
)
def test_it_wants_the_new_and_keeps_the_old(today, known, accepted, reason):
    verdict = judge(today, known, None, finite=True, limits=LIMITS)

    assert verdict.accepted is accepted
    assert re.search(reason, verdict.reason)
    assert (verdict.acquisition, verdict.retention) == (today, known)


@pytest.mark.parametrize(("rise", "accepted"), [(0.9, True), (1.1, False)])
def test_what_the_base_can_do_may_not_be_lost(rise, accepted):
    verdict = judge(moved(-1), None, moved(rise), finite=True, limits=LIMITS)

    assert verdict.accepted is accepted
    assert ("dreams of the base rose 1.100" in verdict.reason) is not accepted


def test_broken_weights_are_refused_whatever_the_losses_say():
    verdict = judge(moved(-1), moved(-1), None, finite=False, limits=LIMITS)

    assert (verdict.accepted, verdict.reason) == (False, "weights are not finite")


def test_a_wake_is_noted_and_refused_only_when_broken():
    """
    It is never live, so how much it forgot is the night's matter.
    """
    assert note(moved(1), moved(9), finite=True).accepted
    assert not note(moved(-1), moved(0), finite=False).accepted


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("factor", ["up", "down"])
def test_one_broken_value_is_seen(value, factor):
    change = LowRank(torch.ones(3, 2), torch.ones(2, 4))
    assert is_finite({"layer": change})

    getattr(change, factor)[1, 1] = value

    assert not is_finite({"layer": change})
