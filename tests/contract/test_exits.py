"""The exit codes: 0, 1 for what was foreseen, 2 for usage, 75 for another owner."""

import pytest

from tests.contract import golden

GOLDEN = "exits.json"


def test_commands_are_the_same(record):
    """
    What a life asks for is what the file has, so that no command is left out.
    """
    assert list(golden.exits(record)) == golden.parts(GOLDEN)


@pytest.mark.parametrize("name", golden.parts(GOLDEN))
def test_exit_code_is_that_of_before(record, name):
    """
    Scripts and systemd decide by it.
    """
    assert golden.exits(record)[name] == golden.read(GOLDEN)[name]


def test_every_kind_of_end_is_met(record):
    """
    Else a code could change without any command to tell.
    """
    assert set(record["codes"].values()) == {0, 1, 2, 75}


def test_what_was_foreseen_is_told_in_one_line(record):
    """
    On standard error, after the name of the program, and without a traceback.
    """
    told = {n: text for n, text in record["errors"].items() if record["codes"][n] == 1}

    assert told
    for text in told.values():
        [line] = text.strip().splitlines()
        assert line.startswith("sleepcycle: ")
