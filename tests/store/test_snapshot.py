import datetime
import os
import subprocess
import sys
import textwrap
import time

import pytest
from sqlalchemy import text

from sleepcycle.errors import HomeError, StoreError
from sleepcycle.files import process_identity
from sleepcycle.records.example import FeedReport
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.settings.config import StoreSettings
from sleepcycle.store import (
    batch_table,
    example_table,
    night_table,
    pause_switch,
    run_table,
    version_table,
)
from sleepcycle.store.snapshot import WAIT_S, read_snapshot
from sleepcycle.store.values import Alias, NightState
from tests.counting import count_examples
from tests.store.conftest import add_batch, start_run, train


def fill(session):
    """Put something in every place that a snapshot shows."""
    add_batch(session, [f"text {number}" for number in range(40)])
    bad = batch_table.add(session, "bad", "", 0.0)
    batch_table.close(session, bad, FeedReport(bad, 3, 0, 1, 2, 0, {}))
    first = train(session, limit=5)
    second = train(session, limit=3, parents=(0, first))
    version_table.point(session, Alias.LIVE, second)
    version_table.point(session, Alias.PREVIOUS, first)
    version_table.set_alias(session, "best", first)
    run_table.finish(session, 1, RunState.DONE, report="{}", error=None)
    run_table.finish(session, 2, RunState.FAILED, report=None, error="no disk")
    example_table.claim(session, start_run(session), 2)
    add_batch(session, ["gone"], share=0.0)
    example_table.exclude_batch(session, 3)
    night_table.begin(session, datetime.date(2026, 11, 22))
    night_table.begin(session, datetime.date(2026, 11, 23))
    night_table.end(
        session, datetime.date(2026, 11, 23), NightState.FAILED, 2, "the disk is full"
    )


def test_it_says_what_the_store_says(paths, store):
    with store.write() as session:
        fill(session)

    snapshot = read_snapshot(paths)

    with store.read() as session:
        assert snapshot.counts == count_examples(session)
        assert snapshot.aliases == version_table.aliases(session)
        assert list(snapshot.versions) == version_table.list_versions(session)
        assert list(snapshot.runs) == run_table.list_runs(session, 10)
        assert snapshot.base == version_table.base(session)
        assert snapshot.last_night == night_table.last(session)
    assert snapshot.last_night.reason == "the disk is full"
    assert snapshot.counts.quarantined == 2
    assert snapshot.counts.excluded == 1
    assert (snapshot.live, snapshot.previous, snapshot.day) == ("v2", "v1", None)
    assert snapshot.state == "wake"


def test_a_new_home_is_ready(paths, store):
    snapshot = read_snapshot(paths)

    assert (snapshot.state, snapshot.live, snapshot.previous) == ("ready", "v0", None)
    assert (snapshot.paused, snapshot.last_night, snapshot.failures) == (False, None, 0)


def test_a_pause_is_seen(paths, store):
    for flag in (True, False, True):
        with store.write() as session:
            pause_switch.pause(session, flag)
            assert pause_switch.paused(session) is flag

        assert read_snapshot(paths).paused is flag


@pytest.mark.parametrize(
    ("ends", "failures"),
    [
        (["failed"] * 12, 12),
        (["done", "failed", "failed"], 2),
        (["failed", "cancelled"], 0),
        (["failed", "cancelled", "failed", None], 1),
        (["failed", "done"], 0),
    ],
)
def test_failures_in_a_row_are_counted(paths, store, ends, failures):
    """
    A run that is on has not succeeded yet.
    """
    with store.write() as session:
        for state in ends:
            run = start_run(session)
            if state is not None:
                run_table.finish(session, run, RunState(state), report=None, error=None)

    assert read_snapshot(paths).failures == failures


def test_it_needs_neither_sqlalchemy_nor_torch(paths, store):
    script = f"""
        import sys
        from pathlib import Path
        from sleepcycle.files.paths import HomePaths
        from sleepcycle.store.snapshot import read_snapshot

        read_snapshot(HomePaths(Path({str(paths.root)!r})))
        heavy = {{"sqlalchemy", "alembic", "torch", "pydantic", "numpy"}}
        sys.exit(", ".join(heavy & set(sys.modules)) or None)
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_home_is_named(paths):
    with pytest.raises(HomeError, match=r"no home at .*; make one: sleepcycle"):
        read_snapshot(paths)


def test_a_damaged_home_is_named(paths):
    paths.root.mkdir()
    paths.database.write_bytes(b"no database\n" * 1_000)

    with pytest.raises(StoreError, match="damaged; put back"):
        read_snapshot(paths)


class TestOwner:
    def test_a_run_whose_process_is_gone_is_interrupted(self, paths, store):
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
            begun = process_identity.started(process.pid)
            with store.write() as session:
                run_table.start(session, RunKind.SLEEP, process.pid, begun)
            assert read_snapshot(paths).state == "sleep"

            process.kill()
            while (
                process_identity.started(process.pid) is not None
            ):  # dead, and not waited for
                time.sleep(0.01)

            assert read_snapshot(paths).state == "interrupted"
        assert read_snapshot(paths).state == "interrupted"

    def test_a_later_process_with_its_number_is_not_the_owner(self, paths, store):
        with store.write() as session:
            run_table.start(session, RunKind.WAKE, os.getpid(), "another-boot 17")

        assert read_snapshot(paths).state == "interrupted"

    def test_a_run_that_ended_has_no_owner(self, paths, store):
        with store.write() as session:
            run = run_table.start(session, RunKind.WAKE, 1 << 30, "another-boot 17")
            run_table.finish(
                session, run, RunState.FAILED, report=None, error="no disk"
            )

        assert read_snapshot(paths).state == "ready"

    def test_a_paused_run_needs_no_owner(self, paths, store):
        with store.write() as session:
            run = run_table.start(session, RunKind.WAKE, 1 << 30, "another-boot 17")
            run_table.pause(session, run)

        snapshot = read_snapshot(paths)

        assert (snapshot.state, snapshot.runs[0].state) == ("ready", RunState.PAUSED)

    def test_without_proc_psutil_tells_the_same(self):
        """
        The time of this process's start is known, and no such process has none.
        """
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
            begun = process_identity._create_time(process.pid)
            assert begun == process_identity._create_time(process.pid)
            assert float(begun) == pytest.approx(time.time(), abs=60)

            process.kill()
        assert process_identity._create_time(process.pid) is None


@pytest.mark.parametrize(
    ("revision", "advice"),
    [("0000", "run: sleepcycle db upgrade"), ("9999", "install the newer sleepcycle")],
)
def test_another_schema_is_refused(paths, store, revision, advice):
    with store.write() as session:
        session.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))

    with pytest.raises(StoreError, match=f"has schema {revision}, .*{advice}"):
        read_snapshot(paths)


def test_it_waits_as_long_as_every_other_command():
    assert StoreSettings().busy_timeout_s == WAIT_S
