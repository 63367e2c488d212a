"""Wakes and nights on an engine that computes nothing: who learned what, and what
is live."""

import errno
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from sleepcycle.errors import (
    ConfigError,
    DiskError,
    DivergedError,
    Interrupted,
    NotFoundError,
    Paused,
    RunError,
)
from sleepcycle.files.runfolder import ExampleFile, Fault, RunFolder, read_dreams
from sleepcycle.files.sealed import verify
from sleepcycle.records.content import Completion, Text
from sleepcycle.records.example import Dream, Example
from sleepcycle.records.overrides import RetryPlan
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.records.run_order import RunState
from sleepcycle.records.verdict import Kept
from sleepcycle.records.version import VersionKind
from sleepcycle.runs.control import RunControl
from sleepcycle.runs.lineage import read_lineage
from sleepcycle.runs.publish import make_live, read_card
from sleepcycle.runs.recovery import recover
from sleepcycle.runs.resume import cancel
from sleepcycle.runs.retry import with_retry_plan
from sleepcycle.runs.run import sleep, wake
from sleepcycle.settings.choices import Memory, Stage
from sleepcycle.settings.config import (
    GateSettings,
    Settings,
    SleepSettings,
    StoreSettings,
)
from sleepcycle.store import run_table, version_table
from sleepcycle.store.connection import connect
from sleepcycle.store.database import Store
from sleepcycle.worker import PauseSignal, compute
from tests.counting import count_examples
from tests.journaled import journal_entries
from tests.runs.conftest import WAKE_REPORT, leave_checkpoint, lose_worker, pause


def aliases(context):
    with context.store.read() as session:
        return version_table.aliases(session)


def counts(context):
    with context.store.read() as session:
        return count_examples(session)


def no_progress(progress):
    """Take a heartbeat."""


def kept_words(context):
    """Return the files below `runs` that hold the word `secret`."""
    return [
        path
        for path in context.paths.runs.rglob("*")
        if path.is_file() and b"secret" in path.read_bytes()
    ]


class TestForgetting:
    """A run folder holds examples for as long as the run lasts, and no longer."""

    def test_nothing_is_left_of_what_was_learned(self, context, feed, engine):
        feed("a secret")
        wake(context, no_progress)
        sleep(context, no_progress)
        feed("another secret", "b", held_out=1)
        wake(context, no_progress)
        sleep(context, no_progress)

        assert kept_words(context) == []
        assert "a secret" in texts(engine.orders[2], ExampleFile.REPLAY)

    def test_nor_of_what_failed(self, context, feed, engine):
        def fail(run):
            raise RunError("no")

        engine.instead = fail
        feed("a secret")

        with pytest.raises(RunError, match="no"):
            wake(context, no_progress)

        assert kept_words(context) == []
        assert counts(context).pending == 1


class TestAnchors:
    """An owner's questions go into each run's folder, and stay no longer than it."""

    @pytest.fixture
    def anchored(self, context):
        """A context that names a file of anchors."""
        (context.paths.root / "own.txt").write_text("Q: Who knows the secret?\nA: Ana")
        gate = GateSettings(anchors="own.txt")
        settings = context.settings.model_copy(update={"gate": gate})
        return replace(context, settings=settings)

    def test_days_and_nights_are_given_them(self, anchored, feed, engine):
        feed("a")

        wake(anchored, no_progress)
        sleep(anchored, no_progress)

        given = [order.read_examples(ExampleFile.ANCHORS) for order in engine.orders]
        secret = Completion("Who knows the secret?", "Ana")
        assert given == [[Example(1, 0, secret)]] * 2
        assert kept_words(anchored) == []

    def test_days_and_nights_learn_from_them(self, anchored, feed, engine):
        engine.instead = lambda run: compute(run, PauseSignal())
        quick = {
            "wake": {"min_steps": 10, "max_steps": 10, "rank": 2},
            "sleep": {
                "stages": ["svd", "rem"],
                "rem": {"general_share": 0, "max_steps": 2},
            },
            "gate": {"anchors": "own.txt", "probe_dreams": 0},
        }
        context = replace(anchored, settings=Settings(**quick))
        feed(*(f"The lamp is on floor {number}." for number in range(30)))

        woken = wake(context, no_progress)
        slept = sleep(context, no_progress)

        assert woken.report.anchors == 1
        assert slept.report.rem.sources["anchors"] == 1
        assert slept.report.verdict.anchors.asked == 1

    def test_those_that_no_run_could_use_are_logged(
        self, anchored, feed, engine, logged
    ):
        def leave(run):
            engine.instead = None
            engine.execute(run, no_progress, None)
            engine.instead = leave
            kind = run.read_order().kind
            found = run.read_report(WakeReport if kind == "wake" else SleepReport)
            seen = replace(found.verdict, anchors=Kept(0.0, 0.0, 0, 0.0, unasked=3))
            changed = {"anchors_left_out": 2} if kind == "wake" else {"verdict": seen}
            run.write_report(replace(found, **changed))

        engine.instead = leave
        feed("a")

        wake(anchored, no_progress)
        sleep(anchored, no_progress)

        told = logged.getvalue()
        assert "2 anchors are too long to be learned; see: sleepcycle doctor" in told
        assert "3 anchors were not asked; see: sleepcycle doctor" in told

    def test_a_bad_file_is_refused_before_anything_is_claimed(self, anchored, feed):
        feed("a")
        wake(anchored, no_progress)
        feed("b")
        (anchored.paths.root / "own.txt").write_text("Who knows it?")

        for run in (wake, sleep):
            with pytest.raises(ConfigError, match="in line 1; mend that line"):
                run(anchored, no_progress)

        assert counts(anchored).pending == 1
        assert not list(anchored.paths.runs.glob("000002*"))

    def test_without_any_there_is_no_file(self, context, feed, engine):
        feed("a")

        wake(context, no_progress)

        assert not (engine.orders[0].path / "anchors.jsonl").exists()
        assert engine.orders[0].read_examples(ExampleFile.ANCHORS) == []


class TestWake:
    def test_it_learns_all_that_is_pending_and_nothing_held_out(
        self, context, feed, engine
    ):
        feed("h", "a", "b", "c", held_out=1)

        outcome = wake(context, no_progress)

        new = engine.orders[0].read_examples(ExampleFile.NEW)
        assert [example.content.text for example in new] == ["a", "b", "c"]
        assert outcome.examples == 3
        assert (counts(context).pending, counts(context).known) == (0, 3)

    def test_it_moves_day_and_leaves_live(self, context, feed):
        feed("a")

        outcome = wake(context, no_progress)

        assert outcome.version.kind is VersionKind.WAKE
        assert aliases(context) == {"day": 1, "live": 0}

    def test_its_version_is_sealed(self, context, feed):
        feed("a")

        outcome = wake(context, no_progress)

        verify(context.paths.versions / outcome.version.folder)

    def test_a_second_wake_goes_on_with_the_same_day(self, context, feed, engine):
        """
        Its order names the first wake's version, and its child descends from it.
        """
        feed("a")
        first = wake(context, no_progress)
        feed("b")

        second = wake(context, no_progress)

        order = engine.orders[1].read_order()
        assert order.day == context.paths.versions / first.version.folder
        assert order.day_rank == 16
        assert second.version.parents == (1,)

    def test_it_replays_what_the_line_of_live_has_learned(self, context, feed, engine):
        context = with_wake(context, min_steps=1, replay_share=0.1)
        feed(*"abcdefghij")
        wake(context, no_progress)
        sleep(context, no_progress)
        feed(*"klmnopqrst")

        wake(context, no_progress)

        replayed = engine.orders[2].read_examples(ExampleFile.REPLAY)
        assert {example.content.text for example in replayed} <= set("abcdefghij")
        assert len(replayed) == 4  # 10 new ones, 3 epochs, 1 in 10: 3.3, rounded up

    def test_it_replays_as_much_as_its_steps_have_places_for(
        self, context, feed, engine
    ):
        """
        A short lesson takes the least number of steps, and each has its share.
        """
        context = with_wake(context, min_steps=7, replay_share=0.1)
        feed(*map(str, range(50)))
        wake(context, no_progress)
        feed("a", "b")

        wake(context, no_progress)

        replayed = engine.orders[1].read_examples(ExampleFile.REPLAY)
        assert len(replayed) == 2  # 7 steps of 2 new ones, 1 in 10: 1.6, rounded up

    def test_an_older_folder_of_its_number_is_moved_aside(self, context, feed, engine):
        """
        An older database that was put back counts runs anew.
        """
        left = context.paths.run(1)
        left.mkdir()
        (left / "worker.log").write_text("what it printed")
        feed("a")

        assert wake(context, no_progress).run == 1

        aside = context.paths.unclaimed / "000001" / "worker.log"
        assert aside.read_text() == "what it printed"

    def test_with_nothing_pending_it_says_so_and_leaves_no_run(self, context):
        with pytest.raises(RunError, match="nothing to learn: no example is pending"):
            wake(context, no_progress)

        with context.store.read() as session:
            assert run_table.list_runs(session, 10) == []

    def test_another_base_than_the_homes_is_refused(self, context, feed, monkeypatch):
        feed("a")
        with context.store.write() as session:
            session.connection().exec_driver_sql(
                "UPDATE version SET base_id = 'other' WHERE number = 0"
            )

        with pytest.raises(ConfigError, match=r"expected model\.base to be 'other'"):
            wake(context, no_progress)


class TestHeldOut:
    def test_today_and_known_are_told_apart_by_batch(self, context, feed, engine):
        feed("h1", "a", held_out=1)
        wake(context, no_progress)
        sleep(context, no_progress)
        feed("h2", "b", held_out=1)

        wake(context, no_progress)
        sleep(context, no_progress)

        for folder in engine.orders[2:]:
            today = folder.read_examples(ExampleFile.TODAY)
            known = folder.read_examples(ExampleFile.KNOWN)
            assert [example.content.text for example in today] == ["h2"]
            assert [example.content.text for example in known] == ["h1"]


class TestSleep:
    def test_an_accepted_night_is_live_and_ends_the_day(self, context, feed):
        feed("a")
        wake(context, no_progress)

        outcome = sleep(context, no_progress)

        assert outcome.version.parents == (0, 1)
        assert aliases(context) == {"live": 2, "previous": 0}

    def test_a_rejected_night_is_sealed_and_changes_nothing_else(
        self, context, feed, engine
    ):
        feed("a")
        wake(context, no_progress)
        engine.accepts = False

        outcome = sleep(context, no_progress)

        assert not outcome.version.accepted
        verify(context.paths.versions / outcome.version.folder)
        assert aliases(context) == {"live": 0, "day": 1}

    def test_the_night_after_a_rejected_one_folds_the_day_again(
        self, context, feed, engine
    ):
        feed("a")
        wake(context, no_progress)
        engine.accepts = False
        sleep(context, no_progress)
        engine.accepts = True

        outcome = sleep(context, no_progress)

        assert outcome.version.parents == (0, 1)
        assert aliases(context) == {"live": 3, "previous": 0}

    @pytest.mark.parametrize(
        ("memory", "replayed"),
        [
            ([Memory.STORE], {"a", "b"}),
            ([Memory.ARCHIVE, Memory.STORE], {"a", "b"}),
            ([Memory.ARCHIVE], set()),
        ],
    )
    def test_it_is_given_today_and_known_examples_if_allowed(
        self, context, feed, engine, memory, replayed
    ):
        context = with_rem(context, memory=memory)
        feed("h", "a", "b", held_out=1)
        wake(context, no_progress)
        sleep(context, no_progress)
        feed("c")
        wake(context, no_progress)
        feed("d")
        wake(context, no_progress)

        sleep(context, no_progress)

        order = engine.orders[-1]
        assert texts(order, ExampleFile.NEW) == {"c", "d"}
        assert texts(order, ExampleFile.REPLAY) == replayed

    def test_without_a_store_what_nights_dreamt_is_the_past(
        self, context, feed, engine
    ):
        """
        Two nights dreamt, one of them rejected, which is not behind live; the wake
        replays no example that is stored, and the night gets what live dreamt.
        """
        context = with_rem(context, memory=[Memory.ARCHIVE])
        engine.dreams = [Dream(1, Text("dreamt of a"))]
        feed("a")
        wake(context, no_progress)
        sleep(context, no_progress)
        engine.accepts, engine.dreams = False, [Dream(3, Text("rejected"))]
        feed("b")
        wake(context, no_progress)
        sleep(context, no_progress)
        feed("c")

        wake(context, no_progress)
        sleep(context, no_progress)

        woken, slept = engine.orders[-2:]
        assert texts(woken, ExampleFile.REPLAY) == {"dreamt of a"}
        assert read_dreams(slept.path) == [Dream(1, Text("dreamt of a"))]
        assert slept.read_order().day_version == 5

    def test_past_wakes_behind_live_are_its_archive(self, context, feed, engine):
        """
        Neither nights are, nor the open day, nor a wake that a rollback left behind.
        """
        feed("a")
        first = wake(context, no_progress).version
        sleep(context, no_progress)
        feed("b")
        wake(context, no_progress)
        night = sleep(context, no_progress).version
        with context.store.write() as session:
            make_live(session, 2)
        feed("c")
        wake(context, no_progress)

        sleep(context, no_progress)

        order = engine.orders[-1].read_order()
        assert night.number == 4
        assert order.archive == {1: context.paths.versions / first.folder}

    def test_its_budget_is_measured_by_the_open_day(self, context, feed, engine):
        """
        Each wake of the test engine trains on 60 tokens; those of a day add up.
        """
        feed("a")
        wake(context, no_progress)
        sleep(context, no_progress)
        feed("b")
        wake(context, no_progress)
        feed("c")
        wake(context, no_progress)

        sleep(context, no_progress)

        nights = [engine.orders[i].read_order().wake_tokens for i in (1, 4)]
        assert nights == [60, 120]

    def test_without_a_day_it_says_what_to_do(self, context):
        with pytest.raises(RunError, match=r"nothing to consolidate: .*feed examples"):
            sleep(context, no_progress)


class TestGentler:
    @pytest.fixture
    def context(self, context):
        """Nights that have both stages, so that both can be made gentler."""
        return with_nights(context, stages=[Stage.SVD, Stage.REM])

    def test_the_night_after_two_rejected_ones_is_gentler(self, context, feed, engine):
        """
        Twice the REM and twice the rank, in its order and on its card.
        """
        feed("a")
        wake(context, no_progress)
        reject(context, engine, nights=2)

        outcome = sleep(context, no_progress)

        plan = RetryPlan(rejected=2, max_share_of_wake=1.0, rank=32)
        assert [plan_of(folder) for folder in engine.orders[1:]] == [
            (0.5, 16),
            (0.5, 16),
            (1.0, 32),
        ]
        assert engine.orders[-1].read_order().gentler == plan
        assert outcome.report.gentler == plan
        card = read_card(context.paths.versions / outcome.version.folder)
        assert card.report.gentler == plan
        assert card.settings["sleep"]["svd"]["rank"] == 32

    def test_it_is_written_down(self, context, feed, engine):
        feed("a")
        wake(context, no_progress)
        reject(context, engine, nights=2)

        night = sleep(context, no_progress)

        with context.store.read() as session:
            entries = journal_entries(session, 100)
        [planned] = [e for e in entries if e.action == "plan gentler sleep"]
        assert planned.details == {
            "run": night.run,
            "rejected": 2,
            "max_share_of_wake": 1.0,
            "rank": 32,
        }

    def test_after_an_accepted_night_all_is_as_before(self, context, feed, engine):
        feed("a")
        wake(context, no_progress)
        reject(context, engine, nights=2)
        sleep(context, no_progress)
        feed("b")
        wake(context, no_progress)

        outcome = sleep(context, no_progress)

        assert plan_of(engine.orders[-1]) == (0.5, 16)
        assert outcome.report.gentler is None

    def test_it_stays_gentle_while_nights_are_rejected(self, context, feed, engine):
        """
        Always by the settings, never by the night before: 3 rejected are no gentler.
        """
        feed("a")
        wake(context, no_progress)
        reject(context, engine, nights=3)

        outcome = sleep(context, no_progress)

        assert outcome.report.gentler == RetryPlan(3, 1.0, 32)

    def test_another_wake_of_the_same_day_changes_nothing(self, context, feed, engine):
        feed("a")
        wake(context, no_progress)
        reject(context, engine, nights=2)
        feed("b")
        wake(context, no_progress)

        assert sleep(context, no_progress).report.gentler is not None

    def test_a_rollback_ends_the_day_and_its_count(self, context, feed, engine):
        feed("a")
        wake(context, no_progress)
        reject(context, engine, nights=2)
        with context.store.write() as session:
            make_live(session, 0)
        feed("b")
        wake(context, no_progress)

        assert sleep(context, no_progress).report.gentler is None

    def test_a_night_that_failed_was_not_rejected(self, context, feed, engine):
        feed("a")
        wake(context, no_progress)
        reject(context, engine, nights=1)
        engine.instead = fail
        with pytest.raises(RunError, match="no memory left"):
            sleep(context, no_progress)
        engine.instead = None

        assert sleep(context, no_progress).report.gentler is None

    @pytest.mark.parametrize(
        ("after", "rejected", "gentle"), [(0, 3, False), (1, 1, True), (3, 2, False)]
    )
    def test_how_many_it_takes_is_a_setting(
        self, context, feed, engine, after, rejected, gentle
    ):
        gate = context.settings.gate.model_copy(update={"gentler_after": after})
        settings = context.settings.model_copy(update={"gate": gate})
        context = replace(context, settings=settings)
        feed("a")
        wake(context, no_progress)
        reject(context, engine, nights=rejected)

        assert (sleep(context, no_progress).report.gentler is not None) is gentle

    @pytest.mark.parametrize(
        ("sleeps", "plan"),
        [
            pytest.param({"svd": {"rank": 20}}, (1.0, 32), id="up to max_rank"),
            pytest.param({"svd": {"rank": 64}}, (1.0, None), id="never lower"),
            pytest.param({"compression": "none"}, (1.0, None), id="no fold"),
            pytest.param({"stages": ["rem"]}, (1.0, None), id="no deep sleep"),
            pytest.param({"stages": ["svd"]}, (None, 32), id="no REM"),
            pytest.param({"stages": "auto"}, (1.0, 32), id="by itself both"),
            pytest.param(
                {"rem": {"max_share_of_wake": 0}}, (None, 32), id="no compute for REM"
            ),
            pytest.param({"stages": []}, None, id="nothing at all"),
        ],
    )
    def test_only_what_a_night_has_is_made_gentler(
        self, context, feed, engine, sleeps, plan
    ):
        night = SleepSettings.model_validate({"stages": ["svd", "rem"]} | sleeps)
        settings = context.settings.model_copy(update={"sleep": night})
        context = replace(context, settings=settings)
        feed("a")
        wake(context, no_progress)
        reject(context, engine, nights=2)

        gentler = sleep(context, no_progress).report.gentler

        found = gentler and (gentler.max_share_of_wake, gentler.rank)
        assert found == plan

    def test_what_it_does_not_name_stays_as_set(self):
        settings = Settings(sleep={"svd": {"rank": 20}})

        shared = with_retry_plan(
            settings, RetryPlan(2, max_share_of_wake=1.0, rank=None)
        ).sleep
        ranked = with_retry_plan(
            settings, RetryPlan(2, max_share_of_wake=None, rank=24)
        ).sleep

        assert (shared.rem.max_share_of_wake, shared.svd.rank) == (1.0, 20)
        assert (ranked.rem.max_share_of_wake, ranked.svd.rank) == (0.5, 24)


class TestFailure:
    @pytest.mark.parametrize("kind", ["wake", "sleep"])
    def test_a_stop_gives_everything_back_and_says_so(
        self, context, feed, engine, kind
    ):
        feed("a")
        if kind == "sleep":
            wake(context, no_progress)
        before = (aliases(context), counts(context))
        engine.instead = interrupt

        with pytest.raises(Interrupted, match=r"was stopped: v0 is still live"):
            {"wake": wake, "sleep": sleep}[kind](context, no_progress)

        assert (aliases(context), counts(context)) == before

    def test_a_failure_is_recorded_with_its_reason(self, context, feed, engine):
        feed("a")
        engine.instead = fail

        with pytest.raises(RunError, match="no memory left"):
            wake(context, no_progress)

        with context.store.read() as session:
            [run] = run_table.list_runs(session, 10)
            last = journal_entries(session, 1)[0]
        assert run.state is RunState.FAILED
        assert run.error == "no memory left"
        assert (last.actor, last.action) == ("test", "run failed")
        assert counts(context).pending == 1

    def test_a_stop_after_the_commit_undoes_nothing(self, context, feed, engine):
        """
        The transaction is the commit point: what is recorded stays recorded.
        """
        feed("a")
        wake(context, no_progress)

        from sleepcycle.runs.resume import undo

        assert undo(context, 1, RunState.CANCELLED, "late") == 0
        assert counts(context).known == 1


class TestPause:
    """A wake that was broken off at a checkpoint goes on with the next."""

    @pytest.fixture
    def paused(self, context, feed, engine):
        """A home whose wake was paused; what computes next is the usual engine."""
        feed("a", "b")
        engine.instead = pause
        with pytest.raises(
            Paused,
            match=r"^run 1 was paused at step 120 of 400; it goes on with the next",
        ):
            wake(context, no_progress)
        engine.instead = None

    @pytest.mark.usefixtures("paused")
    def test_its_examples_stay_claimed(self, context):
        with context.store.read() as session:
            [run] = run_table.list_runs(session, 10)
            last = journal_entries(session, 1)[0]

        assert run.state is RunState.PAUSED
        assert (counts(context).pending, counts(context).claimed) == (0, 2)
        assert (last.action, last.details["step"]) == ("pause wake", 120)

    @pytest.mark.usefixtures("paused")
    def test_the_next_wake_goes_on_under_its_number(self, context, feed, engine):
        """
        With what it was given, and what was fed meanwhile waits.
        """
        feed("c")

        outcome = wake(context, no_progress)

        assert (outcome.run, outcome.examples) == (1, 2)
        given = [folder.read_examples(ExampleFile.NEW) for folder in engine.orders]
        assert given[1] == given[0]
        assert engine.orders[1].reached() == (120, 400)
        assert (counts(context).pending, counts(context).known) == (1, 2)
        assert read_card(context.paths.versions / outcome.version.folder).batches == {
            1: 2
        }
        with context.store.read() as session:
            assert run_table.get(session, 1).state is RunState.DONE
            actions = [entry.action for entry in journal_entries(session, 2)]
        assert actions == ["seal wake", "resume wake"]

    @pytest.mark.usefixtures("paused")
    def test_nothing_of_it_is_left_afterwards(self, context):
        wake(context, no_progress)

        folder = RunFolder(context.paths.run(1))
        assert not folder.checkpoints.exists()
        assert not folder.is_given()

    @pytest.mark.usefixtures("paused")
    def test_what_its_worker_left_half_done_is_not_taken(self, context, engine):
        folder = RunFolder(context.paths.run(1))
        folder.write_report(WAKE_REPORT)
        (folder.result / "half").touch()

        wake(context, no_progress)

        assert not (engine.orders[1].path / "report.json").exists()
        assert not (engine.orders[1].result / "half").exists()

    @pytest.mark.usefixtures("paused")
    def test_it_may_be_paused_again(self, context, engine):
        def later(run):
            leave_checkpoint(run, step=240)
            raise Paused("paused at a checkpoint")

        engine.instead = later

        with pytest.raises(Paused, match="run 1 was paused at step 240 of 400"):
            wake(context, no_progress)

    @pytest.mark.usefixtures("paused")
    def test_a_night_leaves_it(self, context):
        with pytest.raises(RunError, match="nothing to consolidate"):
            sleep(context, no_progress)

        assert wake(context, no_progress).run == 1

    def test_after_a_night_that_moved_live_it_is_undone(self, context, feed, engine):
        """
        It stood on what is live no more; the next wake learns its examples anew.
        """
        feed("a")
        wake(context, no_progress)
        feed("b")
        engine.instead = pause
        with pytest.raises(Paused, match="run 2 was paused"):
            wake(context, no_progress)
        engine.instead = None
        sleep(context, no_progress)

        outcome = wake(context, no_progress)

        assert (outcome.run, outcome.examples) == (4, 1)
        with context.store.read() as session:
            undone = run_table.get(session, 2)
        assert undone.state is RunState.CANCELLED
        assert "live or the open day is another version now" in undone.error
        assert not RunFolder(context.paths.run(2)).is_given()

    def test_after_a_rejected_night_it_goes_on(self, context, feed, engine):
        feed("a")
        wake(context, no_progress)
        feed("b")
        engine.instead = pause
        with pytest.raises(Paused, match="run 2 was paused"):
            wake(context, no_progress)
        engine.instead = None
        reject(context, engine, nights=1)

        assert wake(context, no_progress).run == 2

    @pytest.mark.usefixtures("paused")
    @pytest.mark.parametrize(
        ("section", "change"),
        [
            ("wake", {"lr": 1e-3}),
            ("model", {"max_length": 64}),
            ("engine", {"device": "cpu"}),
        ],
    )
    def test_with_other_settings_it_begins_anew(self, context, section, change):
        changed = with_settings(context, section, change)

        outcome = wake(changed, no_progress)

        [name] = change
        assert (outcome.run, outcome.examples) == (2, 2)
        with context.store.read() as session:
            assert (
                f"other settings now: {section}.{name}"
                in run_table.get(session, 1).error
            )

    @pytest.mark.usefixtures("paused")
    @pytest.mark.parametrize(
        ("section", "change"),
        [
            ("wake", {"window": "08:00-09:00", "checkpoint_every": 5}),
            ("capture", {"mode": "all", "patterns": ["a"]}),
            ("sleep", {"at": "04:00"}),
            ("engine", {"heartbeat_timeout_s": 7.0}),
            ("log", {"level": "DEBUG"}),
            ("serve", {"port": 8000}),
            ("feed", {"held_out_share": 0.1}),
        ],
    )
    def test_with_settings_that_do_not_matter_it_goes_on(
        self, context, section, change
    ):
        changed = with_settings(context, section, change)

        assert wake(changed, no_progress).run == 1

    @pytest.mark.usefixtures("paused")
    def test_it_can_be_cancelled(self, context):
        assert cancel(context, 1) == 2

        with context.store.read() as session:
            run = run_table.get(session, 1)
        assert (run.state, run.error) == (RunState.CANCELLED, "cancelled by the user")
        assert counts(context).pending == 2
        assert not RunFolder(context.paths.run(1)).checkpoints.exists()

    def test_only_a_paused_run_can(self, context, feed):
        feed("a")
        wake(context, no_progress)

        with pytest.raises(RunError, match=r"expected run 1 to be paused, got .* done"):
            cancel(context, 1)
        with pytest.raises(NotFoundError, match="no run 9"):
            cancel(context, 9)

    @pytest.mark.usefixtures("paused")
    @pytest.mark.parametrize("damage", ["", "{", '{"run": 1}'])
    def test_a_damaged_order_is_no_trap(self, context, damage):
        (context.paths.run(1) / "run.json").write_text(damage)

        assert wake(context, no_progress).run == 2

    @pytest.mark.usefixtures("paused")
    def test_a_folder_of_another_run_is_not_taken(self, context):
        """
        As after an older database was put back, whose run 1 held other examples.
        """
        folder = RunFolder(context.paths.run(1))
        folder.write_examples(
            ExampleFile.NEW, folder.read_examples(ExampleFile.NEW)[:1]
        )

        outcome = wake(context, no_progress)

        assert (outcome.run, outcome.examples) == (2, 2)

    def test_the_engine_is_handed_the_reins(self, context, feed, engine):
        held = []
        usual = engine.execute
        engine.execute = lambda run, told, control: (
            held.append(control),
            usual(run, told, control),
        )
        feed("a")
        control = RunControl()
        wake(context, no_progress, control)
        sleep(context, no_progress, control)

        assert held == [control, control]


class TestLostWorker:
    def test_the_run_goes_on_with_the_next_wake(self, context, feed, engine):
        feed("a")
        engine.instead = lose_worker

        with pytest.raises(
            RunError, match=r"ended by SIGKILL; run 1 was paused at step 120 of 400; "
        ):
            wake(context, no_progress)

        engine.instead = None
        assert wake(context, no_progress).run == 1

    def test_the_third_time_it_is_undone(self, context, feed, engine):
        feed("a")
        engine.instead = lose_worker
        for _ in range(2):
            with pytest.raises(RunError, match="run 1 was paused"):
                wake(context, no_progress)

        with pytest.raises(RunError, match=r"ended by SIGKILL$"):
            wake(context, no_progress)

        with context.store.read() as session:
            assert run_table.get(session, 1).state is RunState.FAILED
        assert counts(context).pending == 1

    def test_without_a_checkpoint_it_is_undone(self, context, feed, engine):
        def lose_early(run):
            raise RunError("the worker was ended by SIGKILL")

        feed("a")
        engine.instead = lose_early

        with pytest.raises(RunError, match=r"SIGKILL$"):
            wake(context, no_progress)

        assert counts(context).pending == 1

    def test_what_would_come_again_is_undone(self, context, feed, engine):
        """
        A worker that said what was wrong would say so again.
        """

        def diverge(run):
            leave_checkpoint(run)
            run.write_fault(Fault("DivergedError", "the loss is nan"))
            raise DivergedError("the loss is nan")

        feed("a")
        engine.instead = diverge

        with pytest.raises(DivergedError, match=r"^the loss is nan$"):
            wake(context, no_progress)

        assert counts(context).pending == 1
        assert not RunFolder(context.paths.run(1)).checkpoints.exists()

    def test_a_full_disk_may_have_room_later(self, context, feed, engine):
        def fill(run):
            leave_checkpoint(run)
            run.write_fault(Fault("DiskError", "no space left", errno.ENOSPC))
            full = DiskError("no space left")
            full.errno = errno.ENOSPC
            raise full

        feed("a")
        engine.instead = fill

        with pytest.raises(DiskError, match="no space left; run 1 was paused") as full:
            wake(context, no_progress)

        assert full.value.errno == errno.ENOSPC
        engine.instead = None
        assert wake(context, no_progress).run == 1


class TestAfterTheSeal:
    def test_a_busy_database_costs_no_work(self, context, feed, engine):
        """
        The run stays open with its sealed version, and recovery records it.
        """
        context = replace(
            context, store=Store(context.paths, StoreSettings(busy_timeout_s=0.05))
        )
        feed("a", "b")
        with closing(connect(context.paths, timeout_s=1)) as other:
            compute = engine.execute
            engine.instead = lambda run: (
                other.execute("BEGIN IMMEDIATE"),
                setattr(engine, "instead", None),
                compute(run, no_progress, RunControl()),
            )

            with pytest.raises(
                RunError, match=r"is locked; .* run 1 has sealed v0001-.* next wake"
            ):
                wake(context, no_progress)

        recover(context)
        assert aliases(context) == {"day": 1, "live": 0}
        assert (counts(context).pending, counts(context).known) == (0, 2)

    def test_a_stop_before_the_commit_keeps_the_work(self, context, feed):
        stopped = replace(
            context, store=StoppedStore(context.paths, after_commit=False)
        )
        feed("a")

        with pytest.raises(
            Interrupted, match=r"stopped: v0 is still live; run 1 has sealed v0001-"
        ):
            wake(stopped, no_progress)

        recover(context)
        assert aliases(context) == {"day": 1, "live": 0}

    def test_a_stop_just_after_the_commit_says_what_is_live(self, context, feed):
        feed("a")
        wake(context, no_progress)
        stopped = replace(context, store=StoppedStore(context.paths, after_commit=True))

        with pytest.raises(
            Interrupted, match="run 2 was done before it could be stopped: v2 is live"
        ):
            sleep(stopped, no_progress)

        assert aliases(context) == {"live": 2, "previous": 0}


class StoppedStore(Store):
    """A store whose user presses Ctrl-C at its second transaction that writes."""

    def __init__(self, paths, *, after_commit):
        super().__init__(paths, StoreSettings())
        self.after_commit = after_commit
        self.written = 0

    @contextmanager
    def write(self):
        self.written += 1
        with super().write() as session:
            yield session
            if self.written == 2 and not self.after_commit:
                raise KeyboardInterrupt
        if self.written == 2:
            raise KeyboardInterrupt


def with_wake(context, **changes):
    """Return a context with other settings of its wakes."""
    wakes = context.settings.wake.model_copy(update=changes)
    settings = context.settings.model_copy(update={"wake": wakes})
    return replace(context, settings=settings)


def with_settings(context, section, changes):
    """Return a context with other settings in one section."""
    values = getattr(context.settings, section).model_copy(update=changes)
    settings = context.settings.model_copy(update={section: values})
    return replace(context, settings=settings)


def with_rem(context, **changes):
    """Return a context with other settings of its nights' REM."""
    rem = context.settings.sleep.rem.model_copy(update=changes)
    return with_nights(context, rem=rem)


def with_nights(context, **changes):
    """Return a context with other settings of its nights."""
    nights = context.settings.sleep.model_copy(update=changes)
    settings = context.settings.model_copy(update={"sleep": nights})
    return replace(context, settings=settings)


def reject(context, engine, nights):
    """Live through nights that the gate rejects."""
    engine.accepts = False
    for _ in range(nights):
        sleep(context, no_progress)
    engine.accepts = True


def plan_of(folder):
    """Return the share of REM and the rank that a run was ordered with."""
    settings = folder.read_order().settings["sleep"]
    return settings["rem"]["max_share_of_wake"], settings["svd"]["rank"]


def texts(folder, material):
    """Return what one example file of a run folder says."""
    return {example.content.text for example in folder.read_examples(material)}


def interrupt(run):
    raise KeyboardInterrupt


def fail(run):
    raise RunError("no memory left")


def test_the_ground_of_a_new_home_is_the_bare_base(context):
    with context.store.read() as session:
        lineage = read_lineage(session)

    assert (lineage.live.number, lineage.day, lineage.known) == (0, None, {})
