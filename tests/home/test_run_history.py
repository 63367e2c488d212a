import json
import os
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from sleepcycle.errors import NotFoundError
from sleepcycle.files import process_identity
from sleepcycle.files.runfolder import DREAMS, RunFolder
from sleepcycle.home.run_history import MOST_BEATS, TAIL_BYTES
from sleepcycle.records.progress import HEARTBEAT, Progress
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.version import BaseIdentity, Version, VersionKind
from sleepcycle.store import journal, run_table, version_table
from tests.home.lived import live_days, tiny


def start(session, kind=RunKind.WAKE):
    """Start a run of this process, and return its number."""
    return run_table.start(
        session, kind, os.getpid(), process_identity.started(os.getpid())
    )


class TestRunHistory:
    def test_the_newest_run_is_listed_first(self, home):
        with home.store.write() as session:
            first = start(session)
            run_table.finish(session, first, RunState.DONE, None, None)
            second = start(session)

        assert [run.id for run in home.runs.listing()] == [second, first]

    def test_an_unknown_run_is_named(self, home):
        with pytest.raises(NotFoundError, match="no run 3"):
            home.runs.get(3)

    def test_the_phase_of_a_wake_is_what_the_journal_says(self, home):
        with home.store.write() as session:
            run = start(session)
            journal.append(session, "user:me", "start wake", run=run, phase="first")

        assert home.runs.phase(run) == "first"

    def test_dreams_are_those_sealed_with_the_night(self, home):
        with home.store.write() as session:
            night = start(session, RunKind.SLEEP)
            made = Version(
                number=1,
                kind=VersionKind.SLEEP,
                folder="v0001-x",
                parents=(0,),
                rank=8,
                accepted=True,
                created_at=datetime.now(UTC),
                run=night,
            )
            base = BaseIdentity("builtin:nano", None, "")
            version_table.add(session, made, base, "{}", {})
        folder = home.paths.versions / "v0001-x"
        folder.mkdir()
        row = {"version": 7, "content": {"text": "a dream"}}
        (folder / DREAMS).write_text(json.dumps(row) + "\n")

        [dream] = home.runs.dreams(night)

        assert dream.version == 7

    def test_the_log_of_a_run_without_a_folder_is_empty(self, home):
        with home.store.write() as session:
            run = start(session)

        assert home.runs.log(run) == ""

    def test_the_log_is_what_the_worker_printed(self, home):
        with home.store.write() as session:
            run = start(session)
        folder = RunFolder(home.paths.run(run))
        folder.log.parent.mkdir(parents=True)
        folder.log.write_text("printed\n")

        assert home.runs.log(run) == "printed\n"


class TestFiles:
    @pytest.fixture
    def run(self, home):
        """A run with a folder."""
        with home.store.write() as session:
            number = start(session)
        home.paths.run(number).mkdir(parents=True)
        return number

    def test_heartbeats_are_those_that_measured_something(self, home, run):
        folder = RunFolder(home.paths.run(run))
        folder.append_progress(HEARTBEAT)
        folder.append_progress(Progress("wake", 1, 2, loss=0.5))
        with folder.progress.open("a") as file:
            file.write('{"stage": "wa')

        assert home.runs.heartbeats(run) == [Progress("wake", 1, 2, loss=0.5)]

    def test_of_a_long_run_every_so_many_heartbeats_are_read(self, home, run):
        lines = [json.dumps(asdict(Progress("wake", n, 9))) for n in range(1, 20_001)]
        RunFolder(home.paths.run(run)).progress.write_text("\n".join(lines))

        found = home.runs.heartbeats(run)

        assert [one.step for one in found[:3]] == [1, 6, 11]
        assert found[-1].step == 20_000
        assert len(found) <= MOST_BEATS + 1

    def test_the_end_of_a_long_log_begins_with_a_whole_line(self, home, run):
        lines = [f"line {number:05d}\n" for number in range(5000)]
        RunFolder(home.paths.run(run)).log.write_text("".join(lines))

        found = home.runs.log_tail(run)

        assert found.endswith("line 04999\n")
        assert found.startswith("line 0")
        assert len(found) <= TAIL_BYTES

    def test_a_short_log_is_whole(self, home, run):
        RunFolder(home.paths.run(run)).log.write_text("one\ntwo\n")

        assert home.runs.log_tail(run) == "one\ntwo\n"

    def test_settings_are_those_of_the_order(self, home, run):
        file = home.paths.run(run) / "run.json"
        file.write_text('{"settings": {"wake": {"rank": 8}}}')

        assert home.runs.settings(run) == {"wake": {"rank": 8}}

    def test_without_a_folder_settings_are_those_of_the_card(self, home):
        found = tiny(home.paths.root)
        live_days(found, "monday")
        for folder in home.paths.runs.iterdir():
            (folder / "run.json").unlink()

        assert home.runs.settings(2)["feed"]["held_out_share"] == 0.25

    def test_of_a_run_that_left_nothing_there_is_nothing(self, home):
        assert home.runs.settings(9) is None
        assert home.runs.heartbeats(9) == []
        assert home.runs.log_tail(9) == ""
