"""Jobs of fine-tuning: what waits is learned, and how that ends is written down."""

from datetime import UTC, datetime

import pytest

from sleepcycle.errors import RunError, TuningError
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.tuning import TuningState
from sleepcycle.settings.config import (
    EngineSettings,
    Settings,
    SleepSettings,
    WakeSettings,
)
from tests.daemon.conftest import desk_at
from tests.daemon.scheduler_home import HOUR, PATIENCE_S

OPEN, SUCCEEDED = TuningState.OPEN, TuningState.SUCCEEDED
FAILED, CANCELLED = TuningState.FAILED, TuningState.CANCELLED


@pytest.fixture
def desk(made_once, tmp_path):
    """A service that would learn nothing by itself, for a thousand examples lack."""
    settings = Settings(
        wake=WakeSettings(min_pending=1000, window="20:00-21:00"),
        sleep=SleepSettings(timezone="UTC"),
        engine=EngineSettings(reserve_mb=0),
    )
    with desk_at(made_once, tmp_path, settings) as made:
        yield made


def asked(desk, *texts):
    """Feed some texts, and ask for a job on them."""
    desk.feed(*texts)
    return again(desk)


def again(desk):
    """Ask for another job on the newest batch."""
    batch = desk.home.batches.listing()[-1].id
    return desk.home.tuning.create(batch, file="file-1", model="live", metadata={})


def pending(desk):
    """Return how many examples wait."""
    return desk.home.status().counts.pending


def state_of(desk, job):
    """Return how far a job is, and what it became."""
    now = desk.home.tuning.get(job.id)
    return now.state, now.version


class TestLearning:
    def test_it_is_learned_at_once_whatever_the_hour(self, desk):
        job = asked(desk, "one")
        assert state_of(desk, job) == (OPEN, None)

        desk.scheduler.tune()
        desk.settle()

        assert state_of(desk, job) == (SUCCEEDED, 1)

    def test_one_that_comes_while_a_run_is_on_is_learned_after_it(self, desk):
        desk.feed("other")
        desk.engine.hold()
        run = desk.scheduler.wake()
        desk.engine.wait_begun()
        job = asked(desk, "one")

        desk.scheduler.tune()
        desk.engine.release()
        run.result(PATIENCE_S)
        desk.settle()

        assert state_of(desk, job) == (SUCCEEDED, 2)

    def test_it_outlives_a_restart(self, desk):
        job = asked(desk, "one")
        desk.restart()

        desk.consider()

        assert state_of(desk, job) == (SUCCEEDED, 1)
        assert ("user", "start wake") in desk.journal()

    def test_the_run_that_learns_it_is_told(self, desk):
        desk.engine.hold()
        job = asked(desk, "one")
        desk.scheduler.tune()
        desk.engine.wait_begun()

        now = desk.home.tuning.get(job.id)

        assert (now.state, now.run) == (OPEN, 1)

    def test_its_end_stays_what_it_was(self, desk):
        """
        Also where what it learned is to be learned again.
        """
        job = asked(desk, "one")
        desk.scheduler.tune()
        desk.settle()
        desk.home.batches.exclude(job.batch)
        desk.home.promote("v0")
        desk.home.batches.requeue(job.batch)

        assert desk.consider() is None
        assert state_of(desk, job) == (SUCCEEDED, 1)

    def test_each_end_is_in_the_journal(self, desk):
        asked(desk, "one")
        desk.scheduler.tune()
        desk.settle()

        ends = [entry for entry in desk.journal() if entry[1].endswith("a job")]
        assert [action for _, action in ends] == ["ask for a job", "end a job"]


class TestFailing:
    def test_it_fails_with_its_wake_and_is_not_tried_for_ever(self, desk):
        desk.engine.fault = RunError("no memory")
        job = asked(desk, "one")

        desk.scheduler.tune()
        desk.settle()

        now = desk.home.tuning.get(job.id)
        assert (now.state, now.error) == (FAILED, "no memory")
        assert desk.consider(HOUR) is None
        assert desk.runs() == [(RunKind.WAKE, RunState.FAILED)]

    def test_one_that_was_asked_for_later_waits_for_the_next(self, desk):
        first = asked(desk, "one")
        begun = datetime.now(UTC)
        later = asked(desk, "two")

        desk.home.tuning.fail("no memory", begun)

        assert desk.home.tuning.get(first.id).state is FAILED
        assert desk.home.tuning.get(later.id).state is OPEN

    def test_a_wake_that_cannot_begin_fails_it(self, desk):
        """
        There is no run then that could tell.
        """
        job = asked(desk, "one")
        desk.set("gate", anchors="nowhere.jsonl")

        desk.consider()

        now = desk.home.tuning.get(job.id)
        assert now.state is FAILED
        assert "nowhere.jsonl" in now.error
        assert desk.consider(HOUR) is None

    def test_no_room_fails_it(self, desk):
        job = asked(desk, "one")
        desk.set("engine", reserve_mb=10**9)

        desk.scheduler.tune()

        now = desk.home.tuning.get(job.id)
        assert now.state is FAILED
        assert "free space" in now.error

    def test_nothing_to_learn_fails_it(self, desk):
        job = asked(desk)

        now = desk.home.tuning.get(job.id)
        assert now.state is FAILED
        assert "expected new examples, got none" in now.error

    def test_one_whose_examples_are_excluded_fails(self, desk):
        job = asked(desk, "one")
        desk.home.batches.exclude(job.batch)

        now = desk.home.tuning.get(job.id)
        assert now.state is FAILED
        assert "batches quarantine 1" in now.error


class TestCancelling:
    def test_what_waits_is_never_learned(self, desk):
        job = asked(desk, "one")

        assert desk.home.tuning.cancel(job.id).state is CANCELLED
        assert desk.consider() is None
        assert desk.home.status().counts.pending == 0

    def test_what_a_run_has_is_refused(self, desk):
        desk.engine.hold()
        job = asked(desk, "one")
        desk.scheduler.tune()
        desk.engine.wait_begun()

        with pytest.raises(RunError, match="run 1 learns the examples of ftjob-"):
            desk.home.tuning.cancel(job.id)

    def test_the_run_that_learns_it_is_stopped(self, desk):
        """
        And no other begins for it.
        """
        desk.engine.hold()
        job = asked(desk, "one")
        desk.scheduler.tune()
        desk.engine.wait_begun()

        desk.scheduler.cancel_tuning(job.id)
        desk.settle()

        assert state_of(desk, job) == (CANCELLED, None)
        assert desk.home.status().counts.pending == 0
        assert desk.runs() == [(RunKind.WAKE, RunState.CANCELLED)]

    def test_another_job_of_that_run_is_learned_all_the_same(self, desk):
        desk.engine.hold()
        job, other = asked(desk, "one"), asked(desk, "two")
        desk.scheduler.tune()
        desk.engine.wait_begun()

        desk.scheduler.cancel_tuning(job.id)
        desk.engine.release()
        desk.settle()

        assert state_of(desk, job) == (CANCELLED, None)
        assert state_of(desk, other) == (SUCCEEDED, 1)

    def test_a_batch_is_excluded_with_the_last_job_that_wants_it(self, desk):
        first = asked(desk, "one")
        second = again(desk)

        desk.home.tuning.cancel(first.id)
        assert (state_of(desk, second)[0], pending(desk)) == (OPEN, 1)

        desk.home.tuning.cancel(second.id)
        assert (state_of(desk, second)[0], pending(desk)) == (CANCELLED, 0)

    def test_a_run_goes_on_for_the_other_job_of_a_batch(self, desk):
        desk.engine.hold()
        first, second = asked(desk, "one"), again(desk)
        desk.scheduler.tune()
        desk.engine.wait_begun()

        desk.scheduler.cancel_tuning(first.id)
        desk.engine.release()
        desk.settle()

        assert state_of(desk, first) == (CANCELLED, None)
        assert state_of(desk, second) == (SUCCEEDED, 1)
        assert desk.runs() == [(RunKind.WAKE, RunState.DONE)]

    def test_a_run_is_stopped_with_the_last_job_of_a_batch(self, desk):
        desk.engine.hold()
        jobs = asked(desk, "one"), again(desk)
        desk.scheduler.tune()
        desk.engine.wait_begun()

        for job in jobs:
            desk.scheduler.cancel_tuning(job.id)
        desk.settle()

        assert [state_of(desk, job) for job in jobs] == [(CANCELLED, None)] * 2
        assert desk.runs() == [(RunKind.WAKE, RunState.CANCELLED)]
        assert pending(desk) == 0

    def test_a_run_that_a_user_cancels_fails_its_jobs(self, desk):
        desk.engine.hold()
        job = asked(desk, "one")
        desk.scheduler.tune()
        desk.engine.wait_begun()

        desk.scheduler.cancel(1)
        desk.settle()

        now = desk.home.tuning.get(job.id)
        assert (now.state, now.error) == (FAILED, "run 1 was cancelled")
        assert desk.home.status().counts.pending == 1

    def test_a_run_that_was_paused_is_undone(self, desk):
        desk.engine.hold()
        job = asked(desk, "one")
        desk.scheduler.tune()
        desk.engine.wait_begun()
        desk.scheduler.pause()
        desk.settle()

        desk.scheduler.cancel_tuning(job.id)

        assert state_of(desk, job) == (CANCELLED, None)

    def test_what_is_over_is_refused(self, desk):
        job = asked(desk)

        with pytest.raises(TuningError, match="got one that has failed"):
            desk.home.tuning.cancel(job.id)
