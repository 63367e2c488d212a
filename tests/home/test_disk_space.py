import pytest

from sleepcycle.errors import RunError
from sleepcycle.files import disk
from sleepcycle.home.disk_space import expect_room, wanted_bytes
from sleepcycle.settings.config import EngineSettings

RESERVE = EngineSettings(reserve_mb=2)


class Room(disk.System):
    """A disk with so much room, and how often that was asked."""

    def __init__(self, free):
        self.free, self.looked = free, 0

    def free_bytes(self, path):
        self.looked += 1
        return self.free


@pytest.fixture
def room(monkeypatch):
    """Let the disk have so much room."""

    def put(free):
        system = Room(free)
        monkeypatch.setattr(disk, "system", system)
        return system

    return put


class TestExpectRoom:
    def test_room_for_the_reserve_is_enough_before_the_first_version(self, home, room):
        room(2_000_000)

        expect_room(home.paths, RESERVE)

    def test_a_byte_less_is_refused(self, home, room):
        room(1_999_999)

        with pytest.raises(RunError, match="expected 2 MB of free space"):
            expect_room(home.paths, RESERVE)


class TestWantedBytes:
    def test_the_newest_version_is_wanted_three_times(self, home):
        for name, size in (("v0002-b", 10), ("v0010-a", 100)):
            folder = home.paths.versions / name
            folder.mkdir()
            (folder / "file").write_bytes(bytes(size))

        assert wanted_bytes(home.paths, RESERVE) == 2_000_000 + 3 * 100


class TestHome:
    @pytest.mark.parametrize("kind", ["wake", "sleep"])
    def test_the_room_for_a_run_by_hand_is_looked_at_once(self, home, room, kind):
        system = room(0)

        with pytest.raises(RunError, match="of free space"):
            getattr(home, kind)()

        assert system.looked == 1
