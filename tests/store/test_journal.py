"""The chain of the journal: whatever is edited, missing or cut off is found."""

import errno
import json
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from sleepcycle.errors import DiskError, StoreError
from sleepcycle.files import disk
from sleepcycle.store import journal
from sleepcycle.store.database import open_store
from tests.journaled import journal_entries
from tests.store.conftest import SETTINGS

ENTRIES = 12
COLUMNS = ("id", "at", "actor", "action", "details", "hash")
EDITS = 200
NAMED = "journal entry {} was edited", " {} "


@pytest.fixture
def written(store):
    """A home whose journal has entries of many kinds."""
    for number in range(ENTRIES):
        with store.write() as session:
            journal.append(session, "user:ä", f"feed {number}", source="x", n=number)
    return store


@contextmanager
def forger(paths):
    """Open the database as one who wants to change what was written."""
    with closing(sqlite3.connect(paths.database)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("DROP TRIGGER IF EXISTS journal_no_update")
        connection.execute("DROP TRIGGER IF EXISTS journal_no_delete")
        yield connection
        connection.commit()


def forge(paths, statement, values=()):
    with forger(paths) as connection:
        connection.execute(statement, values)


def faults(store):
    """Return what a new transaction finds."""
    with store.read() as session:
        return journal.check(session, store.paths)


def head(paths):
    return json.loads(paths.journal_head.read_text())


class TestEntries:
    def test_the_last_come_first(self, session):
        journal.append(session, "user:a", "feed", batch=1, source="x")
        journal.append(session, "daemon", "sleep")

        last, first = journal_entries(session, 10)

        assert (last.actor, last.action, last.details) == ("daemon", "sleep", {})
        assert first.details == {"batch": 1, "source": "x"}
        assert first.at <= last.at <= datetime.now(UTC)

    @pytest.mark.parametrize(
        "change", ["UPDATE journal SET actor = 'x'", "DELETE FROM journal"]
    )
    def test_what_is_written_stays(self, store, change):
        with store.write() as session:
            journal.append(session, "user:a", "feed")

        with (
            pytest.raises(StoreError, match="the journal is append-only"),
            store.write() as session,
        ):
            session.execute(text(change))

    def test_pages_go_back_from_the_newest(self, written):
        with written.read() as session:
            page = journal.entries_before(session, ENTRIES + 1, 2)
            older = journal.entries_before(session, page[-1].id, ENTRIES)

        assert [one.id for one in page] == [ENTRIES, ENTRIES - 1]
        assert [one.id for one in older] == list(range(ENTRIES - 2, 0, -1))
        assert page[0].actor == "user:ä"


class TestChain:
    def test_what_was_written_holds(self, written):
        assert faults(written) == []

    def test_a_new_home_holds(self, store):
        assert faults(store) == []
        assert not store.paths.journal_head.exists()

    def test_entries_of_one_transaction_are_chained_too(self, store):
        with store.write() as session:
            for action in ("a", "b", "c"):
                journal.append(session, "test", action)

        assert faults(store) == []
        assert head(store.paths)["entry"] == 3

    def test_each_column_of_each_entry_is_covered(self, written):
        """
        Random edits, one at a time, of text, bytes and type: each is found, and is
        named by its number.
        """
        rng = random.Random(4)
        found = 0
        for _ in range(EDITS):
            number = rng.randint(1, ENTRIES)
            column = rng.choice(COLUMNS)
            with edited(written.paths, rng, number, column):
                first, *_ = faults(written)
                assert NAMED[column == "id"].format(number) in first
                found += 1
            assert faults(written) == []

        assert found == EDITS

    def test_only_the_entry_that_was_edited_is_named(self, written):
        forge(written.paths, "UPDATE journal SET actor = 'eve' WHERE id IN (2, 5)")

        assert faults(written) == [
            "journal entry 2 was edited after it was written",
            "journal entry 5 was edited after it was written",
        ]

    def test_an_edit_that_is_hashed_anew_breaks_the_next_entry(self, written):
        with forger(written.paths) as connection:
            row = "SELECT id, at, 'eve', action, details FROM journal WHERE id = 4"
            (before,) = connection.execute(
                "SELECT hash FROM journal WHERE id = 3"
            ).fetchone()
            entry = connection.execute(row).fetchone()
            connection.execute(
                "UPDATE journal SET actor = 'eve', hash = ? WHERE id = 4",
                (journal.link(before, entry),),
            )

        assert faults(written) == ["journal entry 5 was edited after it was written"]

    @pytest.mark.parametrize(
        ("gone", "message"),
        [
            ("id = 1", "journal entry 1 is missing"),
            ("id = 4", "journal entry 4 is missing"),
            ("id BETWEEN 3 AND 7", "journal entries 3 to 7 are missing"),
        ],
    )
    def test_a_missing_entry_is_named(self, written, gone, message):
        forge(written.paths, f"DELETE FROM journal WHERE {gone}")

        assert faults(written) == [message]

    def test_a_number_that_was_never_given_is_named(self, written):
        forge(written.paths, "UPDATE journal SET id = -4 WHERE id = 12")

        assert faults(written)[0] == "journal entry -4 was edited after it was written"

    def test_bytes_that_are_no_text_are_an_edit(self, written):
        forge(
            written.paths,
            "UPDATE journal SET action = CAST(x'ff41' AS TEXT) WHERE id = 6",
        )

        assert faults(written) == ["journal entry 6 was edited after it was written"]


class TestHead:
    def test_it_knows_the_last_entry(self, written):
        with written.read() as session:
            last = journal_entries(session, 1)[0]

        assert head(written.paths)["entry"] == last.id == ENTRIES

    @pytest.mark.parametrize(
        ("kept", "ends"),
        [
            (ENTRIES - 1, "ends at entry 11"),
            (3, "ends at entry 3"),
            (0, "is empty"),
        ],
    )
    def test_entries_cut_off_the_end_are_found(self, written, kept, ends):
        forge(written.paths, "DELETE FROM journal WHERE id > ?", (kept,))

        [fault] = faults(written)

        assert f"expected journal entry 12 as journal.head knows it, {ends}" in (
            fault.replace("but the journal ", "")
        )
        assert "sleepcycle restore" in fault

    def test_an_older_database_is_found_even_when_it_has_grown_again(
        self, written, tmp_path
    ):
        """
        Its new entries have the old numbers; the head is not moved to them.
        """
        paths = written.paths
        older = shutil.copyfile(paths.database, tmp_path / "older.db")
        with written.write() as session:
            journal.append(session, "test", "what is lost")
        shutil.copyfile(older, paths.database)
        store = open_store(paths, SETTINGS)
        assert "ends at entry 12" in faults(store)[0]

        for action in ("another", "and one more"):
            with store.write() as session:
                journal.append(session, "test", action)

        [fault] = faults(store)
        assert "expected journal entry 13" in fault
        assert "has another one there" in fault
        assert "an older database was put back" in fault

    def test_once_deleted_it_is_written_anew(self, written):
        """
        This is how a user says that the older database is the one to go on with.
        """
        forge(written.paths, "DELETE FROM journal WHERE id > 5")
        written.paths.journal_head.unlink()
        assert faults(written) == []

        with written.write() as session:
            journal.append(session, "test", "goes on")

        assert faults(written) == []
        assert head(written.paths)["entry"] == 6

    @pytest.mark.parametrize("content", ["", "{}", "[1]", '{"entry": 1, "hash": "x"}'])
    def test_one_that_is_not_readable_is_named(self, written, content):
        written.paths.journal_head.write_text(content)
        with written.write() as session:
            journal.append(session, "test", "goes on")

        [fault] = faults(written)

        assert "expected the number and hash of a journal entry in" in fault

    def test_a_crash_between_commit_and_anchor_is_no_fault(self, written):
        """
        The process is killed with its entry committed and the head still behind.
        """
        script = f"""
            from pathlib import Path
            from sleepcycle.files.paths import HomePaths
            from sleepcycle.settings.config import StoreSettings
            from sleepcycle.store import journal
            from sleepcycle.store.database import open_store

            paths = HomePaths(Path({str(written.paths.root)!r}))
            store = open_store(paths, StoreSettings())
            for number in range(9):
                with store.write() as session:
                    journal.append(session, "test", str(number))
        """

        killed = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            check=False,
            env={"SLEEPCYCLE_FAILPOINT": "journal.anchor:3"},
        )

        assert killed.returncode == -9
        with written.read() as session:
            assert journal_entries(session, 1)[0].id == ENTRIES + 3
        assert head(written.paths)["entry"] == ENTRIES + 2
        assert faults(written) == []

        with written.write() as session:
            journal.append(session, "test", "the next")
        assert head(written.paths)["entry"] == ENTRIES + 4
        assert faults(written) == []

    def test_what_is_undone_is_not_anchored(self, written):
        with written.write() as session:
            journal.append(session, "test", "dry run")
            session.rollback()

        assert head(written.paths)["entry"] == ENTRIES
        assert faults(written) == []

    def test_it_is_at_the_end_when_many_have_written_at_once(self, paths, store):
        settings = SETTINGS.model_copy(update={"busy_timeout_s": 30.0})

        def write():
            for _ in range(10):
                with open_store(paths, settings).write() as session:
                    journal.append(session, "test", "turn")

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert faults(store) == []
        assert head(paths)["entry"] == 40

    def test_a_disk_that_cannot_keep_it_undoes_no_commit(self, written, monkeypatch):
        class Failing(disk.System):
            def fsync(self, handle):
                raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(disk, "system", Failing())
        with (
            pytest.raises(DiskError, match="Input/output error"),
            written.write() as session,
        ):
            journal.append(session, "test", "committed")
        monkeypatch.undo()

        with written.read() as session:
            assert journal_entries(session, 1)[0].action == "committed"
        assert faults(written) == []


@contextmanager
def edited(paths, rng, number, column):
    """Change one column of one entry for the length of a block."""
    with forger(paths) as connection:
        (before,) = connection.execute(
            f"SELECT {column} FROM journal WHERE id = ?", (number,)
        ).fetchone()
        after = other(rng, before)
        connection.execute(
            f"UPDATE journal SET {column} = ? WHERE id = ?", (after, number)
        )
    yield
    with forger(paths) as connection:
        connection.execute(
            f"UPDATE journal SET {column} = ? WHERE id = ?",
            (before, after if column == "id" else number),
        )


def other(rng, value):
    """Return a value that differs in one place, or only in its type."""
    if isinstance(value, int):
        return value + ENTRIES * rng.randint(1, 1_000)
    if isinstance(value, bytes):
        place = rng.randrange(len(value))
        changed = bytes([value[place] ^ 1 << rng.randrange(8)])
        return value[:place] + changed + value[place + 1 :]
    place = rng.randrange(len(value))
    return rng.choice(
        [
            value[:place] + value[place + 1 :],
            value[:place] + " " + value[place:],
            value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :],
            value + "\0",
            value.encode(),
        ]
    )


class TestPublished:
    def test_the_last_version_of_a_target_is_found_with_its_entry(self, written):
        with written.write() as session:
            for target, version in (("a", "v1"), ("b", "v2"), ("a", "v3")):
                journal.append(
                    session, "x", journal.PUBLISH, target=target, version=version
                )

        with written.read() as session:
            found = {name: journal.last_published(session, name) for name in "abc"}

        assert found == {
            "a": (ENTRIES + 3, "v3"),
            "b": (ENTRIES + 2, "v2"),
            "c": (0, None),
        }

    def test_a_home_is_told_by_how_its_journal_begins(self, written):
        with written.read() as session:
            before = journal.origin(session)
        with written.write() as session:
            journal.append(session, "x", "more")

        with written.read() as session:
            assert journal.origin(session) == before
        assert re.fullmatch("[0-9a-f]{16}", before)
