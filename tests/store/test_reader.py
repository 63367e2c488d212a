import os
import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import pytest

from sleepcycle.errors import StoreError
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.store import journal, run_table, version_table
from sleepcycle.store.connection import head, journal_mode, sqlite_version
from sleepcycle.store.reader import open_reader
from sleepcycle.store.values import Alias
from tests.store.conftest import BASE, add_batch, add_version, start_run


@contextmanager
def raw(paths):
    """Change the database behind the back of the store."""
    with closing(sqlite3.connect(paths.database)) as connection:
        yield connection
        connection.commit()


@pytest.fixture
def reader(store):
    with closing(open_reader(store.paths)) as reader:
        yield reader


class TestOpenReader:
    @pytest.mark.usefixtures("store")
    def test_it_writes_nothing(self, paths):
        before = paths.database.read_bytes()

        with closing(open_reader(paths)) as reader:
            reader.integrity_faults()

        assert paths.database.read_bytes() == before

    @pytest.mark.usefixtures("store")
    def test_what_is_no_database_is_our_error_with_what_to_put_back(self, paths):
        paths.database.write_bytes(b"no database" * 100)

        with pytest.raises(
            StoreError,
            match=r"file is not a database; sleepcycle .*restore BACKUP --replace$",
        ) as raised:
            open_reader(paths)

        assert isinstance(raised.value.__cause__, sqlite3.DatabaseError)

    @pytest.mark.usefixtures("store")
    def test_a_journal_mode_that_is_not_ours_is_left(self, paths):
        other = {"WAL": "DELETE", "DELETE": "WAL"}[journal_mode(sqlite_version())]
        with raw(paths) as connection:
            connection.execute(f"PRAGMA journal_mode={other}")

        with closing(open_reader(paths)) as reader:
            assert reader.journal_mode().upper() == other


class TestDatabaseReader:
    def test_a_table_that_is_gone_is_our_error(self, store, reader):
        with raw(store.paths) as connection:
            connection.execute("DROP TABLE alias")

        with pytest.raises(StoreError, match="no such table: alias; sleepcycle"):
            reader.aliases()

    def test_text_that_is_none_is_our_error(self, store, reader):
        with raw(store.paths) as connection:
            connection.execute("UPDATE alias SET name = CAST(x'ff' AS TEXT)")

        with pytest.raises(
            StoreError, match=r"Could not decode to UTF-8.*; sleepcycle"
        ):
            reader.aliases()

    def test_an_empty_database_has_no_revision(self, paths):
        paths.root.mkdir()
        paths.database.touch()

        with closing(open_reader(paths)) as reader:
            assert reader.revision() is None

    def test_the_revision_is_that_of_the_schema(self, reader):
        assert reader.revision() == head()

    def test_a_whole_database_has_no_faults(self, reader):
        assert reader.integrity_faults() == []
        assert reader.dangling_rows() == []

    def test_what_breaks_a_rule_of_its_table_is_a_fault(self, store, reader):
        with store.write() as session:
            add_batch(session, ["one"])
        with raw(store.paths) as connection:
            connection.execute("PRAGMA ignore_check_constraints=ON")
            connection.execute("UPDATE batch SET accepted = accepted + 1")

        assert reader.integrity_faults() == ["CHECK constraint failed in batch"]

    def test_the_table_of_a_row_that_refers_to_none_is_named(self, store, reader):
        with raw(store.paths) as connection:
            connection.execute("INSERT INTO alias VALUES ('mine', 77)")

        assert reader.dangling_rows() == ["alias"]

    def test_rows_are_counted(self, store, reader):
        with store.write() as session:
            add_batch(session, ["one", "two"])

        assert "example" in reader.table_names()
        assert reader.count_rows("example") == 2

    def test_versions_have_folders_until_these_are_removed(self, store, reader):
        with store.write() as session:
            first, second = add_version(session), add_version(session)
            version_table.remove(session, first, "gc")

        assert reader.version_folders() == {1: "v0001-abc", 2: "v0002-abc"}
        assert reader.removed_versions() == {first}
        assert second not in reader.removed_versions()

    def test_a_schema_that_removes_nothing_has_removed_nothing(self, store, reader):
        with raw(store.paths) as connection:
            connection.execute("DROP TABLE removed")

        assert reader.removed_versions() == set()

    def test_aliases_name_their_versions(self, store, reader):
        with store.write() as session:
            version_table.point(session, Alias.DAY, add_version(session))

        assert reader.aliases() == {"live": 0, "day": 1}

    def test_wakes_are_nothing_to_roll_back_to(self, store, reader):
        with store.write() as session:
            add_version(session)

        assert reader.rollback_targets() == [0]

    def test_the_base_is_that_of_the_newest_version(self, reader):
        assert reader.newest_base() == BASE

    def test_a_run_of_a_process_that_is_gone_is_told_from_one_that_is_on(
        self, store, reader
    ):
        with store.write() as session:
            alive = start_run(session)
            run_table.finish(session, alive, RunState.DONE, None, None)
            dead = run_table.start(session, RunKind.WAKE, os.getpid(), "another")

        [run] = reader.running_runs()

        assert (run.id, run.kind, run.is_alive()) == (dead, "wake", False)
        assert reader.open_runs() == [dead]

    def test_a_run_of_this_process_is_alive(self, store, reader):
        with store.write() as session:
            start_run(session)

        assert [run.is_alive() for run in reader.running_runs()] == [True]

    def test_the_newest_time_is_that_of_the_newest_row(self, store, reader):
        before = datetime.now(UTC)
        with store.write() as session:
            journal.append(session, "user:me", "test")

        assert before <= reader.newest_time() <= datetime.now(UTC)

    def test_the_last_rows_come_newest_first_and_as_they_are_kept(self, store, reader):
        with store.write() as session:
            for number in range(3):
                run = start_run(session)
                run_table.finish(session, run, RunState.FAILED, f"[{run}]", "why")
                journal.append(session, "user:me", "test", number=number)

        runs, entries = reader.last_runs(2), reader.last_journal_entries(2)

        assert [(run.id, run.state, run.report) for run in runs] == [
            (3, "failed", "[3]"),
            (2, "failed", "[2]"),
        ]
        assert [entry.details for entry in entries] == [
            '{"number": 2}',
            '{"number": 1}',
        ]
