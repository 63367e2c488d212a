"""A home of some days, its backup, and a place where a backup must be refused."""

import shutil

import pytest

from sleepcycle.backup import archive
from sleepcycle.backup.backup import back_up
from sleepcycle.errors import BackupError
from sleepcycle.home.opening import create_home
from tests.backup.saved import put_back
from tests.faults.invariants import surroundings
from tests.home.lived import feed, live_days, tiny


@pytest.fixture(scope="session")
def lived_once(tmp_path_factory):
    """A home of two days, and an open third."""
    root = tmp_path_factory.mktemp("once") / "home"
    create_home(root)
    home = tiny(root)
    live_days(home, "monday", "tuesday")
    feed(home, "wednesday")
    home.wake()
    feed(home, "thursday")
    (root / "token").write_text("secret")
    (root / "tokens.json").write_text('{"tokens": []}')
    (root / "inbox").mkdir()
    (root / "inbox" / "new.jsonl").write_text("{}")
    return root


@pytest.fixture
def lived(lived_once, tmp_path):
    """A copy of that home, to do with as a test likes."""
    shutil.copytree(lived_once, tmp_path / "place" / "home")
    return tiny(tmp_path / "place" / "home")


@pytest.fixture(scope="session")
def saved_once(lived_once, tmp_path_factory):
    """A backup of that home."""
    file = tmp_path_factory.mktemp("saved") / "b.tar"
    home = tiny(lived_once)
    back_up(home.paths, home.settings.store, file, actor="test")
    return file


@pytest.fixture
def taken_out(saved_once, tmp_path):
    """The files of a backup, and its contents."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder, archive.unpack(saved_once, folder)


@pytest.fixture
def refused(tmp_path):
    """Restore a file that must be refused, and look that nothing is left of it."""
    place = tmp_path / "place"
    place.mkdir()

    def check(file, match, error=BackupError):
        before = surroundings(place)
        with pytest.raises(error, match=match):
            put_back(file, place / "home")
        assert list(place.iterdir()) == []
        assert surroundings(place) == before

    return check
