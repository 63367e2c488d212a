"""Faults of a TOML file: each key in a sentence, and an error of ours."""

import pytest

from sleepcycle.errors import ConfigError
from sleepcycle.settings.faults import checked
from sleepcycle.settings.section import Section


class Lamp(Section):
    """A table of keys."""

    floor: int
    """Where it is."""

    lit: bool = False
    """Whether it is on."""


def test_right_fields_are_the_model():
    assert checked(Lamp, {"floor": 3, "lit": True}) == Lamp(floor=3, lit=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "unknown key flor; did you mean floor?"),
        ({"noun": "setting"}, "unknown setting flor; did you mean floor?"),
        ({"file": "a.toml"}, "a.toml: unknown key flor; did you mean floor?"),
    ],
)
def test_a_fault_is_a_sentence(options, message):
    with pytest.raises(ConfigError, match="unknown") as fault:
        checked(Lamp, {"floor": 3, "flor": 4}, **options)

    assert str(fault.value) == message


def test_each_fault_names_the_file():
    with pytest.raises(ConfigError, match=r"^a: floor: .*; a: lit: expected true or"):
        checked(Lamp, {"floor": "high", "lit": []}, file="a")
