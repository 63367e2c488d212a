import fcntl
import hashlib
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from safetensors.torch import load_file

from sleepcycle.doctor.doctor import CHECKS, examine, is_healthy
from sleepcycle.doctor.inspection import Level, Machine, is_held
from sleepcycle.doctor.memory_estimate import read_shape, wake_bytes
from sleepcycle.errors import ModelError
from sleepcycle.files.paths import PACKAGE
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.files.sealed import seal
from sleepcycle.records.run_order import RunKind, RunOrder
from sleepcycle.records.version import BaseIdentity, Version, VersionKind
from sleepcycle.settings.config import Settings
from sleepcycle.store import journal, owner, run_table, version_table
from sleepcycle.store.connection import journal_mode, sqlite_version
from sleepcycle.store.values import Alias

GOOD = Machine(
    sqlite=sqlite_version(),
    file_system="ext4",
    free_bytes=10**12,
    memory_bytes=10**12,
    zone="Europe/Rome",
    now=datetime.now(UTC) + timedelta(seconds=1),
)
NANO = PACKAGE / "nano"


def look(home, *, answers=True, **facts):
    """Examine a home on a machine with these facts."""
    machine = replace(GOOD, **facts)
    return examine(home.paths.root, answers=lambda: answers, machine=machine)


def worst(found):
    """Return the names of the checks that failed."""
    return [name for name, one in found.items() if one.level is Level.FAIL]


def set_up(home, **model):
    """Write settings of the model into the home's configuration."""
    lines = [f'{key} = "{value}"' for key, value in model.items()]
    home.paths.config.write_text("\n".join(["[model]", *lines]))


@contextmanager
def raw(home):
    """Change the database behind the back of the store."""
    with closing(sqlite3.connect(home.paths.database)) as books:
        yield books
        books.commit()


def add_version(home, number, *, live=False):
    """Seal a version with one file, and enter it."""
    stage = home.paths.staging / "made"
    stage.mkdir()
    (stage / "adapter_model.safetensors").write_bytes(bytes([number]) * 100)
    folder = seal(stage, home.paths.versions, f"v{number:04d}")
    version = Version(
        number=number,
        kind=VersionKind.SLEEP,
        folder=folder.name,
        parents=(number - 1,),
        rank=1,
        accepted=True,
        created_at=datetime.now(UTC),
    )
    with home.store.write() as session:
        base = BaseIdentity("builtin:nano", None, "")
        version_table.add(session, version, base, "{}", {})
        if live:
            version_table.point(session, Alias.LIVE, number)
    return folder


@contextmanager
def holding(path):
    """Hold a lock file, as another process would."""
    handle = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def serve(home, pid, started):
    """Write down that a service runs."""
    text = json.dumps({"pid": pid, "started": started, "url": "http://127.0.0.1:1"})
    home.paths.daemon.write_text(text)


class TestExamine:
    def test_nothing_fails_in_a_new_home(self, fed):
        found = look(fed)

        assert worst(found) == []
        assert is_healthy(found)
        assert found["schema"].level is Level.OK
        assert found["integrity"].level is Level.OK

    def test_it_changes_nothing(self, fed):
        add_version(fed, 1, live=True)
        with fed.store.write() as session:
            journal.append(session, "user:me", "test")
        before = imprint(fed.paths.root)

        look(fed)

        assert imprint(fed.paths.root) == before

    def test_it_does_not_load_torch(self, home):
        code = (
            "import sys; from pathlib import Path\n"
            "from sleepcycle.doctor.doctor import examine\n"
            f"found = examine(Path({str(home.paths.root)!r}), answers=lambda: True)\n"
            "assert 'base' in found\n"
            "assert not {'torch', 'transformers', 'peft'} & set(sys.modules)\n"
        )

        done = subprocess.run([sys.executable, "-c", code], capture_output=True)

        assert done.returncode == 0, done.stderr

    def test_whatever_is_not_well_comes_with_what_to_do(self, home):
        home.paths.config.unlink()
        home.paths.database.write_bytes(b"no database")

        found = look(home, zone=None, free_bytes=0, memory_bytes=0, file_system="nfs")

        assert len(worst(found)) > 3
        for name, one in found.items():
            assert (one.fix is None) == (one.level is Level.OK), name

    def test_a_place_without_a_home_says_how_to_make_one(self, home):
        shutil.rmtree(home.paths.root)

        found = look(home)

        assert worst(found) == ["home"]
        assert found["home"].fix == f"sleepcycle --home {home.paths.root} init"

    def test_what_a_check_did_not_foresee_is_a_finding(self, home):
        """
        A table of the right name that has other columns.
        """
        with raw(home) as books:
            books.execute("ALTER TABLE alias RENAME TO was")
            books.execute("CREATE TABLE alias (name, version, other)")
            books.execute("INSERT INTO alias VALUES ('live', 0, 1)")

        found = look(home)

        assert "aliases" in worst(found)
        assert found["aliases"].message.startswith("it could not be looked at")

    @pytest.mark.parametrize("seed", range(20))
    def test_damage_anywhere_in_the_database_is_survived(self, fed, seed):
        """
        Every check still answers, whatever the bytes are.
        """
        rng = random.Random(seed)
        data = bytearray(fed.paths.database.read_bytes())
        for _ in range(200):
            data[rng.randrange(len(data))] = rng.randrange(256)
        fed.paths.database.write_bytes(bytes(data[: rng.choice([len(data), 5000])]))

        found = look(fed)

        assert {"database", "integrity"} & set(worst(found))
        assert set(found) <= set(CHECKS)


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
        with raw(home) as books:
            books.execute("UPDATE alembic_version SET version_num = ?", (revision,))

        found = look(home)

        assert worst(found) == ["schema"]
        assert fix in found["schema"].fix

    def test_a_row_that_refers_to_none_fails(self, home):
        with raw(home) as books:
            books.execute("INSERT INTO alias VALUES ('mine', 77)")

        found = look(home)

        assert worst(found) == ["integrity", "aliases"]
        assert "mine is v77" in found["aliases"].message

    def test_damage_inside_a_page_fails(self, fed):
        with raw(fed) as books:
            [(page,)] = books.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'example'"
            )
            [(size,)] = books.execute("PRAGMA page_size")
        with fed.paths.database.open("r+b") as file:
            file.seek((page - 1) * size + 3)
            file.write(b"\xff\xff")  # more cells than a page can have

        assert "integrity" in worst(look(fed))


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
                session, RunKind.WAKE, os.getpid(), owner.started(os.getpid())
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
        with raw(home) as books:
            books.execute(
                "UPDATE version SET folder = ? WHERE number = 1", (named.name,)
            )

        assert "cannot be read" in look(home)["versions"].message


class TestJournal:
    def test_an_edited_entry_fails(self, home):
        with home.store.write() as session:
            journal.append(session, "user:me", "first")
        with raw(home) as books:
            for (name,) in books.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            ).fetchall():
                books.execute(f"DROP TRIGGER {name}")
            books.execute("UPDATE journal SET actor = 'user:you'")

        found = look(home)

        assert worst(found) == ["journal"]
        assert "entry 1 was edited" in found["journal"].message

    def test_another_journal_mode_is_left_as_it_is(self, home):
        """
        Opening the store would change it, and the doctor changes nothing.
        """
        ours = journal_mode(sqlite_version())
        other = {"WAL": "DELETE", "DELETE": "WAL"}[ours]
        with raw(home) as books:
            books.execute(f"PRAGMA journal_mode={other}")

        found = look(home)

        assert found["journal"].level is Level.WARN
        with raw(home) as books:
            [(mode,)] = books.execute("PRAGMA journal_mode")
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
            run_table.start(session, RunKind.WAKE, pid, owner.started(pid))

        assert look(home)["runs"].level is Level.OK


class TestLock:
    def test_it_is_free(self, home):
        assert not is_held(home.paths)
        assert look(home)["lock"].message == "nobody holds the home"

    def test_a_service_that_answers_holds_it(self, home):
        pid = os.getpid()
        serve(home, pid, owner.started(pid))
        with holding(home.paths.lock):
            found = look(home, answers=True)["lock"]

        assert found.level is Level.OK
        assert f"process {pid}, and answers" in found.message

    def test_a_service_that_does_not_answer_fails(self, home):
        pid = os.getpid()
        serve(home, pid, owner.started(pid))
        with holding(home.paths.lock):
            found = look(home, answers=False)["lock"]

        assert found.level is Level.FAIL
        assert "does not answer" in found.message

    def test_a_run_by_hand_is_named(self, home):
        pid = os.getpid()
        with home.store.write() as session:
            run_table.start(session, RunKind.SLEEP, pid, owner.started(pid))
        with holding(home.paths.lock):
            found = look(home)["lock"]

        assert found.level is Level.OK
        assert (
            found.message == f"process {pid} holds the home, and runs a sleep by hand"
        )

    @pytest.mark.parametrize("text", ["", "{}", '{"pid": 1, "started": "then"}'])
    def test_a_holder_that_says_nothing_is_worth_a_look(self, home, text):
        home.paths.daemon.write_text(text)
        with holding(home.paths.lock):
            found = look(home)["lock"]

        assert found.level is Level.WARN
        assert "fuser" in found.fix

    def test_a_service_that_was_killed_leaves_the_home_free(self, home):
        serve(home, os.getpid(), "an earlier process")

        found = look(home)["lock"]

        assert found.level is Level.OK
        assert "was ended" in found.message


class TestPermissions:
    @pytest.mark.parametrize(
        ("mode", "level"),
        [(0o700, Level.OK), (0o755, Level.WARN), (0o770, Level.FAIL)],
    )
    def test_the_home_is_its_owners_alone(self, home, mode, level):
        home.paths.root.chmod(mode)

        assert look(home)["home"].level is level

    @pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o640, "fail")])
    def test_the_token_is_its_owners_alone(self, home, mode, level):
        home.paths.token.write_text("secret")
        home.paths.token.chmod(mode)

        found = look(home)["token"]

        assert found.level == level
        assert "secret" not in found.message

    def test_an_inbox_that_is_a_file_fails(self, home):
        shutil.rmtree(home.paths.inbox, ignore_errors=True)
        home.paths.inbox.write_text("")

        assert worst(look(home)) == ["inbox"]


class TestSettings:
    def test_an_unknown_one_fails(self, home):
        home.paths.config.write_text("[wake]\nrnk = 3\n")

        found = look(home)

        assert worst(found) == ["settings"]
        assert "did you mean wake.rank?" in found["settings"].message

    def test_a_curriculum_is_read(self, home):
        home.paths.config.write_text('[wake]\ncurriculum = "four_phases"\n')

        found = look(home)["curriculum"]

        assert found.level is Level.OK
        assert found.message.startswith("the curriculum can be read: foundation, ")

    def test_a_curriculum_that_is_missing_or_wrong_fails(self, home):
        home.paths.config.write_text('[wake]\ncurriculum = "own.toml"\n')
        missing = look(home)
        (home.paths.root / "own.toml").write_text('name = "own"\nphase = []\n')
        wrong = look(home)

        assert worst(missing) == worst(wrong) == ["curriculum"]
        assert "expected a curriculum in" in missing["curriculum"].message
        assert "did you mean phases?" in wrong["curriculum"].message
        assert "wake.curriculum" in wrong["curriculum"].fix

    def test_without_one_there_is_nothing_to_look_at(self, home):
        assert "curriculum" not in look(home)

    def test_a_file_that_is_gone_fails(self, home):
        home.paths.config.unlink()

        assert worst(look(home)) == ["settings"]


class TestBase:
    @pytest.fixture
    def copy(self, home, tmp_path):
        """A home whose base is a folder, and that folder."""
        shutil.copytree(NANO, tmp_path / "model")
        set_up(home, base=tmp_path / "model")
        with raw(home) as books:
            books.execute("UPDATE version SET base_id = ?", (str(tmp_path / "model"),))
        return tmp_path / "model"

    def test_a_folder_is_found(self, home, copy):
        assert "with 1.7 M parameters" in look(home)["base"].message

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_a_missing_file_fails(self, home, copy, name):
        (copy / name).unlink()

        found = look(home)

        assert "base" in worst(found)
        assert name.removeprefix("model") in found["base"].message

    def test_weights_that_were_cut_short_fail(self, home, copy):
        weights = copy / "model.safetensors"
        os.truncate(weights, weights.stat().st_size - 1)

        assert "cut short" in look(home)["base"].message

    def test_a_missing_shard_fails(self, home, copy):
        index = {"weight_map": {"a": "model-2.safetensors"}}
        (copy / "model.safetensors.index.json").write_text(json.dumps(index))

        assert "expected model-2.safetensors" in look(home)["base"].message

    def test_a_hub_id_that_is_not_cached_fails(self, home, monkeypatch, tmp_path):
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
        set_up(home, base="nobody/nothing")

        found = look(home)["base"]

        assert found.level is Level.FAIL
        assert found.fix == "hf download nobody/nothing"

    def test_another_base_than_the_versions_belong_to_fails(self, home, copy):
        set_up(home, base="builtin:nano")

        found = look(home)["base"]

        assert found.level is Level.FAIL
        assert "set model.base back" in found.fix

    def test_another_hash_than_the_books_have_fails(self, home):
        remember(home, "b" * 64)
        with raw(home) as books:
            books.execute("UPDATE version SET base_sha256 = ?", ("a" * 64,))

        found = look(home)["base"]

        assert found.level is Level.FAIL
        assert "bbbb" in found.message

    def test_the_recorded_hash_is_compared(self, home):
        remember(home, "a" * 64)
        with raw(home) as books:
            books.execute("UPDATE version SET base_sha256 = ?", ("a" * 64,))

        assert look(home)["base"].message.endswith("hash that its versions belong to")


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

    def test_a_full_disk_fails(self, home):
        folder = add_version(home, 1)
        with (folder / "adapter_model.safetensors").open("ab") as file:
            file.truncate(10_000_000)

        assert look(home, free_bytes=285 * 10**6)["disk"].level is Level.FAIL
        assert look(home, free_bytes=287 * 10**6)["disk"].level is Level.OK

    def test_little_memory_is_worth_a_look(self, home):
        found = look(home, memory_bytes=10**8)["memory"]

        assert found.level is Level.WARN
        assert found.message.startswith("0.1 GB of memory")

    def test_a_clock_that_was_never_set_fails(self, home):
        now = datetime(1970, 1, 1, tzinfo=UTC)

        assert look(home, now=now)["clock"].level is Level.FAIL

    def test_a_clock_behind_the_books_is_worth_a_look(self, home):
        now = datetime.now(UTC) - timedelta(hours=1)

        found = look(home, now=now)["clock"]

        assert found.level is Level.WARN
        assert "the books have an entry" in found.message

    def test_a_zone_that_cannot_be_told_fails_unless_one_is_set(self, home):
        assert worst(look(home, zone=None)) == ["time zone"]
        home.paths.config.write_text('[sleep]\ntimezone = "Asia/Tokyo"\n')
        assert worst(look(home, zone=None)) == []


class TestFootprint:
    def test_the_parameters_are_counted(self):
        weights = load_file(NANO / "model.safetensors")
        counted = sum(tensor.numel() for tensor in weights.values())

        assert read_shape(NANO).parameters == counted

    def test_each_thing_that_grows_a_wake_grows_the_estimate(self):
        shape = read_shape(NANO)
        plain = wake_bytes(shape, Settings())

        for section in ({"batch_size": 16}, {"rank": 64}):
            assert wake_bytes(shape, Settings(wake=section)) > plain
        assert wake_bytes(shape, Settings(model={"max_length": 64})) < plain

    def test_half_the_precision_is_half_the_base(self):
        shape = replace(read_shape(NANO), layers=0, edges=0, vocabulary=0)
        whole = wake_bytes(shape, Settings())

        half = wake_bytes(shape, Settings(model={"dtype": "bfloat16"}))

        assert whole - half == 2 * shape.parameters

    def test_what_is_no_safetensors_is_refused(self, tmp_path):
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "model.safetensors").write_bytes(b"\x08" + bytes(7) + b"no json!")

        with pytest.raises(ModelError, match="to be safetensors"):
            read_shape(tmp_path)


def imprint(root):
    """Return the name, time and bytes of every file in a folder."""
    return {
        path.relative_to(root): (path.stat().st_mtime_ns, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }


def remember(home, sha256):
    """Put a hash of the embedded model into the home's cache."""
    from sleepcycle.model.base_files import identify
    from sleepcycle.settings.config import ModelSettings

    identify(ModelSettings(), home.paths.cache)
    memory = home.paths.cache / "base.json"
    known = json.loads(memory.read_text())
    memory.write_text(json.dumps({**known, "sha256": sha256}))
