"""A home that the scheduler looks after, and what most of its tests begin with."""

from contextlib import contextmanager

import pytest

from sleepcycle.home.opening import create_home
from tests.daemon.scheduler_home import Desk, backdate, copy_home


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """A home that was made in the morning, once for all tests."""
    root = tmp_path_factory.mktemp("made") / "home"
    create_home(root)
    backdate(root)
    return root


@contextmanager
def desk_at(made_once, folder, settings):
    """Yield a desk over a copy of a home; whatever runs is let go at the end."""
    made = Desk(copy_home(made_once, folder / "home"), settings)
    yield made
    made.engine.release()
    made.settle()
