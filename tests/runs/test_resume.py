"""A run may lose so many workers, and no more."""

import pytest

from sleepcycle.errors import DiskError, RunError
from sleepcycle.files.runfolder import Fault, RunFolder
from sleepcycle.runs.resume import MAX_FAILURES, survives
from tests.runs.conftest import leave_checkpoint

LOST = RunError("the worker was ended by SIGKILL")


@pytest.fixture
def run(context):
    """The folder of a run."""
    folder = RunFolder(context.paths.run(1))
    folder.path.mkdir()
    return folder


def test_the_third_worker_that_is_lost_ends_it(context, run):
    leave_checkpoint(run)

    lives = [survives(context, 1, LOST) for _ in range(MAX_FAILURES)]

    assert lives == [True, True, False]


def test_without_a_checkpoint_it_ends_with_the_first(context, run):
    assert not survives(context, 1, LOST)


def test_what_the_worker_said_would_come_again(context, run):
    leave_checkpoint(run)
    run.write_fault(Fault("DivergedError", "the loss is nan"))

    assert not survives(context, 1, LOST)


def test_a_disk_that_was_full_may_have_room_the_next_time(context, run):
    leave_checkpoint(run)
    run.write_fault(Fault("DiskError", "no space"))

    assert survives(context, 1, DiskError("no space"))
