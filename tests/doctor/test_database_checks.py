import hashlib
import os
import random
import shutil

import pytest

from sleepcycle.backup.backup import back_up
from sleepcycle.doctor.inspection import Level
from sleepcycle.errors import SleepcycleError
from sleepcycle.files import process_identity
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.records.run_order import RunKind, RunOrder
from sleepcycle.records.version import BaseIdentity
from sleepcycle.store import journal, run_table
from sleepcycle.store.connection import journal_mode, sqlite_version
from tests.doctor.examined import add_version, look, raw, worst

DATABASE = "sleepcycle.db"


class TestDatabase:
    @pytest.mark.parametrize("data", [b"", b"no database at all" * 100])
    def test_one_that_is_not_ours_fails(self, home, data):
        home.paths.database.write_bytes(data)

        assert "database" in worst(look(home))

    def test_one_that_is_gone_is_to_be_put_back_where_there_are_versions(self, home):
        add_version(home, 1)
        home.paths.database.unlink()

        found = look(home)

        assert "restore" in found["database"].fix
        assert found["versions"].message == "all 1 sealed versions hold"

    def test_one_that_is_gone_is_no_place_for_a_new_home_where_things_are(self, home):
        """
        `init` would refuse that place.
        """
        (home.paths.root / "replaced-20261130").mkdir()
        home.paths.database.unlink()

        assert "restore" in look(home)["database"].fix

    def test_a_restore_that_was_cut_short_is_to_be_ended(self, home):
        (home.paths.scratch / "restored").mkdir(parents=True)
        home.paths.database.unlink()

        assert look(home)["database"].fix.endswith("restore BACKUP")

    def test_the_newest_backup_is_what_to_put_back(self, home):
        home.paths.backups.mkdir(exist_ok=True)
        for name, age in {
            "old.tar": 10,
            "new.tar.gz": 5,
            "newer.db": 0,
            ".cut.tar.partial": 0,
        }.items():
            file = home.paths.backups / name
            file.touch()
            os.utime(file, (10**9 - age, 10**9 - age))
        home.paths.database.write_bytes(b"damaged" * 1000)

        fix = look(home)["database"].fix

        assert fix.endswith(f"restore {home.paths.backups}/new.tar.gz --replace")

    @pytest.mark.parametrize(
        ("revision", "fix"), [("0001", "db upgrade"), ("9999", "pip install")]
    )
    def test_another_schema_fails(self, home, revision, fix):
        with raw(home) as database:
            database.execute("UPDATE alembic_version SET version_num = ?", (revision,))

        found = look(home)

        assert worst(found) == ["schema"]
        assert fix in found["schema"].fix

    def test_a_row_that_refers_to_none_fails(self, home):
        with raw(home) as database:
            database.execute("INSERT INTO alias VALUES ('mine', 77)")

        found = look(home)

        assert worst(found) == ["integrity", "aliases"]
        assert "mine is v77" in found["aliases"].message

    def test_damage_inside_a_page_fails(self, fed):
        with raw(fed) as database:
            [(page,)] = database.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'example'"
            )
            [(size,)] = database.execute("PRAGMA page_size")
        with fed.paths.database.open("r+b") as file:
            file.seek((page - 1) * size + 3)
            file.write(b"\xff\xff")  # more cells than a page can have

        assert "integrity" in worst(look(fed))

    def test_an_example_whose_content_changed_fails(self, fed):
        with raw(fed) as database:
            database.execute("UPDATE example SET content = content || ' ' WHERE id = 1")

        found = look(fed)

        assert worst(found) == ["integrity"]
        assert "example 1 is not what its hash says" in found["integrity"].message

    def test_what_a_backup_refuses_is_found(self, fed):
        """
        150 bits of the database, one at a time, at places that a seed draws.
        """
        add_version(fed, 1, live=True)
        with raw(fed) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        whole, rng, refused = fed.paths.database.read_bytes(), random.Random(0), 0
        for _ in range(150):
            bit = rng.randrange(8 * len(whole))
            broken = bytearray(whole)
            broken[bit // 8] ^= 1 << bit % 8
            for name in ("", "-wal", "-shm"):
                fed.paths.root.joinpath(DATABASE + name).unlink(missing_ok=True)
            fed.paths.database.write_bytes(broken)
            try:
                back_up(fed.paths, fed.settings.store, actor="test")
            except SleepcycleError:
                refused += 1
                assert worst(look(fed)), bit

        assert refused > 5


class TestVersions:
    def test_one_whose_bytes_changed_is_named(self, home):
        """
        Nothing points at it, so putting back a whole backup would be the greater loss.
        """
        add_version(home, 1, live=True)
        folder = add_version(home, 2)
        (folder / "adapter_model.safetensors").write_bytes(b"other")

        found = look(home)

        assert worst(found) == []
        assert found["versions"].level is Level.WARN
        assert "v2: adapter_model.safetensors differs" in found["versions"].message
        assert "nothing needs them" in found["versions"].message
        assert found["versions"].fix.endswith("versions gc --dry-run")

    def test_one_with_a_name_fails(self, home):
        add_version(home, 1, live=True)
        folder = add_version(home, 2)
        home.versions.alias("best", "v2")
        (folder / "adapter_model.safetensors").write_bytes(b"other")

        found = look(home)

        assert worst(found) == ["versions", "aliases"]
        assert "restore BACKUP --replace" in found["versions"].fix

    def test_one_that_an_open_run_stands_on_fails(self, home):
        folder = add_version(home, 1)
        with home.store.write() as session:
            run = run_table.start(
                session,
                RunKind.WAKE,
                os.getpid(),
                process_identity.started(os.getpid()),
            )
        base = BaseIdentity("builtin:nano", None, "")
        order = RunOrder(
            run=run,
            kind=RunKind.WAKE,
            base=base,
            live=folder,
            live_rank=1,
            day=None,
            day_rank=0,
            seed=1,
            settings={},
        )
        RunFolder(home.paths.run(run)).write_order(order)
        (folder / "adapter_model.safetensors").write_bytes(b"other")

        assert "versions" in worst(look(home))

    def test_live_that_does_not_hold_is_rolled_back_to_the_newest_that_does(self, home):
        add_version(home, 1)
        folder = add_version(home, 2, live=True)
        shutil.rmtree(folder)

        found = look(home)

        assert worst(found) == ["versions", "aliases"]
        assert found["aliases"].fix.endswith("rollback v1")

    def test_a_manifest_that_cannot_be_read_fails(self, home):
        folder = add_version(home, 1)
        text = b"no json"
        (folder / "manifest.json").write_bytes(text)
        named = home.paths.versions / f"v0001-{hashlib.sha256(text).hexdigest()[:12]}"
        folder.rename(named)
        with raw(home) as database:
            database.execute(
                "UPDATE version SET folder = ? WHERE number = 1", (named.name,)
            )

        assert "cannot be read" in look(home)["versions"].message


class TestJournal:
    def test_an_edited_entry_fails(self, home):
        with home.store.write() as session:
            journal.append(session, "user:me", "first")
        with raw(home) as database:
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                database.execute(f"DROP TRIGGER {name}")
            database.execute("UPDATE journal SET actor = 'user:you'")

        found = look(home)

        assert worst(found) == ["journal"]
        assert "entry 1 was edited" in found["journal"].message

    def test_another_journal_mode_is_left_as_it_is(self, home):
        """
        Opening the store would change it, and the doctor changes nothing.
        """
        ours = journal_mode(sqlite_version())
        other = {"WAL": "DELETE", "DELETE": "WAL"}[ours]
        with raw(home) as database:
            database.execute(f"PRAGMA journal_mode={other}")

        found = look(home)

        assert found["journal"].level is Level.WARN
        with raw(home) as database:
            [(mode,)] = database.execute("PRAGMA journal_mode")
        assert mode.upper() == other


class TestRuns:
    def test_one_whose_process_is_gone_is_named(self, home):
        with home.store.write() as session:
            run_table.start(session, RunKind.WAKE, os.getpid(), "another process")

        found = look(home)

        assert found["runs"].level is Level.WARN
        assert found["runs"].message.startswith("run 1, a wake")

    def test_one_that_is_on_is_well(self, home):
        with home.store.write() as session:
            pid = os.getpid()
            run_table.start(session, RunKind.WAKE, pid, process_identity.started(pid))

        assert look(home)["runs"].level is Level.OK
