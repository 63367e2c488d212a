"""Backups: one moment, all of it, checked; killed anywhere, none is left.

5 backups beside a feed in the short form; 100 with `SLEEPCYCLE_FAULTS=full`.
"""

import multiprocessing
import os
import shutil
import sqlite3
import tarfile
from contextlib import closing

import pytest

from sleepcycle.backup import archive
from sleepcycle.backup.workspace import held
from sleepcycle.errors import BackupError
from sleepcycle.home.opening import create_home, open_home
from tests.backup.saved import put_back, save
from tests.faults.invariants import assert_invariants
from tests.half_fed import count_half_fed, leave_half_a_feed
from tests.home.lived import bytes_of, feed, killed_at, live_days, rows_of, tiny

FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
ONLINE = 100 if FULL else 5
LONG = 12  # days, until a home has versions enough
FORK = multiprocessing.get_context("fork")


class TestBackup:
    def test_a_restored_home_is_the_one_that_was_saved(self, lived, tmp_path):
        done = save(lived, tmp_path / "b.tar")
        found = put_back(done.file, tmp_path / "new" / "home")

        root = tmp_path / "new" / "home"
        assert rows_of(root) == rows_of(lived.paths.root)
        assert bytes_of(root / "versions") == bytes_of(lived.paths.versions)
        assert (root / "config.toml").read_text() == lived.paths.config.read_text()
        assert_invariants(root)
        assert (found.live, found.versions, found.replaced) == ("v4", 5, None)
        assert done.examples == found.examples == lived.status().counts.accepted
        assert root.stat().st_mode & 0o777 == 0o700

    def test_a_batch_that_is_not_whole_yet_is_left_out(self, lived, tmp_path):
        leave_half_a_feed(lived.store)

        done = save(lived, tmp_path / "b.tar")
        put_back(done.file, tmp_path / "new")

        assert count_half_fed(open_home(tmp_path / "new").store) == 0
        assert count_half_fed(lived.store) == 3
        assert done.examples == lived.status().counts.accepted

    def test_the_home_that_is_saved_does_not_change(self, lived):
        rows, files = rows_of(lived.paths.root, but=()), bytes_of(lived.paths.versions)
        head = lived.paths.journal_head.read_text()

        save(lived)

        assert rows_of(lived.paths.root, but=()) == rows
        assert bytes_of(lived.paths.versions) == files
        assert lived.paths.journal_head.read_text() == head

    def test_it_tells_what_it_wrote(self, lived):
        done = save(lived)

        assert done.file.parent == lived.paths.backups
        assert done.file.stat().st_mode & 0o777 == 0o600
        assert done.size_bytes == done.file.stat().st_size
        assert archive.hash_file(done.file).sha256 == done.sha256
        assert [path.name for path in lived.paths.scratch.iterdir()] == ["lock"]

    def test_nothing_secret_and_nothing_that_can_be_made_again_is_in_it(self, lived):
        with tarfile.open(save(lived).file) as tar:
            names = tar.getnames()
            owners = {(member.uname, member.uid, member.mode) for member in tar}

        assert names[-1] == "backup.json"
        assert {name.partition("/")[0] for name in names} == {
            *("sleepcycle.db", "config.toml", "journal.head", "versions"),
            "backup.json",
        }
        assert owners == {("", 0, 0o600)}

    def test_a_name_can_ask_for_compression(self, lived, tmp_path):
        plain, packed = (
            save(lived, tmp_path / "b.tar"),
            save(lived, tmp_path / "b.tar.gz"),
        )

        assert packed.size_bytes < plain.size_bytes
        assert packed.file.read_bytes().startswith(archive.GZIP)
        assert put_back(packed.file, tmp_path / "new").live == "v4"

    def test_a_folder_gets_a_file_named_by_the_time(self, lived, tmp_path):
        (tmp_path / "stick").mkdir()

        done = save(lived, tmp_path / "stick")

        assert done.file.parent == tmp_path / "stick"
        assert done.file.name.startswith("sleepcycle-")

    def test_nothing_is_written_over(self, lived, tmp_path):
        (tmp_path / "b.tar").write_text("mine")

        with pytest.raises(BackupError, match="expected a new file"):
            save(lived, tmp_path / "b.tar")
        with pytest.raises(BackupError, match="expected the folder"):
            save(lived, tmp_path / "no" / "b.tar")
        assert (tmp_path / "b.tar").read_text() == "mine"

    def test_one_is_made_at_a_time(self, lived):
        with held(lived.paths), pytest.raises(BackupError, match="try again"):
            save(lived)

    def test_a_damaged_database_is_not_kept_as_a_backup(self, lived, tmp_path):
        with closing(sqlite3.connect(lived.paths.database)) as database:
            database.execute("PRAGMA ignore_check_constraints=ON")
            database.execute("UPDATE batch SET accepted = accepted + 1 WHERE id = 1")
            database.commit()

        with pytest.raises(BackupError, match="expected a whole database to back up"):
            save(lived, tmp_path / "b.tar")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["place"]

    def test_a_journal_that_was_cut_is_not_kept_as_a_backup(self, lived):
        with closing(sqlite3.connect(lived.paths.database)) as database:
            database.execute("DROP TRIGGER journal_no_delete")
            database.execute("DELETE FROM journal ORDER BY id DESC LIMIT 1")
            database.commit()

        with pytest.raises(BackupError, match="entries are gone"):
            save(lived)

    def test_an_old_version_that_rotted_is_left_out_and_named(self, lived, tmp_path):
        """
        It must not keep all the others from being saved.
        """
        [folder] = lived.paths.versions.glob("v0001-*")
        (folder / "card.json").write_text("{}")

        done = save(lived, tmp_path / "b.tar")
        put_back(done.file, tmp_path / "new")

        home = open_home(tmp_path / "new")
        assert done.left_out == ("v1",)
        assert home.versions.verify().keys() == {"v2", "v3", "v4", "v5"}
        assert home.versions.listing()[1].removed_at is not None
        assert_invariants(tmp_path / "new")

    def test_a_live_version_that_rotted_is_an_error(self, lived):
        [folder] = lived.paths.versions.glob("v0004-*")
        (folder / "card.json").write_text("{}")

        with pytest.raises(BackupError, match=r"v4 is damaged .*card\.json differs"):
            save(lived)

    @pytest.mark.parametrize("place", ["backup.copied", "backup.written"])
    def test_killed_it_leaves_nothing_that_is_taken_for_a_backup(self, lived, place):
        assert killed_at(place, 1, lambda: save(lived))

        assert list(lived.paths.backups.iterdir()) == []
        done = save(lived)
        assert list(lived.paths.backups.iterdir()) == [done.file]
        assert [path.name for path in lived.paths.scratch.iterdir()] == ["lock"]

    def test_feeds_and_days_go_on_meanwhile(self, tmp_path):
        """
        Each backup is one moment of them, and whole (F26).
        """
        create_home(tmp_path / "home")
        done = FORK.Event()
        busy = FORK.Process(target=_live_on, args=(tmp_path / "home", done))
        busy.start()
        try:
            home, seen = tiny(tmp_path / "home"), []
            for number in range(ONLINE):
                file = save(home, tmp_path / f"{number}.tar").file
                found = put_back(file, tmp_path / "new" / str(number))
                assert_invariants(found.home)
                seen.append(found.examples)
                shutil.rmtree(found.home)
                file.unlink()
        finally:
            done.set()
            busy.join(30)

        assert busy.exitcode == 0
        assert seen == sorted(seen)
        assert seen[-1] > seen[0]


def _live_on(root, done):
    """Live days without a pause, and after some of them feed alone."""
    home, day = tiny(root), 0
    while not done.is_set():
        if day < LONG:
            live_days(home, f"day-{day}")
        else:
            feed(home, f"day-{day}")
        day += 1
