"""Versions: what moves them never runs beside a wake."""

import errno
import os
import subprocess
import sys
import time
from threading import Event, Thread

import pytest

from sleepcycle.errors import (
    AdapterError,
    DiskError,
    HomeError,
    Interrupted,
    VersionError,
)
from sleepcycle.files.runfolder import Fault
from sleepcycle.home import import_worker
from sleepcycle.home.lock import locked
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.store import run_table, version_table
from sleepcycle.store.snapshot import read_snapshot
from tests.home.lived import feed, live_days, rows_of, tiny
from tests.journaled import journal_entries

PATIENCE_S = 120.0
MOVES = {
    "promote": lambda home, _: home.promote("v0"),
    "rollback": lambda home, _: home.rollback("v0"),
    "switch": lambda home, _: home.versions.switch("v0", action="rollback"),
    "import": lambda home, source: home.import_adapter(source),
    "take in": lambda home, source: home.versions.import_adapter(source),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_versions_are_moved_by_one_process_at_a_time(home, tmp_path, move):
    with locked(home.paths), pytest.raises(HomeError, match="is in use"):
        move(home, tmp_path)


def test_a_switch_settles_what_a_crash_left_first(home):
    with home.store.write() as session:
        run = run_table.start(session, RunKind.WAKE, 1, "another-boot 17")

    home.versions.switch("v0", action="rollback")

    assert home.runs.get(run).state is RunState.FAILED
    assert read_snapshot(home.paths).state == "ready"


def test_an_alias_of_ones_own_is_dropped(home):
    home.versions.alias("best", "v0")

    home.versions.drop_alias("best")

    with pytest.raises(VersionError, match="no version or alias 'best'"):
        home.versions.get("best")
    with home.store.read() as session:
        last = journal_entries(session, 1)[0]
    assert (last.action, last.details) == ("drop alias", {"alias": "best"})


class TestImportWorker:
    @pytest.fixture
    def play(self, tmp_path, monkeypatch):
        """Let a shell script play the worker."""

        def with_script(body):
            script = tmp_path / "worker.sh"
            script.write_text(f"#!/bin/sh\n{body}\n")
            script.chmod(0o755)
            monkeypatch.setattr(import_worker.sys, "executable", str(script))

        return with_script

    def test_its_order_lies_in_the_home(self, home, tmp_path, play):
        """
        Recovery clears that place, and it is closed to other users.
        """
        play('echo "$3"; exit 3')

        with pytest.raises(AdapterError, match="ended with exit code 3"):
            home.import_adapter(tmp_path)

        said = (home.paths.logs / "import.log").read_text()
        assert said.startswith(f"{home.paths.staging}/import_worker-")
        assert list(home.paths.staging.iterdir()) == []

    def test_it_is_ended_where_it_takes_too_long(
        self, home, tmp_path, play, monkeypatch
    ):
        """
        It hears of our end by its standard input, which is open until then.
        """
        monkeypatch.setattr(import_worker, "LIMIT_S", 0.3)
        play("echo $$; read line")

        with pytest.raises(AdapterError, match=r"within 0\.3 s, got no end of it"):
            home.import_adapter(tmp_path)

        number = int((home.paths.logs / "import.log").read_text())
        with pytest.raises(ProcessLookupError, match="No such process"):
            os.kill(number, 0)

    def test_it_is_ended_where_it_is_given_up(self, home, tmp_path, play):
        play("echo $$; read line")
        given_up = Event()
        log = home.paths.logs / "import.log"

        def give_up():
            while not (log.exists() and log.read_text().endswith("\n")):
                time.sleep(0.01)
            given_up.set()

        watcher = Thread(target=give_up)
        watcher.start()

        with pytest.raises(Interrupted, match="was given up; nothing was taken in"):
            home.import_adapter(tmp_path, given_up=given_up)

        watcher.join()
        with pytest.raises(ProcessLookupError, match="No such process"):
            os.kill(int(log.read_text()), 0)
        assert list(home.paths.staging.iterdir()) == []

    def test_it_ends_with_its_parent(self, tmp_path):
        """
        Its order is a pipe into which nobody writes, so it would wait for ever.
        """
        os.mkfifo(order := tmp_path / "order.json")
        words = ["-m", "sleepcycle.home.import_worker", order, tmp_path / "result.json"]
        worker = subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE)

        worker.stdin.close()

        assert worker.wait(PATIENCE_S) == 1

    def test_what_it_says_is_raised_with_the_systems_number(self, home, tmp_path, play):
        """
        By the number the service knows a full disk from a broken one.
        """
        fault = to_json(Fault("DiskError", "words", errno.ENOSPC))
        play(f"echo '{fault}' > \"$4\"; exit 1")

        with pytest.raises(DiskError, match=r"^words$") as full:
            home.import_adapter(tmp_path)

        assert full.value.errno == errno.ENOSPC

    def test_an_error_of_no_known_name_is_the_adapters(self, home, tmp_path, play):
        play(f"echo '{to_json(Fault('NoSuchError', 'words'))}' > \"$4\"; exit 1")

        with pytest.raises(AdapterError, match=r"^words$"):
            home.import_adapter(tmp_path)

    def test_one_that_cannot_be_started_is_told(self, home, tmp_path, monkeypatch):
        monkeypatch.setattr(import_worker.sys, "executable", "/nowhere/python")

        with pytest.raises(AdapterError, match=r"a process that reads .*No such file"):
            home.import_adapter(tmp_path)

    def test_its_message_is_cut_to_some_words(self, tmp_path, home):
        """
        The system's own words name a file as long as it is.
        """
        order = import_worker.ImportOrder(
            home.settings.model.model_dump(mode="json"),
            home.paths.cache,
            home.versions.base,
            tmp_path / ("x" * 100_000),
            tmp_path / "stage",
            force=False,
        )
        (tmp_path / "order.json").write_text(to_json(order))

        code = import_worker.main(tmp_path / "order.json", tmp_path / "result.json")

        fault = from_json((tmp_path / "result.json").read_text(), Fault)
        assert (code, fault.error) == (1, "AdapterError")
        assert len(fault.message) <= import_worker.WORDS


class TestForesight:
    @pytest.fixture
    def lived(self, home):
        """Two nights, and a day that has begun."""
        found = tiny(home.paths.root)
        live_days(found, "monday", "tuesday")
        feed(found, "wednesday")
        found.wake()
        return found

    @pytest.mark.parametrize("requeue", [False, True])
    @pytest.mark.parametrize("way", [["v0"], ["v2"], ["v4"], ["v0", "v4"], ["v1"]])
    def test_it_is_what_the_switch_then_reports(self, lived, way, requeue):
        *before, last = way
        for name in before:
            lived.rollback(name, requeue=requeue)
        seen = lived.versions.foresee(last)

        done = lived.rollback(last, requeue=requeue)

        assert (done.live, done.previous) == (seen.live, seen.previous)
        assert (done.orphaned, done.regained) == (seen.orphaned, seen.regained)
        assert done.requeued == (seen.orphaned if requeue else 0)

    def test_it_changes_nothing_and_names_what_goes(self, lived):
        before = rows_of(lived.paths.root, but=())

        seen = lived.versions.foresee("v2")

        assert rows_of(lived.paths.root, but=()) == before
        assert (seen.lost, seen.day) == (("v3", "v4", "v5"), "v5")
        assert seen.orphaned > 0

    def test_one_whose_files_are_gone_cannot_be_live(self, lived):
        with lived.store.write() as session:
            version_table.remove(session, 1, "cleared")

        with pytest.raises(VersionError, match="the files of v1 are gone"):
            lived.versions.foresee("v1")
