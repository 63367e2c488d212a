"""A run may lose so many workers, and no more; its home may be moved meanwhile."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sleepcycle.errors import DiskError, Paused, RunError
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.runfolder import Fault, RunFolder
from sleepcycle.runs.resume import MAX_FAILURES, can_go_on
from sleepcycle.runs.run import wake
from sleepcycle.settings.config import StoreSettings
from sleepcycle.store.database import open_store
from tests.runs.conftest import leave_checkpoint, pause

LOST = RunError("the worker was ended by SIGKILL")


@pytest.fixture
def run(context):
    """The folder of a run."""
    folder = RunFolder(context.paths.run(1))
    folder.path.mkdir()
    return folder


def test_the_third_worker_that_is_lost_ends_it(context, run):
    leave_checkpoint(run)

    lives = [can_go_on(context, 1, LOST) for _ in range(MAX_FAILURES)]

    assert lives == [True, True, False]


def test_without_a_checkpoint_it_ends_with_the_first(context, run):
    assert not can_go_on(context, 1, LOST)


def test_what_the_worker_said_would_come_again(context, run):
    leave_checkpoint(run)
    run.write_fault(Fault("DivergedError", "the loss is nan"))

    assert not can_go_on(context, 1, LOST)


def test_a_disk_that_was_full_may_have_room_the_next_time(context, run):
    leave_checkpoint(run)
    run.write_fault(Fault("DiskError", "no space"))

    assert can_go_on(context, 1, DiskError("no space"))


class TestMovedHome:
    """A wake was paused, and then its home was given another place."""

    @pytest.fixture
    def moved(self, context, feed, engine, tmp_path):
        """The context of the home at its new place; nothing is left at the old one."""
        feed("a")
        wake(context, no_progress)
        feed("b")
        engine.instead = pause
        with pytest.raises(Paused, match="run 2 was paused"):
            wake(context, no_progress)
        engine.instead = None
        paths = HomePaths(tmp_path / "elsewhere" / "home")
        paths.root.parent.mkdir()
        shutil.move(context.paths.root, paths.root)
        return replace(context, paths=paths, store=open_store(paths, StoreSettings()))

    def test_it_goes_on(self, moved, engine):
        outcome = wake(moved, no_progress)

        assert (outcome.run, outcome.examples) == (2, 1)
        assert engine.orders[-1].reached() == (120, 400)

    def test_its_day_is_found_where_the_home_is(self, moved):
        run = RunFolder(moved.paths.run(2))

        found = run.locate(run.read_order().day)

        assert found.parent == moved.paths.versions
        assert found.is_dir()

    def test_its_order_is_left_as_it_was(self, moved):
        """
        So the folder may be moved back, or be read by an older sleepcycle there.
        """
        order = RunFolder(moved.paths.run(2)).path / "run.json"
        before = order.read_bytes()

        wake(moved, no_progress)

        assert order.read_bytes() == before

    def test_on_another_day_it_does_not_go_on(self, moved):
        """
        A name is compared, so it is another version and not another place.
        """
        folder = RunFolder(moved.paths.run(2))
        order = folder.read_order()
        folder.write_order(replace(order, day=order.day.with_name("v0001-other")))

        assert wake(moved, no_progress).run == 3


def test_the_bare_base_has_no_folder(run):
    assert run.locate(None) is None


def test_a_version_is_looked_for_in_the_home_of_the_run(context, run):
    found = run.locate(Path("/gone/home/versions/v0007-abc"))

    assert found == context.paths.versions / "v0007-abc"


def no_progress(progress):
    """Take a heartbeat."""
