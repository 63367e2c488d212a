"""Upgrades from the first schema, with rows, and killed at each step."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from sleepcycle.files.paths import HomePaths
from sleepcycle.records.captured import Exchange
from sleepcycle.records.example import SetAside
from sleepcycle.store import (
    captured_table,
    erased_table,
    example_table,
    journal,
    migrate,
    run_table,
    version_table,
)
from sleepcycle.store.connection import head, make_file, migrations
from sleepcycle.store.database import open_store
from tests.store.conftest import SETTINGS

AT = "2026-11-23T12:00:00.000000+00:00"
ROWS = {
    "batch": [(1, "ä.jsonl", "chat", AT, 0.25, 9, 6, 1, 2, 1)],
    "bad_row": [(1, 1, "ä.jsonl", 7, 99, "E_JSON", "expected", b"\xff\0", 2)],
    "run": [
        (1, "wake", "done", AT, AT, 17, "boot 1", '{"steps": 3}', None),
        (2, "wake", "failed", AT, AT, 18, "boot 2", None, "no disk"),
        (3, "sleep", "cancelled", AT, AT, 18, "boot 3", None, "stopped"),
        (4, "wake", "running", AT, None, 19, "boot 4", None, None),
    ],
    "version": [
        (0, "base", None, 0, 1, AT, None, "builtin:nano", None, "", "{}"),
        (1, "wake", "v0001-a", 16, 1, AT, 1, "builtin:nano", "main", "ab", "{}"),
        (2, "import", "v0002-b", 8, 0, AT, None, "builtin:nano", None, "ab", "{}"),
    ],
    "version_parent": [(1, 0, 0), (2, 1, 0), (2, 0, 1)],
    "version_batch": [(1, 1, 2)],
    "example": [
        (1, 1, b"1" * 32, '["a"]', "trained", None, 1),
        (2, 1, b"2" * 32, '["b"]', "excluded", None, 1),
        (3, 1, b"3" * 32, '["c"]', "pending", None, None),
        (4, 1, b"4" * 32, '["d"]', "claimed", 4, None),
        (5, 1, b"5" * 32, '["e"]', "held_out", None, None),
    ],
    "version_example": [(1, 1), (1, 2)],
    "alias": [("live", 0), ("day", 1), ("best", 2)],
    "journal": [
        (1, AT, "user:ä", "feed", '{"source": "\\u00e4", "batch": 1}'),
        (2, AT, "user:ä", "start wake", '{"run": 1}'),
        (3, AT, "recovery", "seal wake", '{"n": 1.0, "reason": null}'),
    ],
}
KILLER = """
    import json, os, shutil, signal, sys
    from pathlib import Path
    import alembic.command, alembic.config  # once, not in every child
    from sqlalchemy import Engine, event
    from sleepcycle.files import failpoint
    from sleepcycle.settings.config import StoreSettings
    from sleepcycle.files.paths import HomePaths
    from sleepcycle.store import migrate

    old, out = Path(sys.argv[1]), Path(sys.argv[2])

    def attempt(home, place):
        left = place if isinstance(place, int) else 0

        def count(*args):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", count)
        failpoint._name = str(place)
        migrate.upgrade(HomePaths(home), StoreSettings())

    def killed(place):
        home = out / str(place)
        shutil.copytree(old, home)
        child = os.fork()
        if child == 0:
            attempt(home, place)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    for name in ("migrate.copy", "migrate.commit", "migrate.anchor", "journal.anchor"):
        if killed(name) != -signal.SIGKILL:
            sys.exit(f"{name} was never passed")
    statement = 1
    while (code := killed(statement)) == -signal.SIGKILL:
        statement += 1
    sys.exit(f"statement {statement} gave {code}" if code else None)
"""


@pytest.fixture(scope="module")
def first_schema(tmp_path_factory):
    """A home as the first release left it, with rows in every table."""
    paths = HomePaths(tmp_path_factory.mktemp("first") / "home")
    make_file(paths)
    config = Config()
    config.set_main_option("script_location", str(migrations()))
    with create_engine(f"sqlite:///{paths.database}").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for table, rows in ROWS.items():
            marks = ", ".join("?" * len(rows[0]))
            connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", rows)
    return paths.root


@pytest.fixture
def old(first_schema, paths):
    """A home of the first schema to work on."""
    shutil.copytree(first_schema, paths.root)
    return paths


def look(database):
    """Return a database's revision, and the rows that the first schema had."""
    with closing(sqlite3.connect(database)) as connection:
        [(revision,)] = connection.execute("SELECT version_num FROM alembic_version")
        rows = {}
        for table, expected in ROWS.items():
            found = connection.execute(f"SELECT * FROM {table}").fetchall()
            rows[table] = sorted(row[: len(expected[0])] for row in found)
    return revision, rows


EXPECTED = {table: sorted(rows) for table, rows in ROWS.items()}


def rules(database):
    """Return the named checks of a database, by table, and its triggers."""
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = connection.execute(
            "SELECT tbl_name, type, name, sql FROM sqlite_master WHERE sql NOT NULL"
        ).fetchall()
    checks = {
        (table, name)
        for table, _, _, sql in found
        for name in re.findall(r"CONSTRAINT (\w+) (?:CHECK|FOREIGN|UNIQUE)", sql)
    }
    return checks, {name for _, kind, name, _ in found if kind != "table"}


def test_every_row_outlives_the_upgrade(old):
    done = migrate.upgrade(old, SETTINGS)

    assert (done.before, done.after) == ("0001", head())
    assert look(old.database) == (head(), EXPECTED)
    assert look(done.backup) == ("0001", EXPECTED)


def test_every_rule_outlives_the_upgrade(old):
    checks, others = rules(old.database)

    migrate.upgrade(old, SETTINGS)

    now, others_now = rules(old.database)
    assert others <= others_now
    assert checks - now == {("run", "ck_run_ended_or_running")}
    assert {("run", "ck_run_ended_or_open"), ("night", "ck_night_state_known")} <= now
    assert ("example", "ck_example_claimed_by_run") in now


def test_the_journal_is_chained_and_anchored(old):
    migrate.upgrade(old, SETTINGS)

    store = open_store(old, SETTINGS)
    with store.read() as session:
        assert journal.check(session, old) == []
    assert json.loads(old.journal_head.read_text())["entry"] == 3
    with store.write() as session:
        journal.append(session, "test", "the next")
    with store.read() as session:
        assert journal.check(session, old) == []


@pytest.mark.parametrize(
    "change", ["UPDATE journal SET hash = zeroblob(32)", "DELETE FROM journal"]
)
def test_the_journal_is_still_append_only(old, change):
    migrate.upgrade(old, SETTINGS)

    with (
        closing(sqlite3.connect(old.database)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="the journal is append-only"),
    ):
        connection.execute(change)


def test_what_was_there_can_be_used(old):
    migrate.upgrade(old, SETTINGS)

    with open_store(old, SETTINGS).write() as session:
        assert version_table.tainted(session) == {1, 2}
        run_table.pause(session, 4)
        assert [run.id for run in run_table.paused_runs(session)] == [4]


def test_killed_at_any_step_it_is_old_or_new_and_can_be_upgraded(
    first_schema, tmp_path
):
    """
    Before each statement, and around the copy, the commit and the head of the journal.
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLER), first_schema, tmp_path],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    homes = [HomePaths(root) for root in tmp_path.iterdir()]
    assert len(homes) > 40
    assert {look(paths.database)[0] for paths in homes} == {"0001", head()}

    for paths in homes:
        name = paths.root.name
        _, rows = look(paths.database)
        assert rows == EXPECTED, name
        copies = list(paths.backups.glob("*.db"))
        assert [look(copy) for copy in copies] == [("0001", EXPECTED)] * (
            name != "migrate.copy"
        )

        assert migrate.upgrade(paths, SETTINGS).after == head(), name

        assert look(paths.database) == (head(), EXPECTED), name
        checks, others = rules(paths.database)
        assert ("example", "ck_example_claimed_by_run") in checks
        assert {"journal_no_update", "journal_no_delete"} <= others
        with open_store(paths, SETTINGS).read() as session:
            assert journal.check(session, paths) == [], name


class TestFromTheSecondSchema:
    """The one before examples were set aside."""

    @pytest.fixture
    def second(self, old):
        """A home of the second schema, with rows."""
        config = Config()
        config.set_main_option("script_location", str(migrations()))
        with create_engine(f"sqlite:///{old.database}").begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0002")
        return old

    def test_every_row_outlives_the_upgrade(self, second):
        done = migrate.upgrade(second, SETTINGS)

        assert (done.before, done.after) == ("0002", head())
        assert look(second.database) == (head(), EXPECTED)

    def test_of_no_row_its_line_is_known(self, second):
        migrate.upgrade(second, SETTINGS)

        with open_store(second, SETTINGS).read() as session:
            found = example_table.stored(session, 1, None, 9)
        assert {(one.line, one.provenance) for one in found} == {(None, None)}
        assert len(found) == 5

    def test_what_a_run_holds_can_be_set_aside(self, second):
        migrate.upgrade(second, SETTINGS)

        with open_store(second, SETTINGS).write() as session:
            assert list(example_table.set_aside_rows(session)) == []
            fault = SetAside("E_TEMPLATE", "why", (4,))
            assert example_table.set_aside(session, 4, [fault]) == 1
            [row] = example_table.set_aside_rows(session)
        assert (row.file, row.line, row.code) == ("ä.jsonl", 0, "E_TEMPLATE")


class TestFromTheThirdSchema:
    """The one before completions were kept."""

    @pytest.fixture
    def third(self, old):
        """A home of the third schema, with rows."""
        config = Config()
        config.set_main_option("script_location", str(migrations()))
        with create_engine(f"sqlite:///{old.database}").begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0003")
        return old

    def test_every_row_outlives_the_upgrade(self, third):
        done = migrate.upgrade(third, SETTINGS)

        assert (done.before, done.after) == ("0003", head())
        assert look(third.database) == (head(), EXPECTED)

    def test_completions_can_be_kept_and_examples_erased(self, third):
        migrate.upgrade(third, SETTINGS)

        with open_store(third, SETTINGS).write() as session:
            turn = {"role": "user", "content": "Hi."}
            captured_table.add(session, Exchange("chatcmpl-1", 1, "live", [turn], {}))
            captured_table.accept(session, "chatcmpl-1", 2)
            erased_table.add(session, 2)
            found = captured_table.get(session, "chatcmpl-1")
            assert version_table.tainted(session) == {1, 2}
        assert (found.example, found.batch, found.state) == (2, 1, "accepted")


class TestFromTheFourthSchema:
    """The one before feeds had keys."""

    @pytest.fixture
    def fourth(self, old):
        """A home of the fourth schema, with rows."""
        config = Config()
        config.set_main_option("script_location", str(migrations()))
        with create_engine(f"sqlite:///{old.database}").begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0004")
        return old

    def test_every_row_outlives_the_upgrade(self, fourth):
        done = migrate.upgrade(fourth, SETTINGS)

        assert (done.before, done.after) == ("0004", head())
        assert look(fourth.database) == (head(), EXPECTED)
