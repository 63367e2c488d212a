"""The files of a home: their names, keys, tables, and the actions of the journal."""

import pytest

from tests.contract import golden

GOLDEN = "files.json"


def test_kinds_of_files_are_the_same(record):
    """
    Each of them is read by a later release, or by people.
    """
    assert list(golden.files(record)) == golden.parts(GOLDEN)


@pytest.mark.parametrize("name", golden.parts(GOLDEN))
def test_files_have_their_names_and_keys(record, name):
    """
    A home that exists must go on to be one after an update.
    """
    assert golden.files(record)[name] == golden.read(GOLDEN)[name]
