"""Loading without collections of garbage: off in the block, as before after it."""

import gc

import pytest

from sleepcycle.files.quick_import import without_collections


@pytest.fixture(autouse=True)
def as_before():
    """Let collections go on after a test."""
    yield
    gc.enable()


def test_nothing_is_collected_in_the_block():
    with without_collections():
        assert not gc.isenabled()

    assert gc.isenabled()


def test_collections_that_were_off_stay_off():
    gc.disable()

    with without_collections():
        pass

    assert not gc.isenabled()


def test_an_error_in_the_block_does_not_leave_them_off():
    with pytest.raises(ImportError, match="broken"), without_collections():
        raise ImportError("broken")

    assert gc.isenabled()
