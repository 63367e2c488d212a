"""The service under a curriculum: phase after phase, and a night where one asks."""

from datetime import timedelta

import pytest

from sleepcycle.daemon.nightlog import CLOCK
from sleepcycle.daemon.state import Activity
from sleepcycle.errors import Interrupted, RunError
from sleepcycle.home.lock import owned
from sleepcycle.home.opening import create_home
from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.records.example import FeedReport
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.server.readiness import not_ready_reason
from sleepcycle.server.status import status_with_service
from sleepcycle.settings.config import (
    EngineSettings,
    Settings,
    SleepSettings,
    WakeSettings,
)
from sleepcycle.store import batch_table, example_table
from sleepcycle.store.values import ExampleState, NightState
from tests.daemon.conftest import desk_at
from tests.daemon.scheduler_home import (
    HOUR,
    MORNING,
    NIGHT,
    PATIENCE_S,
    backdate,
)

COURSE = """
name = "course"
[[phases]]
name = "first"
[[phases]]
name = "second"
consolidate = true
[[phases]]
name = "third"
"""
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
WAKE, SLEEP = RunKind.WAKE, RunKind.SLEEP
DONE, FAILED = RunState.DONE, RunState.FAILED
CANCELLED = RunState.CANCELLED
WAITS = (
    'the phase "second" waits for the next night, since the one before it was rejected'
)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """A home that was made in the morning, with a curriculum, once for all tests."""
    root = tmp_path_factory.mktemp("made") / "home"
    create_home(root)
    (root / "course.toml").write_text(COURSE)
    backdate(root)
    return root


@pytest.fixture
def desk(made_once, tmp_path):
    settings = Settings(
        wake=WakeSettings(min_pending=1, curriculum="course.toml"),
        sleep=SleepSettings(timezone="UTC"),
        engine=EngineSettings(reserve_mb=0),
    )
    with desk_at(made_once, tmp_path, settings) as made:
        yield made


def feed(desk, source, *texts):
    """Put texts into the books as one batch from a source."""
    lines = [canonical_json(Text(text)) for text in texts]
    rows = [(content_hash(line), line, None, None) for line in lines]
    with desk.home.store.write() as session:
        batch = batch_table.add(session, source, "text", 0.05)
        example_table.add(session, batch, ExampleState.PENDING, rows)
        report = FeedReport(batch, len(rows), len(rows), 0, 0, 0, {})
        batch_table.close(session, batch, report)


def kinds(desk):
    """Return the kinds of the runs, oldest first."""
    return [kind for kind, _ in desk.runs()]


def banner(desk):
    return desk.scheduler.state().banner


def pending(desk):
    return desk.home.status().counts.pending


class TestPhases:
    def test_all_are_learned_one_after_another_with_the_night_that_one_asks_for(
        self, desk
    ):
        for source in ("third", "second", "elsewhere", "first"):
            feed(desk, source, source)

        desk.consider()

        assert kinds(desk) == [WAKE, SLEEP, WAKE, WAKE, WAKE]
        phases = [desk.home.runs.phase(run) for run in range(1, 6)]
        assert phases == ["first", None, "second", "third", None]
        assert pending(desk) == 0
        assert banner(desk) is None

    def test_such_a_night_is_an_extra_of_the_service(self, desk):
        feed(desk, "first", "a")
        feed(desk, "second", "b")

        desk.consider()

        assert desk.night() is None
        assert (CLOCK, "start sleep") in desk.journal()
        assert desk.scheduler.state().next_night == NIGHT
        desk.consider(NIGHT - MORNING)
        assert kinds(desk) == [WAKE, SLEEP, WAKE, SLEEP]
        assert desk.night().state is NightState.DONE

    def test_too_little_that_is_pending_asks_for_no_night(self, desk):
        desk.set("wake", min_pending=2)
        feed(desk, "first", "a1", "a2")
        desk.consider()
        feed(desk, "second", "b1")

        assert desk.consider(HOUR) is None
        feed(desk, "second", "b2")
        desk.consider()

        assert kinds(desk) == [WAKE, SLEEP, WAKE]

    def test_nor_does_an_hour_outside_of_the_window(self, desk):
        feed(desk, "first", "a")
        desk.consider()
        desk.set("wake", window="12:00-13:00")
        feed(desk, "second", "b")

        assert desk.consider(HOUR) is None
        desk.consider(HOUR)

        assert kinds(desk) == [WAKE, SLEEP, WAKE]

    def test_a_user_whose_wake_is_refused_is_helped_by_the_service(self, desk):
        feed(desk, "first", "a")
        desk.consider()
        feed(desk, "second", "b")

        refused = desk.scheduler.wake()

        with pytest.raises(RunError, match="run one: sleepcycle sleep"):
            refused.result(PATIENCE_S)
        desk.settle()
        assert desk.runs() == [(WAKE, DONE), (SLEEP, DONE), (WAKE, DONE)]

    def test_nothing_begins_while_it_is_paused(self, desk):
        feed(desk, "first", "a")
        desk.consider()
        desk.scheduler.pause()
        feed(desk, "second", "b")

        assert desk.consider(HOUR) is None
        desk.scheduler.resume()
        desk.settle()

        assert kinds(desk) == [WAKE, SLEEP, WAKE]


class TestRejectedNights:
    @pytest.fixture
    def desk(self, desk):
        """A desk whose night before the second phase was rejected."""
        desk.engine.accepts = False
        feed(desk, "first", "a")
        feed(desk, "second", "b")
        desk.consider()
        assert kinds(desk) == [WAKE, SLEEP]
        return desk

    def test_the_phase_waits_for_the_night_of_the_date(self, desk):
        for _ in range(3):
            assert desk.consider(HOUR) is None

        assert desk.restart().consider() is None
        assert banner(desk) == WAITS
        assert desk.scheduler.state().word is Activity.IDLE
        assert pending(desk) == 1

    def test_after_that_it_goes_on_if_the_night_was_accepted(self, desk):
        desk.engine.accepts = True

        desk.consider(NIGHT - desk.now)

        assert kinds(desk) == [WAKE, SLEEP, SLEEP, WAKE]
        assert desk.night().state is NightState.DONE
        assert desk.home.status().live == "v3"
        assert (pending(desk), banner(desk)) == (0, None)

    def test_and_if_it_was_rejected_too(self, desk):
        desk.consider(NIGHT - desk.now)

        assert kinds(desk) == [WAKE, SLEEP, SLEEP, WAKE]
        assert desk.home.status().live == "v0"
        assert (pending(desk), banner(desk)) == (0, None)
        feed(desk, "second", "more")
        desk.consider(HOUR)
        assert kinds(desk)[4:] == [WAKE]

    def test_an_earlier_phase_does_not_wait(self, desk):
        desk.engine.accepts = True
        feed(desk, "first", "more")

        desk.consider(HOUR)

        assert kinds(desk) == [WAKE, SLEEP, WAKE, SLEEP, WAKE]
        assert pending(desk) == 0

    def test_a_night_that_the_user_asks_for_counts(self, desk):
        desk.scheduler.sleep().result(PATIENCE_S)
        desk.settle()

        assert kinds(desk) == [WAKE, SLEEP, SLEEP, WAKE]
        assert desk.night() is None


class TestNightsThatFail:
    def test_one_is_tried_again_after_a_wait(self, desk):
        feed(desk, "first", "a")
        desk.consider()
        feed(desk, "second", "b")
        desk.engine.fault = RunError("out of memory")
        desk.consider()
        assert "out of memory" in banner(desk)
        desk.engine.fault = None

        assert desk.consider(timedelta(seconds=59)) is None
        desk.consider(timedelta(seconds=1))

        assert desk.runs()[1:] == [(SLEEP, FAILED), (SLEEP, DONE), (WAKE, DONE)]

    def test_one_that_the_user_cancels_leaves_it_to_the_clock(self, desk):
        feed(desk, "first", "a")
        desk.consider()
        feed(desk, "second", "b")
        desk.engine.hold()
        run = desk.scheduler.consider()
        desk.engine.wait_begun()

        desk.scheduler.cancel(2)

        assert isinstance(run.exception(PATIENCE_S), Interrupted)
        desk.settle()
        desk.engine.release()
        assert desk.consider(HOUR) is None
        desk.consider(NIGHT - desk.now)
        assert desk.runs()[1:] == [(SLEEP, CANCELLED), (SLEEP, DONE), (WAKE, DONE)]


class TestBrokenOff:
    def test_a_wake_goes_on_in_its_phase_though_its_curriculum_is_gone(self, desk):
        desk.engine.hold()
        feed(desk, "second", "b")
        desk.scheduler.consider()
        desk.engine.wait_begun()
        desk.scheduler.pause()
        desk.settle()
        desk.engine.release()
        feed(desk, "first", "a")
        (desk.paths.root / "course.toml").unlink()

        desk.scheduler.resume()
        desk.settle()

        assert desk.runs() == [(WAKE, DONE)]
        assert desk.home.runs.phase(1) == "second"
        assert "no wake begins: expected a curriculum in" in banner(desk)


class TestWrongCurricula:
    @pytest.fixture
    def spoilt(self, desk):
        """A desk whose curriculum is wrong."""
        (desk.paths.root / "course.toml").write_text(COURSE + "epoch = 3\n")
        return desk

    def test_the_banner_says_so_at_once(self, spoilt):
        assert spoilt.consider() is None

        state = spoilt.scheduler.state()
        assert state.word is Activity.WAITING
        assert state.banner.startswith("no wake begins: ")
        assert "did you mean phases.third.epochs?" in state.banner

    def test_nothing_is_claimed_and_no_run_fails(self, spoilt):
        feed(spoilt, "first", "a")

        assert spoilt.consider() is None

        assert (spoilt.runs(), pending(spoilt)) == ([], 1)

    def test_it_is_not_ready(self, spoilt):
        spoilt.consider()

        with owned(spoilt.paths):
            reason = not_ready_reason(
                spoilt.paths, spoilt.reloadable.settings, spoilt.scheduler.state()
            )

        assert reason.startswith("a run failed or could not begin")

    def test_once_it_is_mended_all_goes_on(self, spoilt):
        feed(spoilt, "first", "a")
        spoilt.consider()
        (spoilt.paths.root / "course.toml").write_text(COURSE)

        assert spoilt.consider(MINUTE).result().examples == 1
        assert banner(spoilt) is None

    def test_and_so_it_does_without_one(self, spoilt):
        spoilt.consider()
        spoilt.set("wake", curriculum="")
        feed(spoilt, "first", "a")

        assert spoilt.consider(MINUTE).result().examples == 1
        assert banner(spoilt) is None

    def test_nights_come_all_the_same(self, desk):
        feed(desk, "first", "a")
        desk.consider()
        (desk.paths.root / "course.toml").unlink()

        desk.consider(NIGHT - MORNING)

        assert desk.runs() == [(WAKE, DONE), (SLEEP, DONE)]
        assert desk.night().state is NightState.DONE


def test_the_status_names_the_phase_of_the_run_that_is_on(desk):
    feed(desk, "first", "a")
    desk.engine.hold()
    desk.scheduler.consider()
    desk.engine.wait_begun()

    state = desk.scheduler.state()
    fields = status_with_service(
        desk.home.status(), state, pid=1, url="http://127.0.0.1:1"
    )

    assert (fields["last_run"]["run"], fields["last_run"]["phase"]) == (1, "first")
    assert fields["last_run"]["state"] == RunState.RUNNING
