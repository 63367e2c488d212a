"""The JSON of every command that reports: keys, and the type of each leaf."""

import pytest

from tests.contract import golden

GOLDEN = "json.json"


def test_commands_are_the_same(record):
    """
    What a life asks for is what the file has, so that no command is left out.
    """
    assert list(golden.jsons(record)) == golden.parts(GOLDEN)


@pytest.mark.parametrize("name", golden.parts(GOLDEN))
def test_json_has_its_keys(record, name):
    """
    A program that reads it finds each value where it was, and of the same type.
    """
    assert golden.jsons(record)[name] == golden.read(GOLDEN)[name]
