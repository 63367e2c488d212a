"""Whether days hold on to the base, and what is asked of a night accordingly."""

import pytest

from sleepcycle.settings import base_hold
from sleepcycle.settings.config import Settings, WakeSettings


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
    ("share", "turns", "parameters", "held"),
    [
        ("auto", 1024, 1_700_000, False),
        ("auto", 1024, 135_000_000, True),
        (0.0, 1024, 135_000_000, False),
        (0.25, 1024, 1_700_000, True),
        ("auto", 0, 135_000_000, False),
    ],
)
def test_a_gate_asks_more_of_days_that_hold_on(share, turns, parameters, held):
    settings = Settings(wake={"general_share": share}, bank={"turns": turns})

    found = base_hold.gate_limits(settings, parameters)

    bounds = found.max_general_kl, found.max_agreement_loss
    narrow = base_hold.HELD_KL, base_hold.HELD_AGREEMENT_LOSS
    assert bounds == (narrow if held else (base_hold.LOOSE_KL, 1.0))


def test_an_owner_s_bounds_stay():
    settings = Settings(gate={"max_general_kl": 0.5, "max_agreement_loss": 0.2})

    assert base_hold.gate_limits(settings, 135_000_000) == settings.gate


class TestNightStages:
    """What `sleep.stages` comes to, by itself."""

    @pytest.mark.parametrize(
        ("share", "parameters", "stages"),
        [
            ("auto", 135_000_000, ["svd"]),
            ("auto", 1_700_000, ["svd", "rem"]),
            (0.0, 135_000_000, ["svd", "rem"]),
            (0.25, 1_700_000, ["svd"]),
        ],
    )
    @pytest.mark.parametrize("memory", [["store"], []])
    def test_a_night_relearns_where_days_do_not_hold_on(
        self, share, parameters, stages, memory
    ):
        settings = Settings(
            wake={"general_share": share}, sleep={"rem": {"memory": memory}}
        )

        assert list(base_hold.night_stages(settings, parameters)) == stages

    @pytest.mark.parametrize("memory", [["archive"], ["last"], ["store", "archive"]])
    def test_where_dreams_are_to_be_made_they_are(self, memory):
        settings = Settings(sleep={"rem": {"memory": memory}})

        stages = base_hold.night_stages(settings, 135_000_000)

        assert list(stages) == ["svd", "rem"]

    @pytest.mark.parametrize("stages", [["svd", "rem"], ["rem", "svd"], ["svd"], []])
    @pytest.mark.parametrize("parameters", [1_700_000, 135_000_000])
    def test_what_the_owner_names_is_what_is_done(self, stages, parameters):
        settings = Settings(sleep={"stages": stages})

        assert list(base_hold.night_stages(settings, parameters)) == stages
