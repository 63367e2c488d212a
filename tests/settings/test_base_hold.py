"""Whether days hold on to the base, and what is asked of a night accordingly."""

import pytest

from sleepcycle.settings import base_hold
from sleepcycle.settings.config import GateSettings, WakeSettings


@pytest.mark.parametrize(
    ("given", "parameters", "share"),
    [
        ("auto", 1_700_000, 0),
        ("auto", 135_000_000, 0.25),
        (0.5, 1_700_000, 0.5),
        (0.0, 135_000_000, 0),
    ],
)
def test_a_small_base_has_no_turns_of_its_own_by_itself(given, parameters, share):
    settings = WakeSettings(general_share=given)

    settled = base_hold.settled(settings, parameters)

    assert settled.general_share == share
    assert settled.model_copy(update={"general_share": given}) == settings


@pytest.mark.parametrize(
    ("given", "share", "parameters", "bound"),
    [
        ("auto", "auto", 1_700_000, base_hold.LOOSE_KL),
        ("auto", "auto", 135_000_000, base_hold.HELD_KL),
        ("auto", 0.0, 135_000_000, base_hold.LOOSE_KL),
        ("auto", 0.25, 1_700_000, base_hold.HELD_KL),
        (0.5, "auto", 135_000_000, 0.5),
    ],
)
def test_a_gate_asks_more_of_days_that_hold_on(given, share, parameters, bound):
    gate = GateSettings(max_general_kl=given)

    found = base_hold.limits(gate, WakeSettings(general_share=share), parameters)

    assert found == gate.model_copy(update={"max_general_kl": bound})
