"""Runs that are made in several processes, on a study that takes a second a run."""

import errno
import multiprocessing
import os
import signal
from dataclasses import replace

import pytest

from sleepcycle.errors import DiskError
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment import results
from sleepcycle_study.experiment.plan import read_plan
from sleepcycle_study.experiment.trial import trials
from sleepcycle_study.experiment.workbench import Workbench, share_of_threads
from sleepcycle_study.experiment.worker_pool import make_runs

pytestmark = pytest.mark.slow

PLAN = """
curriculum = "wake_sleep"
arms = ["phases", "base"]
seeds = [7, 8]
questions = 2
samples_scale = 0.004
text = "text.txt"
[model]
target_modules = ["q_proj"]
"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """A tiny plan."""
    path = tmp_path_factory.mktemp("plan") / "tiny.toml"
    path.write_text(PLAN)
    path.with_name("text.txt").write_text("Water is wet.\n")
    return read_plan(path)


@pytest.fixture
def workbench(plan, tmp_path):
    """What its runs are made on, in a folder that is empty yet."""
    return Workbench(plan, tmp_path / "out", device="cpu", threads=1)


def children():
    """Return which processes of ours still run."""
    return multiprocessing.active_children()


def timeless(outcome):
    """Return a run without how long it took."""
    return replace(outcome, seconds=0.0)


@pytest.mark.usefixtures("forked")
def test_it_makes_the_same_runs_as_one_process(workbench, plan, tmp_path):
    alone, wanted, begun = replace(workbench, folder=tmp_path / "one"), trials(plan), []
    base = alone.load()
    expected = {job: timeless(alone.make(base, job)) for job in wanted}

    ended = list(make_runs(workbench, wanted, 2, lambda job: begun.append(job)))

    assert begun == wanted
    assert {job: timeless(outcome) for job, outcome in ended} == expected
    kept = [timeless(outcome) for outcome in results.read(workbench.folder)]
    assert kept == [timeless(outcome) for outcome in results.read(alone.folder)]
    assert not children()


@pytest.mark.usefixtures("forked")
def test_there_are_no_more_processes_than_runs(workbench, plan):
    begun = []

    ended = make_runs(
        workbench, trials(plan)[:1], 3, lambda _: begun.append(len(children()))
    )

    assert len(list(ended)) == 1
    assert begun == [1]
    assert not children()


def test_ctrl_c_never_comes_to_a_process(workbench, plan):
    """
    Not even while it starts: a terminal sends it to all, and one answers.
    """
    wanted = trials(plan)[1:2]

    def interrupt(job):
        for child in children():
            os.kill(child.pid, signal.SIGINT)

    assert [job for job, _ in make_runs(workbench, wanted, 1, interrupt)] == wanted


@pytest.mark.usefixtures("forked")
def test_a_process_that_is_killed_is_told_and_ends_the_others(workbench, plan):
    """
    As the system does where memory runs out.
    """
    wanted = trials(plan)[:2]

    def kill_the_first(job):
        if job == wanted[1]:
            os.kill(min(child.pid for child in children()), signal.SIGKILL)

    with pytest.raises(StudyError, match=r"got its end by SIGKILL; .* fewer --jobs"):
        list(make_runs(workbench, wanted, 2, kill_the_first))
    assert not children()


@pytest.mark.usefixtures("forked")
def test_what_a_process_gives_up_for_comes_as_itself(workbench, plan):
    """
    With what the system said, which decides the exit code.
    """
    workbench.folder.mkdir()
    (workbench.folder / results.RUNS).write_text("in the way")

    with pytest.raises(DiskError, match=r"expected to make .*runs, got") as caught:
        list(make_runs(workbench, trials(plan)[1:2], 1, lambda _: None))
    assert caught.value.errno == errno.EEXIST
    assert not children()


@pytest.mark.usefixtures("forked")
def test_whatever_stops_it_ends_the_processes(workbench, plan):
    wanted, seen = trials(plan), []

    def stop_at_the_second(job):
        seen.append(len(children()))
        if job == wanted[1]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        list(make_runs(workbench, wanted, 2, stop_at_the_second))
    assert seen == [1, 2]
    assert not children()


def test_processes_share_the_threads_and_each_has_one():
    alone = share_of_threads(1)

    assert share_of_threads(2) == max(1, alone // 2)
    assert share_of_threads(10 * alone) == 1
