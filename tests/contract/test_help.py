"""The help of every command: its words, arguments, options and their defaults."""

import pytest

from tests.contract import golden

GOLDEN = "help.txt"


def test_commands_are_the_same(record):
    """
    The commands that help lists are found from the root down.
    """
    assert list(golden.helps(record)) == golden.parts(GOLDEN)


@pytest.mark.parametrize("name", golden.parts(GOLDEN))
def test_help_reads_as_it_did(record, name):
    """
    A renamed option breaks scripts, and its help is the first to say so.
    """
    assert golden.helps(record)[name] == golden.read(GOLDEN)[name]
