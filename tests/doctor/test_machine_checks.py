from datetime import UTC, datetime, timedelta

import pytest

from sleepcycle.doctor.inspection import Level
from tests.doctor.examined import add_version, look, worst


class TestMachine:
    @pytest.mark.parametrize(
        ("version", "level"),
        [((3, 37, 2), Level.FAIL), ((3, 51, 2), Level.WARN), ((3, 51, 3), Level.OK)],
    )
    def test_sqlite_is_named_with_what_follows(self, home, version, level):
        assert look(home, sqlite=version)["sqlite"].level is level

    @pytest.mark.parametrize(
        ("kind", "level"),
        [("ext4", "ok"), (None, "ok"), ("nfs4", "warn"), ("fuse.sshfs", "warn")],
    )
    def test_a_network_file_system_is_worth_a_look(self, home, kind, level):
        assert look(home, file_system=kind)["file system"].level == level

    def test_a_file_system_that_takes_no_writes_fails(self, home):
        found = look(home, read_only=True)

        assert worst(found) == ["file system"]
        assert "is read-only, so nothing can be" in found["file system"].message

    def test_a_full_disk_fails(self, home):
        folder = add_version(home, 1)
        with (folder / "adapter_model.safetensors").open("ab") as file:
            file.truncate(10_000_000)

        assert look(home, free_bytes=285 * 10**6)["disk"].level is Level.FAIL
        assert look(home, free_bytes=287 * 10**6)["disk"].level is Level.OK

    def test_little_memory_is_worth_a_look(self, home):
        found = look(home, memory_bytes=10**8)["memory"]

        assert found.level is Level.WARN
        assert found.message.endswith("0.1 GB of memory are free")
        assert "take a smaller base" in found.fix
        assert not found.figures["fits"]

    def test_a_clock_that_was_never_set_fails(self, home):
        now = datetime(1970, 1, 1, tzinfo=UTC)

        assert look(home, now=now)["clock"].level is Level.FAIL

    def test_a_clock_behind_the_database_is_worth_a_look(self, home):
        now = datetime.now(UTC) - timedelta(hours=1)

        found = look(home, now=now)["clock"]

        assert found.level is Level.WARN
        assert "the database has an entry" in found.message

    def test_a_zone_that_cannot_be_told_fails_unless_one_is_set(self, home):
        assert worst(look(home, zone=None)) == ["time zone"]
        home.paths.config.write_text('[sleep]\ntimezone = "Asia/Tokyo"\n')
        assert worst(look(home, zone=None)) == []
