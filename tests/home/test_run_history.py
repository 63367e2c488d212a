import json
import os
from datetime import UTC, datetime

import pytest

from sleepcycle.errors import NotFoundError
from sleepcycle.files import process_identity
from sleepcycle.files.runfolder import DREAMS, RunFolder
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.version import BaseIdentity, Version, VersionKind
from sleepcycle.store import journal, run_table, version_table


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
