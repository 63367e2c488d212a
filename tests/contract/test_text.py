"""The text of every command that reports: headers, cells and sentences."""

import pytest

from tests.contract import golden

GOLDEN = "text.txt"


def test_commands_are_the_same(record):
    """
    What a life asks for is what the file has, so that no command is left out.
    """
    assert list(golden.texts(record)) == golden.parts(GOLDEN)


@pytest.mark.parametrize("name", golden.parts(GOLDEN))
def test_text_reads_as_it_did(record, name):
    """
    A script may cut it at its columns; what is measured has a placeholder.
    """
    assert golden.texts(record)[name] == golden.read(GOLDEN)[name]
