"""Backups and restores: one moment, all of it, checked; killed anywhere, nothing lost.

5 backups beside a feed in the short form; 100 with `SLEEPCYCLE_FAULTS=full`.
"""

import io
import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import tarfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sleepcycle.backup import archive
from sleepcycle.backup.backup import back_up
from sleepcycle.backup.restore import restore
from sleepcycle.backup.workspace import held
from sleepcycle.errors import (
    BackupError,
    ConfigError,
    DiskError,
    HomeError,
)
from sleepcycle.files import disk
from sleepcycle.home.lock import owned
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.run_order import RunKind
from sleepcycle.store import example_table, journal, run_table
from tests.faults.invariants import assert_invariants, surroundings
from tests.home.lived import bytes_of, feed, killed_at, live_days, rows_of, tiny

FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
ONLINE = 100 if FULL else 5
LONG = 12  # days, until a home has versions enough
MUTANTS = 2_000 if FULL else 150
MOVES = range(1, 6) if FULL else (1, 3, 5)
PLACES = (
    ("restore.checked", 1),
    *(("restore.aside", count) for count in MOVES),
    *(("restore.placed", count) for count in MOVES),
)
FORK = multiprocessing.get_context("fork")


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


def save(home, file=None):
    return back_up(home.paths, home.settings.store, file, actor="test")


def put_back(file, root, *, in_place=False):
    return restore(Path(file), root, in_place=in_place, actor="test")


def last_entry(root):
    with open_home(root).store.read() as session:
        return journal.entries(session, 1)[0]


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

    def test_damaged_books_are_not_kept_as_a_backup(self, lived, tmp_path):
        with closing(sqlite3.connect(lived.paths.database)) as books:
            books.execute("PRAGMA ignore_check_constraints=ON")
            books.execute("UPDATE batch SET accepted = accepted + 1 WHERE id = 1")
            books.commit()

        with pytest.raises(BackupError, match="expected whole books to back up"):
            save(lived, tmp_path / "b.tar")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["place"]

    def test_a_journal_that_was_cut_is_not_kept_as_a_backup(self, lived):
        with closing(sqlite3.connect(lived.paths.database)) as books:
            books.execute("DROP TRIGGER journal_no_delete")
            books.execute("DELETE FROM journal ORDER BY id DESC LIMIT 1")
            books.commit()

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


class TestRestore:
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
        with closing(sqlite3.connect(lived.paths.database, timeout=0.1)) as books:
            books.execute("SELECT count(*) FROM example").fetchone()
            put_back(saved_once, lived.paths.root, in_place=True)

            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                books.execute("UPDATE alias SET version = 0")

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


class TestUnpack:
    def test_a_disk_that_is_full_is_told_from_one_that_failed(self, tmp_path):
        with (
            open("/dev/full", "wb", buffering=0) as full,
            pytest.raises(DiskError, match=r"to write .*; free some") as raised,
        ):
            archive._write(full, b"text", tmp_path / "file")

        assert disk.is_full(raised.value)


class TestRefusal:
    """Whatever is wrong with a backup, nothing is changed and nothing is left."""

    @pytest.fixture
    def taken_out(self, saved_once, tmp_path):
        """The files of a backup, and its contents."""
        folder = tmp_path / "out"
        folder.mkdir()
        return folder, archive.unpack(saved_once, folder)

    @pytest.fixture
    def refused(self, tmp_path):
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

    def test_a_file_that_is_not_there(self, refused, tmp_path):
        refused(tmp_path / "absent.tar", "there is no such file")

    @pytest.mark.parametrize("content", [b"", b"text", bytes(10_240), b"\x1f\x8b\0"])
    def test_a_file_that_is_no_archive(self, refused, tmp_path, content):
        (tmp_path / "b.tar").write_bytes(content)

        refused(tmp_path / "b.tar", "expected a whole backup")

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("/etc/evil", tarfile.REGTYPE),
            ("../evil", tarfile.REGTYPE),
            ("versions/../../evil", tarfile.REGTYPE),
            ("versions/v0001-0123456789ab/../evil", tarfile.REGTYPE),
            ("versions/v0001-0123456789ab/a/b", tarfile.REGTYPE),
            ("versions/v0001-0123456789ab/.hidden", tarfile.REGTYPE),
            ("token", tarfile.REGTYPE),
            ("lock", tarfile.REGTYPE),
            ("sleepcycle.db-wal", tarfile.REGTYPE),
            ("config.toml\0", tarfile.REGTYPE),
            ("./config.toml", tarfile.REGTYPE),
            ("sleepcycle.db", tarfile.SYMTYPE),
            ("sleepcycle.db", tarfile.LNKTYPE),
            ("sleepcycle.db", tarfile.CHRTYPE),
            ("sleepcycle.db", tarfile.FIFOTYPE),
            ("versions", tarfile.DIRTYPE),
            ("sleepcycle.db", tarfile.GNUTYPE_SPARSE),
        ],
    )
    def test_a_member_that_no_backup_has(self, refused, tmp_path, name, kind):
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.GNU_FORMAT) as tar:
            tar.addfile(member)

        refused(tmp_path / "b.tar", "is no file of a backup|plain file|is missing|read")

    def test_the_same_name_twice(self, refused, tmp_path):
        with tarfile.open(tmp_path / "b.tar", "w") as tar:
            for _ in range(2):
                tar.addfile(tarfile.TarInfo("config.toml"))

        refused(tmp_path / "b.tar", "is no file of a backup")

    def test_a_member_after_the_manifest(self, refused, saved_once, tmp_path):
        file = shutil.copyfile(saved_once, tmp_path / "b.tar")
        with tarfile.open(file, "a") as tar:
            tar.addfile(tarfile.TarInfo("config.toml"))

        refused(file, "comes after")

    def test_a_member_larger_than_the_disk(self, refused, tmp_path):
        member = tarfile.TarInfo("sleepcycle.db")
        member.size = 1 << 60
        with (tmp_path / "b.tar").open("wb") as file:
            file.write(member.tobuf(tarfile.GNU_FORMAT))

        refused(tmp_path / "b.tar", "expected room|cannot be read")

    def test_a_manifest_of_another_format(self, refused, taken_out, tmp_path):
        folder, contents = taken_out
        file = _pack(tmp_path, folder, contents)
        with tarfile.open(file) as tar:
            text = json.loads(tar.extractfile("backup.json").read())
        with tarfile.open(tmp_path / "2.tar", "w") as tar:
            text["format"] = 2
            data = json.dumps(text).encode()
            member = tarfile.TarInfo("backup.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

        refused(tmp_path / "2.tar", "expected .* format 1, got 2")

    @pytest.mark.parametrize(
        ("damage", "match"),
        [
            (lambda f: (f / "config.toml").unlink(), r"config\.toml is missing"),
            (lambda f: (f / "sleepcycle.db").unlink(), r"sleepcycle\.db is missing"),
            (lambda f: shutil.rmtree(_version(f, 1)), "v1: .*found none"),
            (lambda f: (_version(f, 4) / "card.json").write_text(""), "card of"),
            (lambda f: (_version(f, 4) / "card.json").unlink(), "v4: card"),
            (lambda f: _stray(f), "its books do not know v0009"),
            (
                lambda f: _sql(f, "DELETE FROM alias WHERE name = 'live'"),
                "live is N",
            ),
            (lambda f: _sql(f, "UPDATE alias SET version = 99"), "refers to nothing"),
            (lambda f: _sql(f, "DELETE FROM example WHERE id = 1"), "refers|missing"),
            (
                lambda f: _sql(f, "INSERT INTO removed VALUES (4, '2026-11-23', 'x')"),
                "its books do not know v0004",
            ),
            (lambda f: _sql(f, "INSERT INTO removed VALUES (4, 'x', 'x')"), "be read"),
            (
                lambda f: _sql(
                    f,
                    "DROP TRIGGER journal_no_update",
                    "UPDATE journal SET actor = 'nobody' WHERE id = 2",
                ),
                "journal entry 2 was edited",
            ),
            (
                lambda f: (f / "journal.head").write_text(
                    json.dumps({"entry": 999, "hash": "00" * 32})
                ),
                "journal",
            ),
        ],
    )
    def test_a_home_that_is_not_whole_under_hashes_that_are(
        self, refused, taken_out, tmp_path, damage, match
    ):
        """
        Whoever made the backup, its hashes prove only that it arrived as it was sent.
        """
        folder, contents = taken_out
        damage(folder)

        refused(_pack(tmp_path, folder, contents), match)

    def test_books_of_a_newer_package(self, refused, taken_out, tmp_path):
        folder, contents = taken_out
        _sql(folder, "UPDATE alembic_version SET version_num = '9999'")

        refused(_pack(tmp_path, folder, contents), "install the newer")

    def test_a_database_that_is_none(self, refused, taken_out, tmp_path):
        folder, contents = taken_out
        (folder / "sleepcycle.db").write_bytes(b"no database")

        refused(_pack(tmp_path, folder, contents), "not a database")

    def test_settings_that_are_wrong(self, refused, taken_out, tmp_path):
        folder, contents = taken_out
        (folder / "config.toml").write_text("[wake]\nrnk = 3\n")

        refused(_pack(tmp_path, folder, contents), "unknown setting", ConfigError)

    def test_every_damaged_copy_is_refused_or_says_the_same(
        self, saved_once, tmp_path, record_property
    ):
        """
        Only what no reader looks at, such as padding, may change unnoticed.
        """
        rng = random.Random(0)
        whole, good = saved_once.read_bytes(), archive.unpack(saved_once, None)
        file, refused = tmp_path / "b.tar", 0
        for _ in range(MUTANTS):
            file.write_bytes(_mutant(whole, rng))
            try:
                found = archive.unpack(file, None)
            except BackupError:
                refused += 1
            else:
                assert found == good
        record_property("damaged backups refused", refused)
        record_property("damaged backups that read the same", MUTANTS - refused)
        assert refused > MUTANTS // 2


def _version(folder, number):
    [found] = (folder / "versions").glob(f"v{number:04d}-*")
    return found


def _stray(folder):
    shutil.copytree(_version(folder, 1), folder / "versions" / "v0009-0123456789ab")


def _sql(folder, *statements):
    with closing(sqlite3.connect(folder / "sleepcycle.db")) as books:
        for statement in statements:
            books.execute(statement)
        books.commit()


def _pack(tmp_path, folder, contents):
    """Write a backup of whatever lies in a folder, with hashes that are right."""
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    archive.pack(tmp_path / "packed.tar", files, replace(contents, files={}))
    return tmp_path / "packed.tar"


def _mutant(whole, rng):
    """Return a backup with some damage."""
    data = bytearray(whole)
    kind = rng.randrange(3)
    if kind == 0:
        return bytes(data[: rng.randrange(len(data))])
    if kind == 1:
        at = rng.randrange(len(data))
        data[at:at] = rng.randbytes(rng.choice([1, 512]))
        return bytes(data)
    for _ in range(rng.choice([1, 1, 8, 64])):
        at = rng.randrange(len(data))
        data[at] ^= 1 << rng.randrange(8)
    return bytes(data)
