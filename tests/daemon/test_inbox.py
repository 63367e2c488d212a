"""Files in the inbox are fed once and whole, and nothing else is ever touched."""

import errno
import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard
from loguru import logger

from sleepcycle.daemon.feed_threads import Unchanged
from sleepcycle.daemon.inbox import Inbox
from sleepcycle.errors import DiskError, FeedError, HomeError, StoreError
from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.example import FeedReport
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import FeedSettings, StoreSettings
from sleepcycle.store import batch_table
from sleepcycle.store.database import create_store, open_store

QUIET_S = 0.1
SOON_S = 8.0  # more than anything here takes on a busy machine
SETTINGS = FeedSettings(
    inbox_quiet_s=QUIET_S,
    inbox_unfinished_s=QUIET_S,
    inbox_rescan_s=3600.0,
    held_out_share=0.0,
)
REPORT = FeedReport(1, 3, 2, 1, 0, 0, {})
ROWS = b"".join(b'{"text": "row %d"}\n' % n for n in range(5))


class Feeding:
    """Feeds nothing, and remembers what it was given, with the bytes in it."""

    def __init__(self):
        self.fed = []
        self.then = None

    def __call__(self, path):
        self.fed.append((path.name, path.read_bytes()))
        if self.then:
            self.then(path)
        return REPORT

    @property
    def names(self):
        return [name for name, _ in self.fed]

    def fail(self, *errors):
        """Raise these errors, one a call, and then no more."""
        left = list(errors)

        def then(path):
            if left:
                raise left.pop(0)

        self.then = then


@pytest.fixture
def paths(tmp_path):
    paths = HomePaths(tmp_path / "home")
    paths.root.mkdir()
    return paths


@pytest.fixture
def folder(paths):
    paths.inbox.mkdir(mode=0o700)
    return paths.inbox


@pytest.fixture
def feeding():
    return Feeding()


@pytest.fixture
def inbox(paths, folder, feeding):
    return Inbox(paths, SETTINGS, feeding)


@pytest.fixture
def told():
    """Every warning that is logged."""
    kept = []
    handler = logger.add(kept.append, format="{message}", level="WARNING")
    yield kept
    logger.remove(handler)


def look_twice(inbox):
    """Rescan, wait for the quiet time, rescan; return how many files were fed."""
    first = inbox.rescan()
    time.sleep(QUIET_S)
    return first + inbox.rescan()


def inside(folder):
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def wait_until(condition):
    end = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


@contextmanager
def watching(inbox):
    """Watch the inbox in a thread for the length of a block."""
    stop, failures = threading.Event(), []

    def watch():
        try:
            inbox.watch(stop)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join(SOON_S)
        assert not thread.is_alive()


class TestWhatIsFed:
    def test_a_complete_file_is_fed_and_moved_with_its_report(
        self, inbox, folder, feeding
    ):
        (folder / "a.jsonl").write_bytes(ROWS)

        assert look_twice(inbox) == 1

        assert feeding.fed == [("a.jsonl", ROWS)]
        assert (folder / "done" / "a.jsonl").read_bytes() == ROWS
        report = json.loads((folder / "done" / "a.jsonl.report.json").read_text())
        assert report == {
            "batch": 1,
            "lines": 3,
            "accepted": 2,
            "duplicate": 1,
            "quarantined": 0,
            "held_out": 0,
            "reasons": {},
            "provenance": {},
            "refusals": {},
            "size_bytes": len(ROWS),
        }
        assert inside(folder) == ["done", "failed"]

    def test_one_look_is_not_enough_however_old_the_file(self, paths, folder, feeding):
        """Its times are what the writer says; only two looks show that it rests."""
        patient = Inbox(paths, FeedSettings(inbox_quiet_s=3600), feeding)
        path = folder / "a.jsonl"
        path.write_bytes(ROWS)
        os.utime(path, (0, 0))

        assert patient.rescan() == 0
        assert patient.rescan() == 0
        assert feeding.fed == []

    @pytest.mark.parametrize("restore_time", [False, True])
    def test_a_file_that_changed_between_two_looks_waits_again(
        self, inbox, folder, feeding, restore_time
    ):
        """Even one of the same size, whose time of change was set back."""
        path = folder / "a.jsonl"
        path.write_bytes(b"1")
        before = path.stat()
        inbox.rescan()
        time.sleep(QUIET_S)

        path.write_bytes(b"2")
        if restore_time:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

        assert inbox.rescan() == 0
        time.sleep(QUIET_S)
        assert inbox.rescan() == 1
        assert feeding.fed == [("a.jsonl", b"2")]

    def test_the_oldest_file_comes_first(self, inbox, folder, feeding):
        for age, name in [(3, "b"), (1, "c"), (2, "a")]:
            (folder / name).write_bytes(b"x")
            os.utime(folder / name, (1000 - age, 1000 - age))

        look_twice(inbox)

        assert feeding.names == ["b", "a", "c"]

    def test_unfinished_and_hidden_names_are_left_until_they_are_renamed(
        self, inbox, folder, feeding
    ):
        names = [
            ".hidden",
            "a.jsonl.partial",
            "b.tmp",
            "c.PART",
            "d.jsonl~",
            ".e.swp",
            "f.swp",
            "g.crdownload",
        ]
        for name in names:
            (folder / name).write_bytes(ROWS)

        assert look_twice(inbox) == 0
        (folder / "a.jsonl.partial").rename(folder / "a.jsonl")
        assert look_twice(inbox) == 1

        assert feeding.names == ["a.jsonl"]
        assert set(names) - {"a.jsonl.partial"} <= set(inside(folder))

    def test_a_link_is_never_followed_and_told_of_once(
        self, inbox, folder, feeding, tmp_path, told
    ):
        """It could name any file of the owner's, such as a key."""
        secret = tmp_path / "secret"
        secret.write_bytes(ROWS)
        (folder / "link").symlink_to(secret)
        (folder / "nowhere").symlink_to(tmp_path / "nothing")

        for _ in range(3):
            look_twice(inbox)

        assert feeding.fed == []
        assert (folder / "link").is_symlink()
        assert len(told) == 2
        assert sum("could name any file" in line for line in told) == 2

    def test_a_file_that_becomes_a_link_after_the_looks_is_not_fed(
        self, inbox, folder, feeding, tmp_path
    ):
        """The first file of a rescan takes long; meanwhile the second is replaced."""
        (folder / "a").write_bytes(b"x")
        (folder / "b").write_bytes(b"y")
        os.utime(folder / "a", (0, 0))
        secret = tmp_path / "secret"
        secret.write_bytes(ROWS)

        def replace(path):
            (folder / "b").unlink()
            (folder / "b").symlink_to(secret)

        feeding.then = replace
        look_twice(inbox)

        assert feeding.names == ["a"]

    def test_folders_and_special_files_are_never_touched(self, inbox, folder, feeding):
        (folder / "folder").mkdir()
        (folder / "folder" / "a.jsonl").write_bytes(ROWS)
        os.mkfifo(folder / "pipe")  # opening it would wait for ever

        assert look_twice(inbox) == 0

        assert feeding.fed == []
        assert inside(folder) == ["done", "failed", "folder", "pipe"]


class TestFolders:
    def test_missing_folders_are_made_for_the_owner_alone(self, paths, feeding):
        Inbox(paths, SETTINGS, feeding).rescan()

        for folder in (paths.inbox, paths.inbox / "done", paths.inbox / "failed"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    @pytest.mark.parametrize("name", ["done", "failed"])
    def test_files_are_not_moved_through_a_link(self, inbox, folder, tmp_path, name):
        """Nothing is written outside the home."""
        (folder / name).symlink_to(tmp_path)

        with pytest.raises(HomeError, match=rf"expected a folder at .*{name}, got"):
            inbox.rescan()

    def test_a_home_that_is_gone_is_not_made_again(self, paths, feeding):
        paths.root.rmdir()

        with pytest.raises(HomeError, match=r"no home at .* any more"):
            Inbox(paths, SETTINGS, feeding).rescan()
        assert not paths.root.exists()


class TestNames:
    def test_no_file_takes_the_place_of_another(self, inbox, folder):
        for content in (b"1", b"2", b"3"):
            (folder / "a.jsonl").write_bytes(content)
            look_twice(inbox)

        done = folder / "done"
        names = ["a.jsonl", "a.jsonl.2", "a.jsonl.3"]
        assert [(done / name).read_bytes() for name in names] == [b"1", b"2", b"3"]
        reports = [f"{name}.report.json" for name in names]
        assert inside(done) == sorted(names + reports)

    def test_a_report_does_not_take_the_place_of_a_file_either(self, inbox, folder):
        (folder / "a.report.json").write_bytes(b"mine")
        look_twice(inbox)
        (folder / "a").write_bytes(b"1")
        look_twice(inbox)

        assert (folder / "done" / "a.report.json").read_bytes() == b"mine"
        assert (folder / "done" / "a.2").read_bytes() == b"1"

    @pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "…" * 85])
    def test_the_longest_name_has_room_for_its_report(self, inbox, folder, name):
        for _ in range(2):
            (folder / name).write_bytes(ROWS)
            assert look_twice(inbox) == 1

        assert len(inside(folder / "done")) == 4
        assert inside(folder) == ["done", "failed"]

    @pytest.mark.skipif(sys.platform != "linux", reason="names must be UTF-8 there")
    def test_a_name_that_is_no_utf_8_is_told_safely(self, inbox, folder, feeding, told):
        path = folder / os.fsdecode(b"caf\xe9\x1b[2J.jsonl")
        path.write_bytes(ROWS)
        feeding.fail(FeedError("expected rows, got none"))

        look_twice(inbox)

        assert (folder / "failed" / path.name).exists()
        assert "\\x1b" in told[0]  # no escape of the terminal's is written out


class TestFailures:
    def test_a_bad_file_goes_to_failed_with_the_reason(
        self, inbox, folder, feeding, told
    ):
        (folder / "a.jsonl").write_bytes(b"x")
        feeding.fail(FeedError("expected rows, got none from a.jsonl"))

        assert look_twice(inbox) == 0

        report = folder / "failed" / "a.jsonl.report.json"
        assert json.loads(report.read_text()) == {
            "error": "expected rows, got none from a.jsonl",
            "size_bytes": 1,
        }
        assert (folder / "failed" / "a.jsonl").read_bytes() == b"x"
        assert "expected rows, got none" in told[0]

    @pytest.mark.parametrize(
        "error",
        [
            StoreError("database is locked"),
            OSError(errno.ENOSPC, "No space left on device"),
            RuntimeError("a fault of our own"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_what_is_no_fault_of_the_file_is_tried_again_and_told_once(
        self, inbox, folder, feeding, told, error
    ):
        (folder / "a.jsonl").write_bytes(ROWS)
        (folder / "b.jsonl").write_bytes(ROWS)
        os.utime(folder / "a.jsonl", (0, 0))
        feeding.fail(error, error, error)

        counts = [look_twice(inbox), inbox.rescan()]

        assert feeding.names == ["a.jsonl", "b.jsonl", "a.jsonl", "b.jsonl"]
        assert counts == [0, 1]
        assert inbox.rescan() == 1
        assert sum("'a.jsonl'" in line for line in told) == 1

    def test_a_full_disk_is_waited_for_and_told_once(
        self, inbox, folder, feeding, told
    ):
        """SQLite's is a `DiskError` that says that room is all it lacks."""
        full = DiskError("database or disk is full")
        full.errno = errno.ENOSPC
        (folder / "a.jsonl").write_bytes(ROWS)
        feeding.fail(full, full)

        assert look_twice(inbox) == 0
        assert inbox.rescan() == 0
        assert inbox.rescan() == 1
        assert len(told) == 1

    def test_no_file_is_blamed_for_a_machine_that_ran_out_of_handles(
        self, inbox, folder, feeding
    ):
        failed = FeedError("cannot read a.jsonl: too many open files")
        failed.__cause__ = OSError(errno.EMFILE, "Too many open files")
        (folder / "a.jsonl").write_bytes(ROWS)
        feeding.fail(failed)

        assert look_twice(inbox) == 0
        assert inbox.rescan() == 1

    def test_a_disk_that_failed_ends_it_and_the_file_stays(
        self, inbox, folder, feeding
    ):
        (folder / "a.jsonl").write_bytes(ROWS)
        feeding.fail(DiskError("it could not be flushed"))

        with pytest.raises(DiskError, match="could not be flushed"):
            look_twice(inbox)
        assert (folder / "a.jsonl").read_bytes() == ROWS

    def test_a_file_that_changes_while_it_is_read_is_read_again(
        self, inbox, folder, feeding
    ):
        path = folder / "a.jsonl"
        path.write_bytes(b"half")

        def grow(path):
            if path.stat().st_size == 4:
                path.write_bytes(b"halfwhole")

        feeding.then = grow
        assert look_twice(inbox) == 0
        assert inside(folder) == ["a.jsonl", "done", "failed"]
        assert look_twice(inbox) == 1
        assert [content for _, content in feeding.fed] == [b"half", b"halfwhole"]

    def test_a_file_that_is_half_written_is_not_blamed_for_what_it_lacks(
        self, inbox, folder, feeding
    ):
        """It failed, but it also changed: so it was not whole yet."""
        path = folder / "a.jsonl"
        path.write_bytes(b"half")

        def grow(path):
            if path.stat().st_size == 4:
                path.write_bytes(b"halfwhole")
                raise FeedError("expected more")

        feeding.then = grow
        assert look_twice(inbox) == 0
        assert look_twice(inbox) == 1
        assert inside(folder / "failed") == []

    def test_a_file_that_is_taken_away_while_it_is_read_is_no_error(
        self, inbox, folder, feeding
    ):
        (folder / "a.jsonl").write_bytes(ROWS)
        feeding.then = lambda path: path.unlink()

        look_twice(inbox)

        assert inside(folder) == ["done", "failed"]
        assert inside(folder / "done") == []


PATIENT = FeedSettings(
    inbox_quiet_s=QUIET_S, inbox_unfinished_s=3600.0, inbox_rescan_s=3600.0
)


class TestStalledWriters:
    """An upload may stall in the middle of a line, for longer than a file rests."""

    @pytest.fixture
    def patient(self, paths, folder, feeding):
        return Inbox(paths, PATIENT, feeding)

    @pytest.mark.parametrize(
        "content",
        [
            ROWS + b'{"text": "ro',
            b'[{"text": "row 0"}, {"text',
            gzip.compress(ROWS * 1000)[:-20],
            zstandard.compress(ROWS)[:-3],
            gzip.compress(ROWS + b'{"text": "ro'),
            b"PAR1 and no footer",
            b"",
        ],
        ids=["line", "array", "gzip", "zstd", "line in gzip", "parquet", "empty"],
    )
    def test_a_file_whose_end_is_missing_waits_for_longer(
        self, patient, folder, feeding, content
    ):
        path = folder / "a.jsonl"
        path.write_bytes(content)

        assert look_twice(patient) == 0
        assert look_twice(patient) == 0

        assert feeding.fed == []
        path.write_bytes(ROWS)
        assert look_twice(patient) == 1

    @pytest.mark.parametrize(
        "content",
        [
            ROWS,
            ROWS.rstrip(),
            b'[{"text": "row 0"}]',
            gzip.compress(ROWS),
            zstandard.compress(ROWS),
            b"PAR1 and its footer PAR1",
        ],
        ids=["line", "no newline", "array", "gzip", "zstd", "parquet"],
    )
    def test_a_file_that_is_whole_does_not(self, patient, folder, feeding, content):
        (folder / "a.jsonl").write_bytes(content)

        assert look_twice(patient) == 1

    def test_what_came_after_the_move_is_fed_too(self, inbox, folder, feeding, told):
        """
        The writer has the file open: it goes on in `done`.
        """
        with (folder / "a.jsonl").open("wb", buffering=0) as file:
            file.write(ROWS)
            assert look_twice(inbox) == 1
            file.write(b'{"text": "late"}\n')
            assert look_twice(inbox) == 1

        assert feeding.fed[1] == ("a.jsonl", ROWS + b'{"text": "late"}\n')
        assert inside(folder) == ["done", "failed"]
        assert (folder / "done" / "a.jsonl.2").read_bytes() == feeding.fed[1][1]
        assert "grew after it was fed" in told[0]

    def test_it_is_fed_too_where_the_service_was_restarted(
        self, inbox, paths, folder, feeding
    ):
        with (folder / "a.jsonl").open("wb", buffering=0) as file:
            file.write(ROWS)
            look_twice(inbox)
            file.write(b'{"text": "late"}\n')

        assert look_twice(Inbox(paths, SETTINGS, feeding)) == 1
        assert feeding.names == ["a.jsonl", "a.jsonl"]

    def test_a_refused_file_that_grows_is_tried_again(self, inbox, folder, feeding):
        feeding.fail(FeedError("expected rows, got a half"))
        with (folder / "a.jsonl").open("wb", buffering=0) as file:
            file.write(b"half")
            assert look_twice(inbox) == 0
            file.write(b"whole")
            assert look_twice(inbox) == 1


class TestSlowFiles:
    def test_others_go_on_beside_a_file_that_takes_long(self, paths, folder, feeding):
        """
        What was fed beside it is known at once, and it itself when it is done.
        """
        release = threading.Event()
        feeding.then = lambda path: path.name == "slow" and release.wait(SOON_S)
        inbox = Inbox(paths, SETTINGS, feeding, slow_s=0.05)
        for name in ("slow", "b", "c"):
            (folder / name).write_bytes(ROWS)
        os.utime(folder / "slow", (0, 0))

        assert look_twice(inbox) == 2
        assert inside(folder) == ["done", "failed", "slow"]
        assert inbox.rescan() == 0
        release.set()
        wait_until(lambda: inbox.rescan() == 1)

        assert sorted(feeding.names) == ["b", "c", "slow"]

    def test_a_file_that_changes_is_not_read_to_its_end(self, folder):
        """
        It could have none.
        """
        path = folder / "a.jsonl"
        path.write_bytes(ROWS)
        look = Unchanged(path)
        look(1)
        path.write_bytes(ROWS * 2)

        with pytest.raises(FeedError, match=r"expected a\.jsonl to rest"):
            look(2)


class Refusing(disk.System):
    """Refuses to rename what lies in the inbox, so often."""

    def __init__(self, times, number):
        self.left, self.number = times, number

    def rename(self, source, target):
        if self.left and source.parent.name == "inbox":
            self.left -= 1
            raise OSError(self.number, os.strerror(self.number))
        super().rename(source, target)


class Killed(disk.System):
    """Ends the process, as far as a test can, where a file would leave the inbox."""

    def rename(self, source, target):
        if source.parent.name == "inbox":
            raise KeyboardInterrupt("here")
        super().rename(source, target)


class TestMoving:
    def test_a_move_that_is_refused_is_tried_again_without_feeding_again(
        self, inbox, folder, feeding, monkeypatch
    ):
        monkeypatch.setattr(disk, "system", Refusing(3, errno.EACCES))
        (folder / "a.jsonl").write_bytes(ROWS)

        counts = [look_twice(inbox), *(inbox.rescan() for _ in range(3))]

        assert counts == [0, 0, 0, 1]
        assert feeding.names == ["a.jsonl"]
        assert inside(folder / "done") == ["a.jsonl", "a.jsonl.report.json"]

    def test_a_move_that_the_disk_failed_ends_it(
        self, inbox, folder, feeding, monkeypatch
    ):
        monkeypatch.setattr(disk, "system", Refusing(1, errno.EIO))
        (folder / "a.jsonl").write_bytes(ROWS)

        with pytest.raises(DiskError, match="expected to move"):
            look_twice(inbox)
        assert (folder / "a.jsonl").exists()


class TestWatch:
    def test_a_growing_file_is_fed_once_when_it_rests(self, paths, folder, feeding):
        """A line every 50 ms, for longer than the quiet time."""
        settings = FeedSettings(inbox_quiet_s=0.8, inbox_rescan_s=0.1)
        path = folder / "a.jsonl"
        with watching(Inbox(paths, settings, feeding)):
            with path.open("wb", buffering=0) as file:
                for n in range(30):
                    file.write(b'{"text": "row %d"}\n' % n)
                    time.sleep(0.05)
            assert feeding.fed == []
            wait_until((folder / "done" / "a.jsonl").exists)

        [(_, content)] = feeding.fed
        assert content.count(b"\n") == 30

    def test_a_file_renamed_into_place_is_fed(self, inbox, folder, feeding, tmp_path):
        """With no look through the folder before an hour has gone."""
        (folder / "first").write_bytes(ROWS)
        (tmp_path / "a.jsonl").write_bytes(ROWS)
        with watching(inbox):
            wait_until((folder / "done" / "first").exists)
            time.sleep(5 * QUIET_S)  # what came of that is over
            (tmp_path / "a.jsonl").rename(folder / "a.jsonl")
            wait_until((folder / "done" / "a.jsonl").exists)

        assert feeding.names == ["first", "a.jsonl"]

    @pytest.mark.skipif(sys.platform != "linux", reason="names must be UTF-8 there")
    @pytest.mark.parametrize("name", [b"caf\xe9.jsonl", b"two\nlines.jsonl"])
    def test_a_file_of_any_name_is_fed_when_it_comes(
        self, inbox, folder, feeding, told, name
    ):
        """With no look through the folder before an hour has gone."""
        (folder / "first").write_bytes(ROWS)
        path = folder / os.fsdecode(name)
        with watching(inbox):
            wait_until((folder / "done" / "first").exists)
            path.write_bytes(ROWS)
            wait_until((folder / "done" / path.name).exists)

        assert told == []

    def test_what_was_there_before_is_fed(self, inbox, folder, feeding):
        (folder / "a.jsonl").write_bytes(ROWS)

        with watching(inbox):
            wait_until((folder / "done" / "a.jsonl").exists)

    def test_stopping_is_soon_also_while_files_wait(self, inbox, folder, feeding):
        """A file that is being fed is not broken off; those behind it wait."""
        for name in "abc":
            (folder / name).write_bytes(ROWS)
        begun, release = threading.Event(), threading.Event()

        def hold(path):
            begun.set()
            release.wait(SOON_S)

        feeding.then = hold
        stop = threading.Event()
        thread = threading.Thread(target=inbox.watch, args=(stop,))
        thread.start()
        assert begun.wait(SOON_S)
        stop.set()
        release.set()
        thread.join(SOON_S)

        assert not thread.is_alive()
        assert len(feeding.fed) == 1

    def test_where_the_system_cannot_tell_of_changes_it_looks(
        self, inbox, folder, feeding, told, monkeypatch
    ):
        """As when the user has too many watches; here the folder comes late."""
        folder.rmdir()
        folder.write_bytes(b"in the way")
        with watching(inbox):
            wait_until(lambda: len(told) == 2)
            folder.unlink()
            folder.mkdir()
            (folder / "a.jsonl").write_bytes(ROWS)
            inbox.rescan()
            wait_until((folder / "done" / "a.jsonl").exists)

        assert "cannot be watched, only looked through" in told[0]
        assert "move it away" in told[1]
        assert feeding.fed == [("a.jsonl", ROWS)]

    def test_a_file_that_must_wait_is_not_tried_all_the_time(
        self, inbox, folder, feeding
    ):
        """The next look through the folder is an hour away."""
        (folder / "a.jsonl").write_bytes(ROWS)
        feeding.fail(*[StoreError("database is locked")] * 100)

        with watching(inbox):
            wait_until(lambda: feeding.fed)
            time.sleep(5 * QUIET_S)

        assert len(feeding.fed) == 1

    def test_it_rests_when_there_is_nothing_to_do(self, inbox):
        """A second of watching costs less than a tenth of one to compute."""
        with watching(inbox):
            time.sleep(2 * QUIET_S)
            before = time.process_time()
            time.sleep(1)
            spent = time.process_time() - before

        assert spent < 0.1

    def test_a_disk_that_failed_ends_the_watch(self, inbox, folder, feeding):
        (folder / "a.jsonl").write_bytes(ROWS)
        feeding.fail(DiskError("it could not be flushed"))

        with watching(inbox) as failures:
            wait_until(lambda: failures)

        assert isinstance(failures[0], DiskError)


KILLED_WHILE_FEEDING = """
import sys, time
from pathlib import Path
from sleepcycle.settings.config import StoreSettings
from sleepcycle.daemon.inbox import Inbox
from sleepcycle.files.paths import HomePaths
from sleepcycle.store.database import open_store
from tests.daemon.test_inbox import QUIET_S, SETTINGS, feed_into, look_twice

paths = HomePaths(Path(sys.argv[1]))
store = open_store(paths, StoreSettings())
look_twice(Inbox(paths, SETTINGS, feed_into(store)))
"""


def feed_into(store):
    """Return what feeds one file to a store, as the service does."""
    return lambda path: feed_files(
        store, [path], SETTINGS, FeedOptions(), actor="user:test"
    )


class TestStore:
    """With the store in place of a fake."""

    @pytest.fixture
    def store(self, tmp_path):
        paths = HomePaths(tmp_path / "stored")
        create_store(paths, StoreSettings(), BaseIdentity("builtin:nano", None, ""))
        return open_store(paths, StoreSettings())

    @pytest.fixture
    def real(self, store):
        store.paths.inbox.mkdir(exist_ok=True)
        return Inbox(store.paths, SETTINGS, feed_into(store))

    def counts(self, store):
        """Return accepted and duplicate of each batch."""
        with store.read() as session:
            found = batch_table.list_batches(session)
        return [(batch.accepted, batch.duplicate) for batch in found]

    @pytest.mark.parametrize(
        ("place", "expected", "names"),
        [
            ("inbox.fed", [(5, 0), (0, 5)], ["a.jsonl", "a.jsonl.report.json"]),
            ("inbox.moved", [(5, 0)], ["a.jsonl", "a.jsonl.report.json"]),
        ],
    )
    def test_a_kill_loses_no_row_and_counts_none_twice(
        self, store, real, place, expected, names
    ):
        """Killed before the move the file is fed again: all its rows are known."""
        folder = store.paths.inbox
        (folder / "a.jsonl").write_bytes(ROWS)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED_WHILE_FEEDING, str(store.paths.root)],
            env={**os.environ, "SLEEPCYCLE_FAILPOINT": place},
            cwd=Path(__file__).parents[2],
            check=False,
        )

        look_twice(real)

        assert killed.returncode == -signal.SIGKILL
        assert self.counts(store) == expected
        assert inside(folder / "done") == names

    def test_a_kill_between_report_and_move_keeps_the_true_report(
        self, store, real, monkeypatch
    ):
        """A second report, of duplicates, comes with the file; neither replaces."""
        folder = store.paths.inbox
        (folder / "a.jsonl").write_bytes(ROWS)
        monkeypatch.setattr(disk, "system", Killed())
        with pytest.raises(KeyboardInterrupt, match="here"):
            look_twice(real)
        monkeypatch.undo()

        look_twice(Inbox(store.paths, SETTINGS, feed_into(store)))

        done = folder / "done"
        reports = [
            json.loads((done / f"{name}.report.json").read_text())
            for name in ("a.jsonl", "a.jsonl.2")
        ]
        assert [report["accepted"] for report in reports] == [5, 0]
        assert [report["duplicate"] for report in reports] == [0, 5]
        assert (done / "a.jsonl.2").read_bytes() == ROWS

    def test_an_empty_file_fails(self, store, real):
        folder = store.paths.inbox
        (folder / "a.jsonl").touch()

        assert look_twice(real) == 0

        report = json.loads((folder / "failed" / "a.jsonl.report.json").read_text())
        assert report["error"].startswith("expected rows, got none from")
        assert self.counts(store) == []

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_that_may_not_be_read_fails(self, store, real):
        folder = store.paths.inbox
        (folder / "a.jsonl").write_bytes(ROWS)
        (folder / "a.jsonl").chmod(0)

        assert look_twice(real) == 0

        report = json.loads((folder / "failed" / "a.jsonl.report.json").read_text())
        assert "permission denied" in report["error"]
