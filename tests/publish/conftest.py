"""A home with two versions that were live, and servers to bring them to."""

import shutil

import pytest

from sleepcycle.home.opening import create_home, open_home
from sleepcycle.publish.driver import WantedVersion
from sleepcycle.settings.configfile import settings_from
from tests.home.lived import SETTINGS, live_days, tiny
from tests.publish.fake_servers import FakeSglang, FakeVllm


@pytest.fixture(scope="session")
def lived_once(tmp_path_factory):
    """A home whose v2 was live, and whose v4 is."""
    root = tmp_path_factory.mktemp("lived") / "home"
    create_home(root)
    live_days(tiny(root), "first", "second")
    return root


@pytest.fixture
def home(lived_once, tmp_path):
    """A copy of it, to be changed."""
    shutil.copytree(lived_once, tmp_path / "home")
    return open_home(tmp_path / "home", settings=settings_from(SETTINGS))


@pytest.fixture
def wanted(home):
    """Returns what a target is handed of one version."""

    def of(name):
        version = home.versions.get(name)
        return WantedVersion(version.name, home.versions.folder(version), "acme/base")

    return of


@pytest.fixture
def vllm():
    server = FakeVllm()
    yield server
    server.kill()


@pytest.fixture
def sglang():
    server = FakeSglang()
    yield server
    server.kill()
