"""Restores: killed anywhere, the old home or the new one is there, whole."""

import json
import multiprocessing
import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from sleepcycle.errors import HomeError, StoreError
from sleepcycle.feed import feed_lock
from sleepcycle.home.lock import owned
from sleepcycle.home.opening import open_home
from sleepcycle.records.run_order import RunKind
from sleepcycle.store import example_table, journal, run_table
from tests.backup.saved import last_entry, put_back, save
from tests.faults.invariants import assert_invariants
from tests.home.lived import bytes_of, killed_at, live_days, rows_of, tiny

FORK = multiprocessing.get_context("fork")
FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
MOVES = range(1, 6) if FULL else (1, 3, 5)
PLACES = (
    ("restore.checked", 1),
    *(("restore.aside", count) for count in MOVES),
    *(("restore.placed", count) for count in MOVES),
)


class TestRestore:
    def test_no_home_is_replaced_while_a_feed_adds_to_it(self, lived, tmp_path):
        """
        Its next part would go into the database that was put in place.
        """
        done = save(lived, tmp_path / "b.tar")

        with ThreadPoolExecutor(1) as pool, feed_lock.held(lived.paths):
            restored = pool.submit(put_back, done.file, lived.paths.root, in_place=True)
            with pytest.raises(StoreError, match="expected no feed to be adding rows"):
                restored.result()

    def test_the_journal_tells_of_it(self, lived, tmp_path):
        done = save(lived, tmp_path / "b.tar")
        put_back(done.file, tmp_path / "new")

        entry = last_entry(tmp_path / "new")
        assert (entry.actor, entry.action) == ("test", "restore")
        assert entry.details["sha256"] == done.sha256
        head = json.loads((tmp_path / "new" / "journal.head").read_text())
        assert head["entry"] == entry.id

    def test_a_run_that_was_open_is_undone(self, lived, tmp_path):
        with lived.store.write() as session:
            for _ in range(2):
                run = run_table.start(session, RunKind.WAKE, 1, "gone")
                journal.append(session, "test", "start wake", run=run)
                example_table.claim(session, run, 3)
            run_table.pause(session, run)

        found = put_back(save(lived, tmp_path / "b.tar").file, tmp_path / "new")

        counts = open_home(tmp_path / "new").status().counts
        before = lived.status().counts
        assert found.undone == (run - 1, run)
        assert (counts.claimed, counts.pending) == (0, before.pending + before.claimed)
        assert before.claimed > 0
        assert_invariants(tmp_path / "new")

    def test_a_home_that_is_there_is_set_aside_when_asked(self, lived, saved_once):
        root, old = lived.paths.root, rows_of(lived.paths.root)
        live_days(lived, "friday")
        newer = rows_of(root)
        with pytest.raises(HomeError, match=r"there is a home at .* --replace"):
            put_back(saved_once, root)
        assert rows_of(root) == newer

        found = put_back(saved_once, root, in_place=True)

        assert rows_of(root) == old
        assert rows_of(found.replaced) == newer
        assert len(list((found.replaced / "versions").iterdir())) == 7
        assert (found.replaced / "config.toml").exists()
        assert (root / "token").read_text() == "secret"
        assert (root / "tokens.json").exists()
        assert (root / "inbox" / "new.jsonl").exists()
        assert_invariants(root)
        assert not any(tiny(root).versions.verify().values())

    def test_what_is_restored_goes_on_living(self, saved_once, tmp_path):
        put_back(saved_once, tmp_path / "home")

        live_days(tiny(tmp_path / "home"), "friday")

        assert tiny(tmp_path / "home").status().live == "v7"
        assert_invariants(tmp_path / "home")

    def test_a_damaged_database_is_set_aside_with_its_journal(self, lived, saved_once):
        lived.paths.database.write_bytes(b"no database at all" * 100)
        beside = lived.paths.root / "sleepcycle.db-journal"
        beside.write_bytes(b"foreign")

        found = put_back(saved_once, lived.paths.root, in_place=True)

        assert not beside.exists()
        assert (found.replaced / "sleepcycle.db").read_bytes().startswith(b"no data")
        assert_invariants(lived.paths.root)

    def test_a_home_without_its_database_is_restored_when_asked(
        self, lived, saved_once
    ):
        lived.paths.database.unlink()

        with pytest.raises(HomeError, match=r"expected .* to be new or empty"):
            put_back(saved_once, lived.paths.root)
        put_back(saved_once, lived.paths.root, in_place=True)

        assert_invariants(lived.paths.root)

    def test_other_things_are_left_alone(self, saved_once, tmp_path):
        (tmp_path / "diary").write_text("mine")
        before = bytes_of(tmp_path)

        for in_place in (False, True):
            with pytest.raises(HomeError, match=r"expected .* to be new or empty"):
                put_back(saved_once, tmp_path, in_place=in_place)

        assert bytes_of(tmp_path) == before

    def test_a_home_in_use_is_left_alone(self, lived, saved_once):
        inside, leave = FORK.Event(), FORK.Event()

        def own():
            with owned(lived.paths):
                inside.set()
                leave.wait(30)

        owner = FORK.Process(target=own)
        owner.start()
        inside.wait(30)
        try:
            with pytest.raises(HomeError, match="in use"):
                put_back(saved_once, lived.paths.root, in_place=True)
        finally:
            leave.set()
            owner.join(30)
        assert_invariants(lived.paths.root)

    def test_who_had_the_old_database_open_cannot_write_into_it(
        self, lived, saved_once
    ):
        """
        What they would be told is kept would be in a home that is set aside.
        """
        with closing(sqlite3.connect(lived.paths.database, timeout=0.1)) as database:
            database.execute("SELECT count(*) FROM example").fetchone()
            put_back(saved_once, lived.paths.root, in_place=True)

            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                database.execute("UPDATE alias SET version = 0")

    def test_killed_anywhere_the_old_or_the_new_home_is_usable(
        self, lived, saved_once, tmp_path
    ):
        """
        Or there is one command: restore again.
        """
        live_days(lived, "friday")
        root, kept = lived.paths.root, tmp_path / "kept"
        shutil.copytree(root, kept)
        old, new = rows_of(root), _rows_of_backup(saved_once, tmp_path)
        usable = []
        for place, count in PLACES:
            shutil.rmtree(root)
            shutil.copytree(kept, root)
            assert killed_at(
                place, count, lambda: put_back(saved_once, root, in_place=True)
            )
            now = _rows_now(root)
            usable.append(
                "cut short" if now is None else "old" if now == old else "new"
            )
            assert now in (None, old, new)

            found = put_back(saved_once, root, in_place=now is not None)
            assert (rows_of(root), found.live) == (new, "v4")
            assert_invariants(root)
            assert old in [
                rows_of(path.parent) for path in root.glob("replaced-*/sleepcycle.db")
            ]
        assert usable == ["old", *["cut short"] * (2 * len(MOVES) - 1), "new"]

    def test_killed_in_a_new_place_it_can_be_done_again(self, saved_once, tmp_path):
        root = tmp_path / "new"
        for place, count in (("restore.checked", 1), ("restore.placed", 3)):
            assert killed_at(place, count, lambda: put_back(saved_once, root))
            with pytest.raises(HomeError, match=r"no home|cut short"):
                open_home(root)

        put_back(saved_once, root)

        assert_invariants(root)

    def test_a_restore_cut_short_ends_before_another_file_is_restored(
        self, lived, saved_once, tmp_path
    ):
        live_days(lived, "friday")
        newer = save(lived, tmp_path / "newer.tar").file
        root = tmp_path / "new"
        assert killed_at("restore.placed", 2, lambda: put_back(saved_once, root))

        with pytest.raises(HomeError, match="there is a home"):
            put_back(newer, root)
        assert tiny(root).status().live == "v4"


class TestRefusal:
    def test_a_file_that_is_not_there(self, refused, tmp_path):
        refused(tmp_path / "absent.tar", "there is no such file")


def _rows_now(root):
    """Return a home's rows, or None where it says that a restore was cut short."""
    try:
        open_home(root)
    except HomeError as error:
        if "a restore into" not in str(error):
            raise
        return None
    return rows_of(root)


def _rows_of_backup(file, tmp_path):
    """Return the rows of a home made of a backup."""
    return rows_of(put_back(file, tmp_path / "made" / "home").home)
