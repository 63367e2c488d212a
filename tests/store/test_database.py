import contextlib
import errno
import os
import shlex
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from sleepcycle.errors import DiskError, HomeError, StoreError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths
from sleepcycle.store import journal, version_table
from sleepcycle.store.connection import connect, head, journal_mode
from sleepcycle.store.database import create_store, open_store
from sleepcycle.store.snapshot import read_snapshot
from tests.journaled import journal_entries
from tests.store.conftest import BASE, SETTINGS, add_batch


def add(store, action):
    """Add an entry to the journal."""
    with store.write() as session:
        journal.append(session, "test", action)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


class TestCreate:
    def test_home_and_database_are_closed_to_others(self, paths, store):
        assert mode(paths.root) == 0o700
        assert mode(paths.database) == 0o600

    def test_the_bare_base_is_live(self, store):
        with store.read() as session:
            assert version_table.aliases(session) == {"live": 0}
            assert version_table.base(session) == BASE

    def test_a_second_time_is_refused(self, paths, store):
        with pytest.raises(HomeError, match=r"there is a home at .* already"):
            create_store(paths, SETTINGS, BASE)

    def test_a_creation_that_was_killed_is_done_again(self, paths):
        """
        What a kill leaves is an empty file: no home to open, but one to create.
        """
        paths.root.mkdir()
        paths.database.touch()

        with pytest.raises(HomeError, match=r"no home at .*; make one: sleepcycle"):
            open_store(paths, SETTINGS)
        create_store(paths, SETTINGS, BASE)

        with open_store(paths, SETTINGS).read() as session:
            assert version_table.aliases(session) == {"live": 0}

    def test_a_place_that_cannot_be_written_is_named(self, paths, tmp_path):
        paths.root.write_text("a file")

        with pytest.raises(HomeError, match="cannot make a home at"):
            create_store(paths, SETTINGS, BASE)


class TestOpen:
    def test_a_missing_home_is_not_made(self, paths):
        with pytest.raises(HomeError, match=r"no home at .*; make one: sleepcycle"):
            open_store(paths, SETTINGS)

        assert not paths.root.exists()

    @pytest.mark.parametrize(
        ("revision", "message"),
        [
            ("0000", "has schema 0000, .* run: sleepcycle db upgrade"),
            ("9999", "has schema 9999, .* install the newer sleepcycle"),
        ],
    )
    def test_another_schema_is_refused(self, paths, store, revision, message):
        with sqlite3.connect(paths.database) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", [revision])
        connection.close()

        with pytest.raises(StoreError, match=message):
            open_store(paths, SETTINGS)

    @pytest.mark.parametrize(
        "content",
        [b"no database at all\n" * 100, b"SQLite format 3\0" + bytes(range(256)) * 40],
    )
    def test_a_damaged_file_is_refused(self, paths, content):
        paths.root.mkdir()
        paths.database.write_bytes(content)

        advice = r"damaged; put back a whole copy: sleepcycle .* restore BACKUP"
        with pytest.raises(StoreError, match=advice):
            open_store(paths, SETTINGS)

    def test_what_puts_it_back_can_be_typed_in_a_shell(self, tmp_path):
        paths = HomePaths(tmp_path / "my home")
        paths.backups.mkdir(parents=True)
        (paths.backups / "a copy.tar.gz").touch()
        paths.database.write_bytes(b"no database at all\n" * 100)

        with pytest.raises(StoreError, match="damaged") as refused:
            open_store(paths, SETTINGS)

        command = str(refused.value).rpartition("a whole copy: ")[2]
        assert shlex.split(command) == [
            "sleepcycle",
            "--home",
            f"{paths.root}",
            "restore",
            f"{paths.backups}/a copy.tar.gz",
            "--replace",
        ]

    def test_a_foreign_database_is_refused(self, paths):
        paths.root.mkdir()
        with sqlite3.connect(paths.database) as connection:
            connection.execute("CREATE TABLE shopping (item)")
        connection.close()

        with pytest.raises(StoreError, match="not a sleepcycle database"):
            open_store(paths, SETTINGS)

    def test_a_page_that_is_lost_is_reported_in_words(self, paths, store):
        """
        The head is whole, so it opens; the first query that meets the hole says so.
        """
        content = bytearray(paths.database.read_bytes())
        content[4096:] = b"\xff" * (len(content) - 4096)
        paths.database.write_bytes(content)

        with pytest.raises(StoreError, match="damaged; put back"):
            open_store(paths, SETTINGS)


class Refusing(disk.System):
    """Refuses to write `journal.head`."""

    def __init__(self, code):
        self.code = code

    def write(self, handle, data):
        raise OSError(self.code, os.strerror(self.code))


class TestTransactions:
    def test_a_head_that_has_no_room_fails_no_change(self, paths, store, monkeypatch):
        """
        The change is committed; the head may be behind, and the next writer moves it.
        """
        add(store, "one")
        behind = paths.journal_head.read_text()
        with monkeypatch.context() as full:
            full.setattr(disk, "system", Refusing(errno.ENOSPC))
            add(store, "two")

        with store.read() as session:
            assert journal_entries(session, 1)[0].action == "two"
            assert journal.check(session, paths) == []
        assert paths.journal_head.read_text() == behind
        add(store, "three")
        assert paths.journal_head.read_text() != behind

    def test_a_head_that_the_disk_lost_is_told(self, store, monkeypatch):
        monkeypatch.setattr(disk, "system", Refusing(errno.EIO))

        with pytest.raises(DiskError, match=r"expected to write .*journal\.head"):
            add(store, "one")

    def test_an_error_leaves_nothing(self, store):
        def fail():
            with store.write() as session:
                journal.append(session, "test", "something")
                raise KeyError("boom")

        with pytest.raises(KeyError, match="boom"):
            fail()

        with store.read() as session:
            assert journal_entries(session, 10) == []

    def test_a_second_writer_waits_and_is_told(self, paths, store):
        """
        The lock is taken when the block begins, not at its first statement.
        """
        other = open_store(paths, SETTINGS)

        with (
            store.write(),
            pytest.raises(StoreError, match="another process is writing"),
            other.write(),
        ):
            pass

    def test_writers_take_turns(self, paths, store):
        settings = SETTINGS.model_copy(update={"busy_timeout_s": 30.0})

        def write():
            for _ in range(10):
                with open_store(paths, settings).write() as session:
                    number = len(journal_entries(session, 1_000))
                    journal.append(session, "test", str(number))

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        with store.read() as session:
            actions = [entry.action for entry in journal_entries(session, 1_000)]
        assert actions == [str(number) for number in reversed(range(40))]

    def test_a_reader_cannot_write(self, store):
        with (
            pytest.raises(StoreError, match="readonly"),
            store.read() as session,
        ):
            journal.append(session, "test", "something")

    def test_a_reader_sees_one_moment(self, store):
        """
        The writer is told to wait or, where SQLite keeps a log, is not seen yet.
        """
        with store.read() as session:
            before = journal_entries(session, 10)
            with contextlib.suppress(StoreError), store.write() as writer:
                journal.append(writer, "test", "something")

            assert journal_entries(session, 10) == before == []


def test_only_a_library_without_the_reset_fault_uses_a_log():
    assert journal_mode((3, 51, 2)) == "DELETE"
    assert journal_mode((3, 51, 3)) == "WAL"


def test_every_connection_is_durable_and_checks_references(paths, store):
    connection = connect(paths, 1.0)

    pragmas = [
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("synchronous", "foreign_keys")
    ]

    connection.close()
    assert pragmas == [2, 1]  # FULL, ON


def test_a_writer_killed_in_its_transaction_leaves_no_trace(paths, store):
    """
    It is killed when its changes are in the file already: the next reader, even one
    that only reads, rolls them back.
    """
    script = f"""
        import os, signal
        from pathlib import Path
        from sleepcycle.files.paths import HomePaths
        from sleepcycle.store.database import open_store
        from tests.store.conftest import SETTINGS, add_batch

        with open_store(HomePaths(Path({str(paths.root)!r})), SETTINGS).write() as s:
            s.connection().exec_driver_sql("PRAGMA cache_size=5")
            add_batch(s, [str(number) * 50 for number in range(500)])
            os.kill(os.getpid(), signal.SIGKILL)
    """
    size = paths.database.stat().st_size
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert paths.database.stat().st_size > size

    assert read_snapshot(paths).counts.accepted == 0
    with store.write() as session:
        add_batch(session, ["next"])
    assert read_snapshot(paths).counts.accepted == 1


def test_opening_needs_no_alembic(paths, store):
    script = (
        "import sys, sleepcycle.store.database; "
        "sys.exit(any(n in sys.modules for n in ('alembic', 'torch')))"
    )

    done = subprocess.run([sys.executable, "-c", script], check=False)

    assert done.returncode == 0
    assert head() == "0006"
