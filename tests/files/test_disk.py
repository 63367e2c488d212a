"""The file layer: whole or not at all, in words where it fails, and never twice."""

import errno
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sleepcycle.errors import DiskError
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint, passed
from sleepcycle.files.paths import PACKAGE

PLACE = re.compile(r'failpoint\(\s*"([a-z_.]+)"')
SHARED = {
    "run.claimed",
    "run.ordered",
    "run.computed",
}
"""Places that more than one line of code passes: a wake's and a night's."""


class Telling(disk.System):
    """Notes every call, and refuses what a test says."""

    def __init__(self, refused=None, code=errno.EIO):
        self.refused, self.code = refused, code
        self.told = []

    def note(self, name, detail):
        self.told.append((name, detail))
        if name == self.refused:
            raise OSError(self.code, os.strerror(self.code))

    def write(self, handle, data):
        self.note("write", bytes(data))
        return super().write(handle, data)

    def fsync(self, handle):
        self.note("fsync", None)
        super().fsync(handle)

    def rename(self, source, target):
        self.note("rename", (source.name, target.name))
        super().rename(source, target)


class Slow(disk.System):
    """Takes three bytes at a time."""

    def write(self, handle, data):
        return super().write(handle, data[:3])


class Slower(disk.System):
    """Finds each folder made by somebody else in the same moment."""

    def mkdir(self, path):
        super().mkdir(path)
        super().mkdir(path)


@pytest.fixture
def through(monkeypatch):
    """Let the file layer call something else, and return that."""

    def put(system):
        monkeypatch.setattr(disk, "system", system)
        return system

    return put


class TestMake:
    def test_a_folder_that_somebody_makes_meanwhile_is_there(self, tmp_path, through):
        through(Slower())

        disk.make(tmp_path / "a" / "b")

        assert (tmp_path / "a" / "b").is_dir()

    def test_a_file_in_its_place_is_a_fault(self, tmp_path):
        (tmp_path / "a").write_text("text")

        with pytest.raises(DiskError, match=r"expected to make .*File exists"):
            disk.make(tmp_path / "a")


class TestWrite:
    def test_the_file_is_flushed_before_it_has_its_name(self, tmp_path, through):
        """
        The order is all: bytes, flush, name, flush of the folder.
        """
        system = through(Telling())

        disk.write(tmp_path / "a.json", "text")

        assert [name for name, _ in system.told] == [
            "write",
            "fsync",
            "rename",
            "fsync",
        ]
        assert system.told[2][1] == (".a.json.partial", "a.json")
        assert (tmp_path / "a.json").read_text() == "text"

    def test_other_users_cannot_read_it(self, tmp_path):
        disk.write(tmp_path / "token", "secret")

        assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600

    def test_many_lines_are_few_writes(self, tmp_path, through):
        system = through(Telling())
        lines = [f"{number}\n" for number in range(10_000)]

        disk.write_lines(tmp_path / "a", lines)

        assert (tmp_path / "a").read_text() == "".join(lines)
        assert Counter(name for name, _ in system.told)["write"] == 1

    def test_a_write_of_a_part_is_gone_on_with(self, tmp_path, through):
        through(Slow())

        disk.write(tmp_path / "a", "ten bytes!")

        assert (tmp_path / "a").read_text() == "ten bytes!"

    def test_a_copy_has_the_same_bytes_and_lasts(self, tmp_path, through):
        body = bytes(range(256)) * (disk.CHUNK_BYTES // 256) + b"and more\xff"
        (tmp_path / "a").write_bytes(body)
        system = through(Telling())

        disk.copy(tmp_path / "a", tmp_path / "b")

        assert (tmp_path / "b").read_bytes() == body
        assert [name for name, _ in system.told] == [
            *("write", "write", "fsync", "rename", "fsync")
        ]

    def test_a_copy_of_what_is_not_there_leaves_nothing(self, tmp_path):
        with pytest.raises(DiskError, match=r"to read .*gone, got: No such file"):
            disk.copy(tmp_path / "gone", tmp_path / "b")
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("refused", ["write", "fsync"])
    def test_a_failure_leaves_the_old_file_and_nothing_else(
        self, tmp_path, through, refused
    ):
        disk.write(tmp_path / "a", "old")
        through(Telling(refused))

        with pytest.raises(DiskError, match=r"expected to .*, got: Input/output error"):
            disk.write(tmp_path / "a", "new")

        assert [path.name for path in tmp_path.iterdir()] == ["a"]
        assert (tmp_path / "a").read_text() == "old"

    def test_lines_that_cannot_be_made_leave_the_old_file(self, tmp_path):
        disk.write(tmp_path / "a", "old")

        with pytest.raises(ZeroDivisionError, match="by zero"):
            disk.write_lines(tmp_path / "a", (str(1 // n) for n in (1, 0)))

        assert [path.name for path in tmp_path.iterdir()] == ["a"]
        assert (tmp_path / "a").read_text() == "old"


class TestFailure:
    def test_a_flush_that_failed_is_not_tried_again(self, tmp_path, through):
        (tmp_path / "a").touch()
        system = through(Telling("fsync"))

        with pytest.raises(DiskError, match="check the disk before anything else"):
            disk.sync(tmp_path / "a")

        assert system.told == [("fsync", None)]

    def test_no_room_is_said_to_be_that(self, tmp_path, through):
        through(Telling("write", errno.ENOSPC))

        with pytest.raises(DiskError, match="free some space, such as") as raised:
            disk.write(tmp_path / "a", "text")

        assert disk.is_full(raised.value)
        assert not disk.is_failed(raised.value)

    def test_a_flush_without_room_is_a_disk_that_failed(self, tmp_path, through):
        """
        What was written may be gone, so room alone does not mend it.
        """
        through(Telling("fsync", errno.ENOSPC))

        with pytest.raises(DiskError, match="check the disk") as raised:
            disk.write(tmp_path / "a", "text")

        assert disk.is_failed(raised.value)
        assert not disk.is_failed(OSError("of something else"))

    @pytest.mark.parametrize(
        ("code", "failed"),
        [
            (errno.EMFILE, False),
            (errno.ENFILE, False),
            (errno.EACCES, False),
            (errno.EPERM, False),
            (errno.ENOENT, False),
            (errno.ENOTEMPTY, False),
            (errno.EROFS, True),
            (errno.EIO, True),
        ],
    )
    def test_a_refusal_that_lost_nothing_is_no_failed_disk(
        self, tmp_path, through, code, failed
    ):
        (tmp_path / "a").touch()
        through(Telling("rename", code))

        with pytest.raises(DiskError, match="expected to move") as raised:
            disk.move(tmp_path / "a", tmp_path / "b")

        assert disk.is_failed(raised.value) is failed

    @pytest.mark.parametrize(
        ("code", "advice"),
        [
            (errno.EMFILE, "ulimit -n"),
            (errno.EACCES, "check its owner and its mode"),
            (errno.EROFS, "mount it for writing, or name a home .* with --home"),
            (errno.EDQUOT, "your quota is used up; free some space, such as .* gc"),
            (errno.EIO, "check the disk before anything else"),
        ],
    )
    def test_each_cause_has_its_advice(self, tmp_path, through, code, advice):
        (tmp_path / "a").touch()
        through(Telling("rename", code))

        with pytest.raises(DiskError, match=f"expected to move .*{advice}$") as raised:
            disk.move(tmp_path / "a", tmp_path / "b")

        assert raised.value.errno == code


class TestSaid:
    def test_an_error_of_the_systems_is_a_sentence_with_its_file(self):
        error = OSError(errno.EROFS, "Read-only file system", "/home/x")

        said = disk.said(error)

        assert said == (
            "expected to use /home/x, got: Read-only file system; mount it for "
            "writing, or name a home elsewhere with --home"
        )

    def test_one_of_ours_is_what_it_says(self):
        assert disk.said(DiskError("as it says")) == "as it says"


class TestRefusal:
    def test_a_folder_that_can_be_written_has_none_and_is_left_as_it_was(
        self, tmp_path
    ):
        assert disk.refusal(tmp_path) is None
        assert not list(tmp_path.iterdir())

    def test_it_is_the_systems_number(self, tmp_path, through):
        through(Telling("write", errno.EDQUOT))

        assert disk.refusal(tmp_path) == errno.EDQUOT


class TestFolders:
    def test_what_was_moved_is_in_one_place(self, tmp_path):
        (tmp_path / "from" / "inside").mkdir(parents=True)
        (tmp_path / "to").mkdir()

        disk.move(tmp_path / "from" / "inside", tmp_path / "to" / "inside")

        assert (tmp_path / "to" / "inside").is_dir()
        assert not (tmp_path / "from" / "inside").exists()

    def test_a_move_between_folders_flushes_both(self, tmp_path, through):
        (tmp_path / "from").mkdir()
        (tmp_path / "to").mkdir()
        (tmp_path / "from" / "a").touch()
        system = through(Telling())

        disk.move(tmp_path / "from" / "a", tmp_path / "to" / "a")

        assert [name for name, _ in system.told] == ["rename", "fsync", "fsync"]

    def test_folders_are_made_with_those_above(self, tmp_path):
        disk.make(tmp_path / "a" / "b")
        disk.make(tmp_path / "a" / "b")

        assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700

    def test_deleting_follows_no_link(self, tmp_path):
        kept, gone = tmp_path / "kept", tmp_path / "gone"
        kept.mkdir()
        (kept / "file").touch()
        (gone / "deep").mkdir(parents=True)
        (gone / "deep" / "file").touch()
        (gone / "link").symlink_to(kept)
        (gone / "broken").symlink_to(tmp_path / "nowhere")

        disk.remove(gone, tmp_path / "absent")

        assert [path.name for path in tmp_path.iterdir()] == ["kept"]
        assert (kept / "file").exists()

    def test_nothing_to_delete_is_no_flush(self, tmp_path, through):
        system = through(Telling())

        disk.remove(tmp_path / "absent")

        assert system.told == []

    def test_room_is_what_the_system_says(self, tmp_path):
        assert disk.free_bytes(tmp_path) > 0


class TestFailpoints:
    def test_each_place_has_a_name_of_its_own(self):
        """
        A kill at a name must fall at one place, unless it is known to be several.
        """
        found = Counter(
            name
            for file in PACKAGE.rglob("*.py")
            for name in PLACE.findall(file.read_text())
        )

        assert {name for name, count in found.items() if count > 1} == SHARED
        assert {"seal.files", "seal.manifest", "seal.renamed"} <= found.keys()
        assert all(name.count(".") == 1 for name in found)

    def test_places_are_counted(self):
        before = passed()

        failpoint("test.here")
        failpoint("test.here")

        assert passed() - before == Counter({"test.here": 2})

    def test_the_process_dies_at_the_named_place(self):
        """
        The second time that it is passed, and without a word.
        """
        script = (
            "from sleepcycle.files.failpoint import failpoint\n"
            "for n in range(3): print(n, flush=True); failpoint('test.here')"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"SLEEPCYCLE_FAILPOINT": "test.here:2"},
            capture_output=True,
            text=True,
            check=False,
        )

        assert (done.returncode, done.stdout) == (-9, "0\n1\n")


def test_lasting_writes_go_through_the_file_layer():
    """
    No other module of those that keep a home renames, flushes or writes by itself; the
    systemd unit lies outside of every home.
    """
    past = re.compile(r"\.rename\(|\.write_text\(|\.write_bytes\(|os\.fsync|rmtree\(")
    keepers = ["files/sealed", "files/runfolder"]
    folders = ["runs", "daemon", "store"]
    files = [PACKAGE / f"{name}.py" for name in keepers]
    files += [file for name in folders for file in (PACKAGE / name).glob("*.py")]

    found = [
        f"{Path(file).relative_to(PACKAGE)}: {line.strip()}"
        for file in files
        if file.stem != "systemd_unit"
        for line in file.read_text().splitlines()
        if past.search(line)
    ]

    assert found == []
