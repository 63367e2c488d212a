"""A home with some days in it, and its dashboard."""

import shutil

import pytest

from sleepcycle.home.opening import open_home
from tests.dashboard.conftest import Dashboard
from tests.home.lived import feed, live_days, tiny


@pytest.fixture(scope="session")
def lived_once(new_home, tmp_path_factory):
    """A home of two nights and a day that has begun, made once for all tests."""
    root = tmp_path_factory.mktemp("lived") / "home"
    shutil.copytree(new_home, root)
    home = tiny(root, dreaming=True)
    live_days(home, "monday", "tuesday")
    feed(home, "wednesday")
    home.wake()
    return root


@pytest.fixture
def lived(lived_once, tmp_path):
    """The dashboard of a copy of it."""
    shutil.copytree(lived_once, tmp_path / "lived")
    served = Dashboard(tmp_path / "lived")
    yield served
    served.http.stop()


@pytest.fixture
def lived_home(lived):
    """The home behind it."""
    return open_home(lived.paths.root)


@pytest.fixture
def reader(lived):
    """A browser that is signed in there."""
    return lived.browser()
