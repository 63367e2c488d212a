"""The conductor: when it wakes and sleeps, what it breaks off, what it refuses."""

import os
import threading
from datetime import date, timedelta

import pytest

from sleepcycle.daemon.backoff import Backoff, delay_s
from sleepcycle.daemon.state import Activity
from sleepcycle.errors import (
    DiskError,
    Interrupted,
    NotFoundError,
    Paused,
    RunError,
    ServiceError,
)
from sleepcycle.files import disk, process_identity
from sleepcycle.records.run_order import RunKind, RunRequest, RunState
from sleepcycle.runs import resume
from sleepcycle.settings.config import (
    EngineSettings,
    Settings,
    SleepSettings,
    WakeSettings,
)
from sleepcycle.store import example_table, night_table, run_table
from sleepcycle.store.values import NightState
from tests.daemon.conftest import desk_at
from tests.daemon.scheduler_home import (
    HOUR,
    MORNING,
    NIGHT,
    PATIENCE_S,
    STEP,
)

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
FIRST = date(2026, 3, 4)
WAKE, SLEEP = RunKind.WAKE, RunKind.SLEEP
DONE, FAILED = RunState.DONE, RunState.FAILED
CANCELLED, PAUSED = RunState.CANCELLED, RunState.PAUSED


@pytest.fixture
def desk(made_once, tmp_path):
    settings = Settings(
        wake=WakeSettings(min_pending=2),
        sleep=SleepSettings(timezone="UTC"),
        engine=EngineSettings(reserve_mb=0),
    )
    with desk_at(made_once, tmp_path, settings) as made:
        yield made


class Rooms(disk.System):
    """The system, and how often it was asked how much room there is."""

    looked = 0

    def free_bytes(self, path):
        self.looked += 1
        return super().free_bytes(path)


@pytest.fixture
def rooms(monkeypatch):
    counting = Rooms()
    monkeypatch.setattr(disk, "system", counting)
    return counting


class TestWaking:
    def test_it_wakes_once_enough_is_pending(self, desk):
        desk.feed("one")
        assert desk.consider() is None
        desk.feed("two")

        run = desk.consider()

        assert run.result().examples == 2
        assert desk.consider() is None
        assert ("clock", "start wake") in desk.journal()

    def test_it_leaves_other_hours_alone(self, desk):
        desk.set("wake", window="12:00-13:00")
        desk.feed("one", "two")

        assert desk.consider() is None
        assert desk.scheduler.state().next_window == MORNING + 2 * HOUR
        assert desk.consider(2 * HOUR).result().examples == 2

    def test_more_that_is_pending_is_learned_at_once(self, desk):
        """
        A wake claims only so much; what it leaves does not wait for a tick.
        """
        desk.set("wake", max_examples=2)
        desk.feed("one", "two", "three", "four")

        desk.consider()

        assert desk.runs() == [(WAKE, DONE), (WAKE, DONE)]

    def test_one_that_its_window_leaves_is_broken_off_and_goes_on_in_the_next(
        self, desk
    ):
        desk.set("wake", window="10:00-11:00")
        desk.engine.hold()
        desk.feed("one", "two")
        run = desk.scheduler.consider()
        desk.engine.wait_begun()

        desk.consider(HOUR)

        with pytest.raises(Paused, match="run 1 was paused"):
            run.result(PATIENCE_S)
        desk.settle()
        assert desk.runs() == [(WAKE, PAUSED)]
        desk.engine.release()
        assert desk.consider(HOUR) is None
        assert desk.consider(22 * HOUR).result().run == 1
        assert desk.runs() == [(WAKE, DONE)]

    def test_one_that_takes_too_long_rests_until_the_next_window(self, desk):
        desk.set("wake", window="10:00-12:00", max_duration_s=60.0)
        desk.engine.hold()
        desk.feed("one", "two")
        run = desk.scheduler.consider()
        desk.engine.wait_begun()
        desk.consider(59 * SECOND)
        assert not run.done()

        desk.consider(SECOND)

        assert isinstance(run.exception(PATIENCE_S), Paused)
        desk.settle()
        desk.engine.release()
        assert desk.consider(HOUR) is None
        assert desk.consider(23 * HOUR).result().run == 1

    def test_without_a_window_it_rests_until_the_night(self, desk):
        desk.set("wake", max_duration_s=60.0)
        desk.engine.hold()
        desk.feed("one", "two")
        desk.scheduler.consider()
        desk.engine.wait_begun()
        desk.consider(60 * SECOND)
        desk.settle()
        desk.engine.release()

        assert desk.consider(HOUR) is None
        assert desk.consider(NIGHT - desk.now).result().run == 1

    def test_one_that_the_user_asked_for_is_not_held_to_the_window(self, desk):
        desk.set("wake", window="12:00-13:00", max_duration_s=60.0)
        desk.feed("one")
        desk.engine.hold()

        run = desk.scheduler.wake()
        desk.engine.wait_begun()
        desk.consider(HOUR)

        assert not run.done()
        desk.engine.release()
        assert run.result(PATIENCE_S).examples == 1
        assert ("user", "start wake") in desk.journal()


class TestNights:
    def test_a_night_with_nothing_learned_is_skipped_once(self, desk):
        assert desk.consider(NIGHT - MORNING) is None
        assert desk.consider(HOUR) is None

        night = desk.night()
        assert (night.date, night.state) == (FIRST, NightState.SKIPPED)
        assert night.reason == "nothing was learned since the last night"
        assert desk.journal().count(("clock", "skip sleep")) == 1
        assert desk.runs() == []

    def test_a_night_comes_at_its_hour_and_once(self, desk):
        desk.learn("one")
        assert desk.consider(NIGHT - MORNING - SECOND) is None
        assert desk.scheduler.state().next_night == NIGHT

        run = desk.consider(SECOND)

        assert run.result().version.kind == SLEEP
        night = desk.night()
        assert (night.date, night.state, night.attempts, night.run, night.reason) == (
            FIRST,
            NightState.DONE,
            1,
            2,
            "because",
        )
        assert desk.home.status().live == "v2"
        assert desk.scheduler.state().next_night == NIGHT + DAY
        assert desk.consider(HOUR) is None
        assert desk.restart().consider() is None

    def test_a_rejected_night_is_done(self, desk):
        desk.learn("one")
        desk.engine.accepts = False

        run = desk.consider(NIGHT - MORNING)

        assert not run.result().version.accepted
        assert desk.night().state is NightState.DONE
        assert desk.home.status().live == "v0"
        assert desk.consider(HOUR) is None

    def test_a_night_that_was_missed_is_made_up_for_once(self, desk):
        desk.learn("one")

        desk.consider(NIGHT - MORNING + 3 * DAY + 8 * HOUR)

        assert desk.night().date == FIRST + 3 * DAY
        assert desk.runs() == [(WAKE, DONE), (SLEEP, DONE)]
        assert desk.consider(SECOND) is None

    def test_a_night_that_fails_is_tried_three_times(self, desk):
        desk.learn("one")
        desk.engine.fault = RunError("out of memory")

        assert desk.consider(NIGHT - MORNING).exception() is desk.engine.fault
        assert (desk.night().state, desk.night().attempts) == (NightState.BEGUN, 1)
        assert desk.consider(59 * SECOND) is None
        desk.consider(SECOND)
        assert (desk.night().state, desk.night().attempts) == (NightState.BEGUN, 2)
        assert desk.consider(119 * SECOND) is None
        desk.consider(SECOND)

        night = desk.night()
        assert (night.state, night.attempts) == (NightState.FAILED, 3)
        assert night.reason == "out of memory"
        desk.engine.fault = None
        assert desk.consider(HOUR) is None
        desk.consider(DAY)
        assert (desk.night().date, desk.night().state) == (FIRST + DAY, NightState.DONE)

    def test_a_night_whose_process_died_is_begun_again(self, desk):
        desk.learn("one")
        desk.scheduler.consider()
        with desk.home.store.write() as session:
            night_table.begin(session, FIRST)
        desk.restart()

        desk.consider(NIGHT - MORNING + 5 * HOUR)

        assert (desk.night().state, desk.night().attempts) == (NightState.DONE, 2)

    def test_a_begun_night_that_is_over_is_closed_for_the_next(self, desk):
        desk.learn("one")
        desk.engine.fault = RunError("no")
        desk.consider(NIGHT - MORNING)
        desk.engine.fault = None

        desk.consider(DAY)

        assert desk.runs()[-1] == (SLEEP, DONE)
        assert desk.night().date == FIRST + DAY
        with desk.home.store.read() as session:
            assert night_table.get(session, FIRST).state is NightState.FAILED

    def test_a_wake_makes_way_for_the_night_and_comes_after_it(self, desk):
        desk.learn("one")
        desk.engine.hold()
        desk.feed("two", "three")
        wake = desk.scheduler.consider()
        desk.engine.wait_begun()
        desk.now = NIGHT
        assert desk.scheduler.consider() is None
        desk.engine.release()

        assert isinstance(wake.exception(PATIENCE_S), Paused)
        desk.settle()
        assert desk.engine.heard is RunRequest.PAUSE
        assert desk.night().state is NightState.DONE
        kinds = [kind for kind, state in desk.runs() if state is DONE]
        assert kinds == [WAKE, SLEEP, WAKE]
        assert desk.home.status().counts.pending == 0

    def test_one_that_the_user_asked_for_is_an_extra(self, desk):
        desk.learn("one")

        desk.scheduler.sleep().result(PATIENCE_S)
        desk.settle()

        assert desk.night() is None
        assert ("user", "start sleep") in desk.journal()
        desk.consider(NIGHT - MORNING)
        assert desk.night().state is NightState.SKIPPED


class TestBackingOff:
    def test_the_wait_doubles_up_to_an_hour(self):
        waits = [delay_s(failures, 60.0) for failures in range(1, 9)]

        assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]
        assert delay_s(10_000, 60.0) == 3600

    def test_failed_runs_are_counted_and_told(self, desk):
        desk.feed("one", "two")
        desk.engine.fault = RunError("no device")

        desk.consider()
        assert desk.scheduler.state().banner == (
            "a run failed: no device; next try at 10:01:00"
        )
        desk.consider(60 * SECOND)
        state = desk.scheduler.state()

        assert state.word is Activity.WAITING
        assert state.banner == (
            "2 runs in a row failed, the last: no device; next try at 10:03:00"
        )
        assert desk.consider(119 * SECOND) is None
        desk.engine.fault = None
        assert desk.consider(SECOND).result().examples == 2
        assert desk.scheduler.state().banner is None

    def test_a_restart_waits_on(self, desk):
        """
        The run table is all that is kept; its times are the system's.
        """
        desk.feed("one", "two")
        desk.engine.fault = RunError("no device")
        desk.consider()
        desk.engine.fault = None
        ended_at = desk.home.status().runs[0].ended_at
        desk.now = ended_at + 20 * SECOND
        desk.restart()

        desk.set("sleep", catch_up=False)
        assert desk.consider() is None
        assert desk.consider(39 * SECOND) is None
        assert desk.consider(2 * SECOND).result().examples == 2

    def test_a_clock_that_was_set_lengthens_no_wait(self, desk):
        desk.feed("one", "two")
        desk.engine.fault = RunError("no device")
        desk.consider()
        backoff = Backoff()

        backoff.carry_on(desk.home.status(), 60.0, moment=0.0, now=MORNING - 9999 * DAY)

        assert backoff.left_s(0.0) == 60

    def test_a_user_who_asks_ends_it(self, desk):
        desk.feed("one", "two")
        desk.engine.fault = RunError("no device")
        desk.consider()
        desk.engine.fault = None

        assert desk.scheduler.wake().result(PATIENCE_S).examples == 2
        assert desk.scheduler.state().banner is None

    def test_a_user_who_is_refused_starts_none(self, desk):
        refused = desk.scheduler.wake()

        with pytest.raises(RunError, match="nothing to learn"):
            refused.result(PATIENCE_S)
        desk.settle()
        assert desk.scheduler.state().word is Activity.IDLE

    def test_what_nobody_foresaw_is_a_failure(self, desk):
        desk.feed("one", "two")
        desk.engine.fault = ZeroDivisionError("surprise")

        assert desk.consider().exception() is desk.engine.fault

        banner = desk.scheduler.state().banner
        assert "ZeroDivisionError: surprise" in banner
        assert desk.runs() == [(WAKE, FAILED)]
        desk.engine.fault = None
        assert desk.consider(60 * SECOND).result().examples == 2

    def test_settings_are_read_again_while_nobody_else_looks(self, desk):
        """A look changes the banner, as reading does: neither loses a sentence."""
        others = []
        desk.reloadable.reload = lambda: others.append(desk.look_elsewhere())

        desk.scheduler.reload()

        assert others == ["waits"]
        desk.settle()

    def test_a_failed_disk_is_told(self, desk):
        desk.feed("one", "two")
        desk.engine.fault = DiskError("expected to flush, got: no")

        desk.consider()

        assert desk.disk_errors == [desk.engine.fault]


class TestLeftOpen:
    def test_a_run_whose_end_could_not_be_written_is_settled_at_the_next_look(
        self, desk
    ):
        """
        As on a disk that was full: no restart is needed to learn its examples.
        """
        desk.feed("one", "two")
        with desk.home.store.write() as session:
            run = run_table.start(
                session, WAKE, os.getpid(), process_identity.started(os.getpid())
            )
            example_table.claim(session, run, 10)

        desk.consider()

        assert desk.runs() == [(WAKE, FAILED), (WAKE, DONE)]

    def test_a_night_whose_end_could_not_be_written_is_not_done_again(self, desk):
        """
        A rejected one leaves the day open, so that alone would not tell.
        """
        desk.learn("one")
        desk.engine.accepts = False
        with desk.home.store.write() as session:
            night_table.begin(session, FIRST)
        desk.scheduler.sleep().result(PATIENCE_S)
        desk.settle()

        assert desk.consider(NIGHT - MORNING) is None
        assert (desk.night().state, desk.night().run) == (NightState.DONE, 2)
        assert desk.runs() == [(WAKE, DONE), (SLEEP, DONE)]

    def test_an_idle_look_waits_for_no_writer(self, desk):
        """
        Another process, such as one that feeds, may write for a minute.
        """
        desk.scheduler.consider()
        looking = threading.Thread(target=desk.scheduler.consider)

        with desk.home.store.write():
            looking.start()
            looking.join(PATIENCE_S)
            waits = looking.is_alive()
        looking.join(PATIENCE_S)

        assert not waits


class TestPausing:
    def test_nothing_begins_while_it_is_paused(self, desk):
        desk.feed("one", "two")
        desk.scheduler.pause()

        assert desk.consider() is None
        assert desk.scheduler.state().word is Activity.PAUSED
        assert desk.restart().consider() is None
        assert ("user", "pause") in desk.journal()

        desk.scheduler.resume()
        desk.settle()
        assert desk.runs() == [(WAKE, DONE)]
        assert desk.journal()[-1] != ("user", "resume")

    def test_pausing_twice_is_written_once(self, desk):
        desk.scheduler.pause()
        desk.scheduler.pause()

        assert desk.journal().count(("user", "pause")) == 1

    def test_a_wake_is_broken_off(self, desk):
        desk.engine.hold()
        desk.feed("one", "two")
        run = desk.scheduler.consider()
        desk.engine.wait_begun()

        desk.scheduler.pause()

        assert isinstance(run.exception(PATIENCE_S), Paused)
        desk.settle()
        assert desk.runs() == [(WAKE, PAUSED)]
        desk.engine.release()
        desk.scheduler.resume()
        desk.settle()
        assert desk.runs() == [(WAKE, DONE)]

    def test_a_night_comes_to_its_end(self, desk):
        desk.learn("one")
        desk.engine.hold()
        desk.now = NIGHT
        run = desk.scheduler.consider()
        desk.engine.wait_begun()

        desk.scheduler.pause()

        state = desk.scheduler.state()
        assert (state.word, state.paused) == (Activity.ASLEEP, True)
        desk.engine.release()
        assert run.result(PATIENCE_S).version.accepted

    def test_a_user_may_wake_it_all_the_same(self, desk):
        desk.scheduler.pause()

        assert desk.learn("one").examples == 1


class TestCancelling:
    def test_a_wake_leaves_nothing_and_is_not_begun_again_at_once(self, desk):
        desk.engine.hold()
        desk.feed("one", "two")
        run = desk.scheduler.consider()
        desk.engine.wait_begun()

        assert desk.scheduler.cancel(1) is None

        with pytest.raises(Interrupted, match="2 examples are pending again"):
            run.result(PATIENCE_S)
        desk.settle()
        desk.engine.release()
        assert desk.runs() == [(WAKE, CANCELLED)]
        assert ("user", "cancel") in desk.journal()
        assert desk.consider(HOUR) is None
        assert desk.consider(NIGHT - desk.now).result().examples == 2

    def test_a_night_is_skipped(self, desk):
        desk.learn("one")
        desk.engine.hold()
        desk.now = NIGHT
        run = desk.scheduler.consider()
        desk.engine.wait_begun()

        desk.scheduler.cancel(2)

        assert isinstance(run.exception(PATIENCE_S), Interrupted)
        desk.settle()
        assert desk.night().state is NightState.SKIPPED
        assert "run 2 was stopped" in desk.night().reason
        desk.engine.release()
        assert desk.consider(HOUR) is None

    def test_a_paused_wake_is_undone(self, desk):
        desk.engine.hold()
        desk.feed("one", "two")
        desk.scheduler.consider()
        desk.engine.wait_begun()
        desk.scheduler.pause()
        desk.settle()

        assert desk.scheduler.cancel(1) == 2
        assert desk.runs() == [(WAKE, CANCELLED)]
        assert desk.home.status().counts.pending == 2

    def test_it_is_heeded_while_a_pause_is_written_down(self, desk, monkeypatch):
        def record_pause(*args):
            words = resume.record_pause(*args)
            desk.scheduler.cancel(1)
            return words

        monkeypatch.setattr("sleepcycle.runs.run.record_pause", record_pause)
        desk.engine.hold()
        desk.feed("one", "two")
        desk.scheduler.consider()
        desk.engine.wait_begun()
        desk.scheduler.pause()
        desk.settle()

        assert desk.runs() == [(WAKE, CANCELLED)]
        assert desk.home.status().counts.pending == 2

    def test_no_other_run_is_cancelled(self, desk):
        desk.learn("one")

        with pytest.raises(NotFoundError, match="no run 7"):
            desk.scheduler.cancel(7)
        with pytest.raises(RunError, match="expected run 1 to be paused"):
            desk.scheduler.cancel(1)


class TestOneThingAtATime:
    @pytest.mark.parametrize(
        "ask",
        [
            lambda scheduler, path: scheduler.wake(),
            lambda scheduler, path: scheduler.sleep(),
            lambda scheduler, path: scheduler.rollback("v0"),
            lambda scheduler, path: scheduler.promote("v0"),
            lambda scheduler, path: scheduler.import_adapter(path),
            lambda scheduler, path: scheduler.alone("a look", lambda home: home),
        ],
        ids=["wake", "sleep", "rollback", "promote", "import", "anything else"],
    )
    def test_it_is_refused_while_a_run_is_on(self, desk, tmp_path, ask):
        desk.feed("one")
        desk.engine.hold()
        run = desk.scheduler.wake()
        desk.engine.wait_begun()

        with pytest.raises(ServiceError, match=r"run 1, a wake, .* runs cancel 1"):
            ask(desk.scheduler, tmp_path)

        desk.engine.release()
        assert run.result(PATIENCE_S).run == 1

    def test_a_rollback_is_made_by_who_asked(self, desk):
        desk.learn("one")
        desk.scheduler.sleep().result(PATIENCE_S)
        desk.settle()

        switch = desk.scheduler.rollback(requeue=True)

        assert (switch.live, switch.requeued) == ("v0", 1)
        assert ("user", "rollback") in desk.journal()
        assert desk.scheduler.promote("v2").live == "v2"

    def test_what_is_done_alone_is_done_to_the_home_and_answered(self, desk):
        found = desk.scheduler.alone("a look", lambda home: (home.actor, home.status()))

        assert found[0] == "user"
        assert found[1].live == "v0"

    def test_no_run_begins_while_another_version_is_made_live(self, desk):
        desk.feed("one", "two")
        seen = []

        def look():
            seen.append(desk.scheduler.consider())
            with pytest.raises(ServiceError, match="a promotion is on"):
                desk.scheduler.wake()
            seen.append(desk.runs())

        desk.reloadable.meanwhile = look

        desk.scheduler.promote("v0")

        assert seen == [None, []]
        desk.settle()
        assert desk.runs() == [(WAKE, DONE)]


class TestRoom:
    def test_without_room_nothing_begins_until_there_is(self, desk):
        desk.set("engine", reserve_mb=10**9)
        desk.feed("one", "two")

        assert desk.consider() is None
        state = desk.scheduler.state()
        assert state.word is Activity.WAITING
        assert "no run begins: expected 1,000,000,000 MB" in state.banner
        with pytest.raises(RunError, match="of free space"):
            desk.scheduler.wake()
        assert desk.runs() == []

        desk.set("engine", reserve_mb=0)
        assert desk.consider(SECOND).result().examples == 2
        assert desk.scheduler.state().banner is None

    def test_the_room_for_a_wake_that_is_asked_for_is_looked_at_once(self, desk, rooms):
        desk.feed("one", "two")

        desk.scheduler.wake().result(PATIENCE_S)

        assert rooms.looked == 1

    def test_the_room_for_a_night_that_is_asked_for_is_looked_at_once(
        self, desk, rooms
    ):
        desk.learn("one", "two")
        rooms.looked = 0

        desk.scheduler.sleep().result(PATIENCE_S)

        assert rooms.looked == 1

    def test_the_room_for_a_run_of_the_clocks_is_looked_at_once(self, desk, rooms):
        desk.feed("one", "two")

        desk.consider().result()

        assert rooms.looked == 1


class TestState:
    def test_it_names_what_is_on(self, desk):
        desk.engine.hold()
        desk.feed("one", "two")
        idle = desk.scheduler.state()
        assert (idle.word, idle.run, idle.kind) == (Activity.IDLE, None, None)
        assert idle.next_window == MORNING
        desk.scheduler.consider()
        desk.engine.wait_begun()

        state = desk.scheduler.state()

        assert (state.word, state.run, state.kind) == (Activity.AWAKE, 1, WAKE)
        assert state.progress == STEP
        assert state.since == MORNING


class TestClosing:
    def test_a_wake_is_broken_off_and_nothing_begins(self, desk):
        desk.engine.hold()
        desk.feed("one", "two")
        desk.scheduler.consider()
        desk.engine.wait_begun()

        run = desk.scheduler.close()

        assert isinstance(run.exception(PATIENCE_S), Paused)
        desk.settle()
        assert desk.scheduler.close() is None
        assert desk.consider() is None
        with pytest.raises(ServiceError, match="is stopping"):
            desk.scheduler.wake()

    def test_a_night_is_stopped_and_begins_again_after_a_restart(self, desk):
        desk.learn("one")
        desk.engine.hold()
        desk.now = NIGHT
        desk.scheduler.consider()
        desk.engine.wait_begun()

        run = desk.scheduler.close()

        assert isinstance(run.exception(PATIENCE_S), Interrupted)
        desk.settle()
        assert desk.night().state is NightState.BEGUN
        desk.engine.release()
        desk.restart()
        desk.consider(HOUR)
        assert (desk.night().state, desk.night().attempts) == (NightState.DONE, 1)

    def test_a_night_that_was_stopped_often_has_all_its_tries(self, desk):
        desk.learn("one")
        desk.now = NIGHT
        for _ in range(4):
            desk.engine.hold()
            desk.scheduler.consider()
            desk.engine.wait_begun()
            desk.scheduler.close().exception(PATIENCE_S)
            desk.settle()
            desk.engine.release()
            desk.restart()

        desk.consider(HOUR)

        assert desk.night().state is NightState.DONE
