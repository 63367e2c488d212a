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
from sleepcycle.files.runfolder import Fault, Material, RunFolder, read_dreams
from sleepcycle.files.sealed import verify
from sleepcycle.records.content import Text
from sleepcycle.records.example import Dream
from sleepcycle.records.overrides import Gentler
from sleepcycle.records.run_order import RunState
from sleepcycle.records.version import VersionKind
from sleepcycle.runs.context import Reins
from sleepcycle.runs.lineage import stand
from sleepcycle.runs.publish import make_live, read_card
from sleepcycle.runs.recovery import recover
from sleepcycle.runs.retry import soften
from sleepcycle.runs.run import cancel, sleep, wake
from sleepcycle.settings.choices import Memory
from sleepcycle.settings.config import Settings, SleepSettings, StoreSettings
from sleepcycle.store import journal, run_table, version_table
from sleepcycle.store.connection import connect
from sleepcycle.store.database import Store
from tests.counting import count_examples
from tests.runs.conftest import WAKE_REPORT, leave_checkpoint, lose_worker, pause


def aliases(keeper):
    with keeper.store.read() as session:
        return version_table.aliases(session)


def counts(keeper):
    with keeper.store.read() as session:
        return count_examples(session)


def no_progress(progress):
    """Take a heartbeat."""


def kept_words(keeper):
    """Return the files below `runs` that hold the word `secret`."""
    return [
        path
        for path in keeper.paths.runs.rglob("*")
        if path.is_file() and b"secret" in path.read_bytes()
    ]


class TestForgetting:
    """A run folder holds examples for as long as the run lasts, and no longer."""

    def test_nothing_is_left_of_what_was_learned(self, keeper, feed, engine):
        feed("a secret")
        wake(keeper, no_progress)
        sleep(keeper, no_progress)
        feed("another secret", "b", held_out=1)
        wake(keeper, no_progress)
        sleep(keeper, no_progress)

        assert kept_words(keeper) == []
        assert "a secret" in texts(engine.orders[2], Material.REPLAY)

    def test_nor_of_what_failed(self, keeper, feed, engine):
        def fail(run):
            raise RunError("no")

        engine.instead = fail
        feed("a secret")

        with pytest.raises(RunError, match="no"):
            wake(keeper, no_progress)

        assert kept_words(keeper) == []
        assert counts(keeper).pending == 1


class TestWake:
    def test_it_learns_all_that_is_pending_and_nothing_held_out(
        self, keeper, feed, engine
    ):
        feed("h", "a", "b", "c", held_out=1)

        outcome = wake(keeper, no_progress)

        new = engine.orders[0].read_examples(Material.NEW)
        assert [example.content.text for example in new] == ["a", "b", "c"]
        assert outcome.examples == 3
        assert (counts(keeper).pending, counts(keeper).known) == (0, 3)

    def test_it_moves_day_and_leaves_live(self, keeper, feed):
        feed("a")

        outcome = wake(keeper, no_progress)

        assert outcome.version.kind is VersionKind.WAKE
        assert aliases(keeper) == {"day": 1, "live": 0}

    def test_its_version_is_sealed(self, keeper, feed):
        feed("a")

        outcome = wake(keeper, no_progress)

        verify(keeper.paths.versions / outcome.version.folder)

    def test_a_second_wake_goes_on_with_the_same_day(self, keeper, feed, engine):
        """
        Its order names the first wake's version, and its child descends from it.
        """
        feed("a")
        first = wake(keeper, no_progress)
        feed("b")

        second = wake(keeper, no_progress)

        order = engine.orders[1].read_order()
        assert order.day == keeper.paths.versions / first.version.folder
        assert order.day_rank == 16
        assert second.version.parents == (1,)

    def test_it_replays_what_the_line_of_live_has_learned(self, keeper, feed, engine):
        keeper = with_wake(keeper, min_steps=1, replay_share=0.1)
        feed(*"abcdefghij")
        wake(keeper, no_progress)
        sleep(keeper, no_progress)
        feed(*"klmnopqrst")

        wake(keeper, no_progress)

        replayed = engine.orders[2].read_examples(Material.REPLAY)
        assert {example.content.text for example in replayed} <= set("abcdefghij")
        assert len(replayed) == 4  # 10 new ones, 3 epochs, 1 in 10: 3.3, rounded up

    def test_it_replays_as_much_as_its_steps_have_places_for(
        self, keeper, feed, engine
    ):
        """
        A short lesson takes the least number of steps, and each has its share.
        """
        keeper = with_wake(keeper, min_steps=7, replay_share=0.1)
        feed(*map(str, range(50)))
        wake(keeper, no_progress)
        feed("a", "b")

        wake(keeper, no_progress)

        replayed = engine.orders[1].read_examples(Material.REPLAY)
        assert len(replayed) == 2  # 7 steps of 2 new ones, 1 in 10: 1.6, rounded up

    def test_an_older_folder_of_its_number_is_moved_aside(self, keeper, feed, engine):
        """
        An older database that was put back counts runs anew.
        """
        left = keeper.paths.run(1)
        left.mkdir()
        (left / "worker.log").write_text("what it printed")
        feed("a")

        assert wake(keeper, no_progress).run == 1

        aside = keeper.paths.unclaimed / "000001" / "worker.log"
        assert aside.read_text() == "what it printed"

    def test_with_nothing_pending_it_says_so_and_leaves_no_run(self, keeper):
        with pytest.raises(RunError, match="nothing to learn: no example is pending"):
            wake(keeper, no_progress)

        with keeper.store.read() as session:
            assert run_table.list_runs(session, 10) == []

    def test_another_base_than_the_homes_is_refused(self, keeper, feed, monkeypatch):
        feed("a")
        with keeper.store.write() as session:
            session.connection().exec_driver_sql(
                "UPDATE version SET base_id = 'other' WHERE number = 0"
            )

        with pytest.raises(ConfigError, match=r"expected model\.base to be 'other'"):
            wake(keeper, no_progress)


class TestHeldOut:
    def test_today_and_known_are_told_apart_by_batch(self, keeper, feed, engine):
        feed("h1", "a", held_out=1)
        wake(keeper, no_progress)
        sleep(keeper, no_progress)
        feed("h2", "b", held_out=1)

        wake(keeper, no_progress)
        sleep(keeper, no_progress)

        for folder in engine.orders[2:]:
            today = folder.read_examples(Material.TODAY)
            known = folder.read_examples(Material.KNOWN)
            assert [example.content.text for example in today] == ["h2"]
            assert [example.content.text for example in known] == ["h1"]


class TestSleep:
    def test_an_accepted_night_is_live_and_ends_the_day(self, keeper, feed):
        feed("a")
        wake(keeper, no_progress)

        outcome = sleep(keeper, no_progress)

        assert outcome.version.parents == (0, 1)
        assert aliases(keeper) == {"live": 2, "previous": 0}

    def test_a_rejected_night_is_sealed_and_changes_nothing_else(
        self, keeper, feed, engine
    ):
        feed("a")
        wake(keeper, no_progress)
        engine.accepts = False

        outcome = sleep(keeper, no_progress)

        assert not outcome.version.accepted
        verify(keeper.paths.versions / outcome.version.folder)
        assert aliases(keeper) == {"live": 0, "day": 1}

    def test_the_night_after_a_rejected_one_folds_the_day_again(
        self, keeper, feed, engine
    ):
        feed("a")
        wake(keeper, no_progress)
        engine.accepts = False
        sleep(keeper, no_progress)
        engine.accepts = True

        outcome = sleep(keeper, no_progress)

        assert outcome.version.parents == (0, 1)
        assert aliases(keeper) == {"live": 3, "previous": 0}

    @pytest.mark.parametrize(
        ("memory", "replayed"),
        [
            ([Memory.STORE], {"a", "b"}),
            ([Memory.ARCHIVE, Memory.STORE], {"a", "b"}),
            ([Memory.ARCHIVE], set()),
        ],
    )
    def test_it_is_given_today_and_known_examples_if_allowed(
        self, keeper, feed, engine, memory, replayed
    ):
        keeper = with_rem(keeper, memory=memory)
        feed("h", "a", "b", held_out=1)
        wake(keeper, no_progress)
        sleep(keeper, no_progress)
        feed("c")
        wake(keeper, no_progress)
        feed("d")
        wake(keeper, no_progress)

        sleep(keeper, no_progress)

        order = engine.orders[-1]
        assert texts(order, Material.NEW) == {"c", "d"}
        assert texts(order, Material.REPLAY) == replayed

    def test_without_a_store_what_nights_dreamt_is_the_past(self, keeper, feed, engine):
        """
        Two nights dreamt, one of them rejected, which is not behind live; the wake
        replays no example that is stored, and the night gets what live dreamt.
        """
        keeper = with_rem(keeper, memory=[Memory.ARCHIVE])
        engine.dreams = [Dream(1, Text("dreamt of a"))]
        feed("a")
        wake(keeper, no_progress)
        sleep(keeper, no_progress)
        engine.accepts, engine.dreams = False, [Dream(3, Text("rejected"))]
        feed("b")
        wake(keeper, no_progress)
        sleep(keeper, no_progress)
        feed("c")

        wake(keeper, no_progress)
        sleep(keeper, no_progress)

        woken, slept = engine.orders[-2:]
        assert texts(woken, Material.REPLAY) == {"dreamt of a"}
        assert read_dreams(slept.path) == [Dream(1, Text("dreamt of a"))]
        assert slept.read_order().day_version == 5

    def test_past_wakes_behind_live_are_its_archive(self, keeper, feed, engine):
        """
        Neither nights are, nor the open day, nor a wake that a rollback left behind.
        """
        feed("a")
        first = wake(keeper, no_progress).version
        sleep(keeper, no_progress)
        feed("b")
        wake(keeper, no_progress)
        night = sleep(keeper, no_progress).version
        with keeper.store.write() as session:
            make_live(session, 2)
        feed("c")
        wake(keeper, no_progress)

        sleep(keeper, no_progress)

        order = engine.orders[-1].read_order()
        assert night.number == 4
        assert order.archive == {1: keeper.paths.versions / first.folder}

    def test_its_budget_is_measured_by_the_open_day(self, keeper, feed, engine):
        """
        Each wake of the test engine trains on 60 tokens; those of a day add up.
        """
        feed("a")
        wake(keeper, no_progress)
        sleep(keeper, no_progress)
        feed("b")
        wake(keeper, no_progress)
        feed("c")
        wake(keeper, no_progress)

        sleep(keeper, no_progress)

        nights = [engine.orders[i].read_order().wake_tokens for i in (1, 4)]
        assert nights == [60, 120]

    def test_without_a_day_it_says_what_to_do(self, keeper):
        with pytest.raises(RunError, match=r"nothing to consolidate: .*feed examples"):
            sleep(keeper, no_progress)


class TestGentler:
    def test_the_night_after_two_rejected_ones_is_gentler(self, keeper, feed, engine):
        """
        Twice the REM and twice the rank, in its order and on its card.
        """
        feed("a")
        wake(keeper, no_progress)
        reject(keeper, engine, nights=2)

        outcome = sleep(keeper, no_progress)

        plan = Gentler(rejected=2, max_share_of_wake=1.0, rank=32)
        assert [plan_of(folder) for folder in engine.orders[1:]] == [
            (0.5, 16),
            (0.5, 16),
            (1.0, 32),
        ]
        assert engine.orders[-1].read_order().gentler == plan
        assert outcome.report.gentler == plan
        card = read_card(keeper.paths.versions / outcome.version.folder)
        assert card.report.gentler == plan
        assert card.settings["sleep"]["svd"]["rank"] == 32

    def test_it_is_written_down(self, keeper, feed, engine):
        feed("a")
        wake(keeper, no_progress)
        reject(keeper, engine, nights=2)

        night = sleep(keeper, no_progress)

        with keeper.store.read() as session:
            entries = journal.entries(session, 100)
        [planned] = [e for e in entries if e.action == "plan gentler sleep"]
        assert planned.details == {
            "run": night.run,
            "rejected": 2,
            "max_share_of_wake": 1.0,
            "rank": 32,
        }

    def test_after_an_accepted_night_all_is_as_before(self, keeper, feed, engine):
        feed("a")
        wake(keeper, no_progress)
        reject(keeper, engine, nights=2)
        sleep(keeper, no_progress)
        feed("b")
        wake(keeper, no_progress)

        outcome = sleep(keeper, no_progress)

        assert plan_of(engine.orders[-1]) == (0.5, 16)
        assert outcome.report.gentler is None

    def test_it_stays_gentle_while_nights_are_rejected(self, keeper, feed, engine):
        """
        Always by the settings, never by the night before: 3 rejected are no gentler.
        """
        feed("a")
        wake(keeper, no_progress)
        reject(keeper, engine, nights=3)

        outcome = sleep(keeper, no_progress)

        assert outcome.report.gentler == Gentler(3, 1.0, 32)

    def test_another_wake_of_the_same_day_changes_nothing(self, keeper, feed, engine):
        feed("a")
        wake(keeper, no_progress)
        reject(keeper, engine, nights=2)
        feed("b")
        wake(keeper, no_progress)

        assert sleep(keeper, no_progress).report.gentler is not None

    def test_a_rollback_ends_the_day_and_its_count(self, keeper, feed, engine):
        feed("a")
        wake(keeper, no_progress)
        reject(keeper, engine, nights=2)
        with keeper.store.write() as session:
            make_live(session, 0)
        feed("b")
        wake(keeper, no_progress)

        assert sleep(keeper, no_progress).report.gentler is None

    def test_a_night_that_failed_was_not_rejected(self, keeper, feed, engine):
        feed("a")
        wake(keeper, no_progress)
        reject(keeper, engine, nights=1)
        engine.instead = fail
        with pytest.raises(RunError, match="no memory left"):
            sleep(keeper, no_progress)
        engine.instead = None

        assert sleep(keeper, no_progress).report.gentler is None

    @pytest.mark.parametrize(
        ("after", "rejected", "gentle"), [(0, 3, False), (1, 1, True), (3, 2, False)]
    )
    def test_how_many_it_takes_is_a_setting(
        self, keeper, feed, engine, after, rejected, gentle
    ):
        gate = keeper.settings.gate.model_copy(update={"gentler_after": after})
        settings = keeper.settings.model_copy(update={"gate": gate})
        keeper = replace(keeper, settings=settings)
        feed("a")
        wake(keeper, no_progress)
        reject(keeper, engine, nights=rejected)

        assert (sleep(keeper, no_progress).report.gentler is not None) is gentle

    @pytest.mark.parametrize(
        ("sleeps", "plan"),
        [
            pytest.param({"svd": {"rank": 20}}, (1.0, 32), id="up to max_rank"),
            pytest.param({"svd": {"rank": 64}}, (1.0, None), id="never lower"),
            pytest.param({"compression": "none"}, (1.0, None), id="no fold"),
            pytest.param({"stages": ["rem"]}, (1.0, None), id="no deep sleep"),
            pytest.param({"stages": ["svd"]}, (None, 32), id="no REM"),
            pytest.param(
                {"rem": {"max_share_of_wake": 0}}, (None, 32), id="no compute for REM"
            ),
            pytest.param({"stages": []}, None, id="nothing at all"),
        ],
    )
    def test_only_what_a_night_has_is_made_gentler(
        self, keeper, feed, engine, sleeps, plan
    ):
        night = SleepSettings.model_validate(sleeps)
        settings = keeper.settings.model_copy(update={"sleep": night})
        keeper = replace(keeper, settings=settings)
        feed("a")
        wake(keeper, no_progress)
        reject(keeper, engine, nights=2)

        gentler = sleep(keeper, no_progress).report.gentler

        found = gentler and (gentler.max_share_of_wake, gentler.rank)
        assert found == plan

    def test_what_it_does_not_name_stays_as_set(self):
        settings = Settings(sleep={"svd": {"rank": 20}})

        shared = soften(settings, Gentler(2, max_share_of_wake=1.0, rank=None)).sleep
        ranked = soften(settings, Gentler(2, max_share_of_wake=None, rank=24)).sleep

        assert (shared.rem.max_share_of_wake, shared.svd.rank) == (1.0, 20)
        assert (ranked.rem.max_share_of_wake, ranked.svd.rank) == (0.5, 24)


class TestFailure:
    @pytest.mark.parametrize("kind", ["wake", "sleep"])
    def test_a_stop_gives_everything_back_and_says_so(self, keeper, feed, engine, kind):
        feed("a")
        if kind == "sleep":
            wake(keeper, no_progress)
        before = (aliases(keeper), counts(keeper))
        engine.instead = interrupt

        with pytest.raises(Interrupted, match=r"was stopped: v0 is still live"):
            {"wake": wake, "sleep": sleep}[kind](keeper, no_progress)

        assert (aliases(keeper), counts(keeper)) == before

    def test_a_failure_is_recorded_with_its_reason(self, keeper, feed, engine):
        feed("a")
        engine.instead = fail

        with pytest.raises(RunError, match="no memory left"):
            wake(keeper, no_progress)

        with keeper.store.read() as session:
            [run] = run_table.list_runs(session, 10)
            last = journal.entries(session, 1)[0]
        assert run.state is RunState.FAILED
        assert run.error == "no memory left"
        assert (last.actor, last.action) == ("test", "run failed")
        assert counts(keeper).pending == 1

    def test_a_stop_after_the_commit_undoes_nothing(self, keeper, feed, engine):
        """
        The transaction is the commit point: what is recorded stays recorded.
        """
        feed("a")
        wake(keeper, no_progress)

        from sleepcycle.runs.run import undo

        assert undo(keeper, 1, RunState.CANCELLED, "late") == 0
        assert counts(keeper).known == 1


class TestPause:
    """A wake that was broken off at a checkpoint goes on with the next."""

    @pytest.fixture
    def paused(self, keeper, feed, engine):
        """A home whose wake was paused; what computes next is the usual engine."""
        feed("a", "b")
        engine.instead = pause
        with pytest.raises(
            Paused,
            match=r"^run 1 was paused at step 120 of 400; it goes on with the next",
        ):
            wake(keeper, no_progress)
        engine.instead = None

    @pytest.mark.usefixtures("paused")
    def test_its_examples_stay_claimed(self, keeper):
        with keeper.store.read() as session:
            [run] = run_table.list_runs(session, 10)
            last = journal.entries(session, 1)[0]

        assert run.state is RunState.PAUSED
        assert (counts(keeper).pending, counts(keeper).claimed) == (0, 2)
        assert (last.action, last.details["step"]) == ("pause wake", 120)

    @pytest.mark.usefixtures("paused")
    def test_the_next_wake_goes_on_under_its_number(self, keeper, feed, engine):
        """
        With what it was given, and what was fed meanwhile waits.
        """
        feed("c")

        outcome = wake(keeper, no_progress)

        assert (outcome.run, outcome.examples) == (1, 2)
        given = [folder.read_examples(Material.NEW) for folder in engine.orders]
        assert given[1] == given[0]
        assert engine.orders[1].reached() == (120, 400)
        assert (counts(keeper).pending, counts(keeper).known) == (1, 2)
        assert read_card(keeper.paths.versions / outcome.version.folder).batches == {
            1: 2
        }
        with keeper.store.read() as session:
            assert run_table.get(session, 1).state is RunState.DONE
            actions = [entry.action for entry in journal.entries(session, 2)]
        assert actions == ["seal wake", "resume wake"]

    @pytest.mark.usefixtures("paused")
    def test_nothing_of_it_is_left_afterwards(self, keeper):
        wake(keeper, no_progress)

        folder = RunFolder(keeper.paths.run(1))
        assert not folder.checkpoints.exists()
        assert not folder.is_given()

    @pytest.mark.usefixtures("paused")
    def test_what_its_worker_left_half_done_is_not_taken(self, keeper, engine):
        folder = RunFolder(keeper.paths.run(1))
        folder.write_report(WAKE_REPORT)
        (folder.result / "half").touch()

        wake(keeper, no_progress)

        assert not (engine.orders[1].path / "report.json").exists()
        assert not (engine.orders[1].result / "half").exists()

    @pytest.mark.usefixtures("paused")
    def test_it_may_be_paused_again(self, keeper, engine):
        def later(run):
            leave_checkpoint(run, step=240)
            raise Paused("paused at a checkpoint")

        engine.instead = later

        with pytest.raises(Paused, match="run 1 was paused at step 240 of 400"):
            wake(keeper, no_progress)

    @pytest.mark.usefixtures("paused")
    def test_a_night_leaves_it(self, keeper):
        with pytest.raises(RunError, match="nothing to consolidate"):
            sleep(keeper, no_progress)

        assert wake(keeper, no_progress).run == 1

    def test_after_a_night_that_moved_live_it_is_undone(self, keeper, feed, engine):
        """
        It stood on what is live no more; the next wake learns its examples anew.
        """
        feed("a")
        wake(keeper, no_progress)
        feed("b")
        engine.instead = pause
        with pytest.raises(Paused, match="run 2 was paused"):
            wake(keeper, no_progress)
        engine.instead = None
        sleep(keeper, no_progress)

        outcome = wake(keeper, no_progress)

        assert (outcome.run, outcome.examples) == (4, 1)
        with keeper.store.read() as session:
            undone = run_table.get(session, 2)
        assert undone.state is RunState.CANCELLED
        assert "live or the open day is another version now" in undone.error
        assert not RunFolder(keeper.paths.run(2)).is_given()

    def test_after_a_rejected_night_it_goes_on(self, keeper, feed, engine):
        feed("a")
        wake(keeper, no_progress)
        feed("b")
        engine.instead = pause
        with pytest.raises(Paused, match="run 2 was paused"):
            wake(keeper, no_progress)
        engine.instead = None
        reject(keeper, engine, nights=1)

        assert wake(keeper, no_progress).run == 2

    @pytest.mark.usefixtures("paused")
    @pytest.mark.parametrize(
        ("section", "change"),
        [
            ("wake", {"lr": 1e-3}),
            ("model", {"max_length": 64}),
            ("engine", {"device": "cpu"}),
        ],
    )
    def test_with_other_settings_it_begins_anew(self, keeper, section, change):
        changed = with_settings(keeper, section, change)

        outcome = wake(changed, no_progress)

        [name] = change
        assert (outcome.run, outcome.examples) == (2, 2)
        with keeper.store.read() as session:
            assert (
                f"other settings now: {section}.{name}"
                in run_table.get(session, 1).error
            )

    @pytest.mark.usefixtures("paused")
    @pytest.mark.parametrize(
        ("section", "change"),
        [
            ("wake", {"window": "08:00-09:00", "checkpoint_every": 5}),
            ("sleep", {"at": "04:00"}),
            ("engine", {"heartbeat_timeout_s": 7.0}),
            ("log", {"level": "DEBUG"}),
            ("serve", {"port": 8000}),
            ("feed", {"held_out_share": 0.1}),
        ],
    )
    def test_with_settings_that_do_not_matter_it_goes_on(self, keeper, section, change):
        changed = with_settings(keeper, section, change)

        assert wake(changed, no_progress).run == 1

    @pytest.mark.usefixtures("paused")
    def test_it_can_be_cancelled(self, keeper):
        assert cancel(keeper, 1) == 2

        with keeper.store.read() as session:
            run = run_table.get(session, 1)
        assert (run.state, run.error) == (RunState.CANCELLED, "cancelled by the user")
        assert counts(keeper).pending == 2
        assert not RunFolder(keeper.paths.run(1)).checkpoints.exists()

    def test_only_a_paused_run_can(self, keeper, feed):
        feed("a")
        wake(keeper, no_progress)

        with pytest.raises(RunError, match=r"expected run 1 to be paused, got .* done"):
            cancel(keeper, 1)
        with pytest.raises(NotFoundError, match="no run 9"):
            cancel(keeper, 9)

    @pytest.mark.usefixtures("paused")
    @pytest.mark.parametrize("damage", ["", "{", '{"run": 1}'])
    def test_a_damaged_order_is_no_trap(self, keeper, damage):
        (keeper.paths.run(1) / "run.json").write_text(damage)

        assert wake(keeper, no_progress).run == 2

    @pytest.mark.usefixtures("paused")
    def test_a_folder_of_another_run_is_not_taken(self, keeper):
        """
        As after an older database was put back, whose run 1 held other examples.
        """
        folder = RunFolder(keeper.paths.run(1))
        folder.write_examples(Material.NEW, folder.read_examples(Material.NEW)[:1])

        outcome = wake(keeper, no_progress)

        assert (outcome.run, outcome.examples) == (2, 2)

    def test_the_engine_is_handed_the_reins(self, keeper, feed, engine):
        held = []
        usual = engine.execute
        engine.execute = lambda run, told, reins: (
            held.append(reins),
            usual(run, told, reins),
        )
        feed("a")
        reins = Reins()
        wake(keeper, no_progress, reins)
        sleep(keeper, no_progress, reins)

        assert held == [reins, reins]


class TestLostWorker:
    def test_the_run_goes_on_with_the_next_wake(self, keeper, feed, engine):
        feed("a")
        engine.instead = lose_worker

        with pytest.raises(
            RunError, match=r"ended by SIGKILL; run 1 was paused at step 120 of 400; "
        ):
            wake(keeper, no_progress)

        engine.instead = None
        assert wake(keeper, no_progress).run == 1

    def test_the_third_time_it_is_undone(self, keeper, feed, engine):
        feed("a")
        engine.instead = lose_worker
        for _ in range(2):
            with pytest.raises(RunError, match="run 1 was paused"):
                wake(keeper, no_progress)

        with pytest.raises(RunError, match=r"ended by SIGKILL$"):
            wake(keeper, no_progress)

        with keeper.store.read() as session:
            assert run_table.get(session, 1).state is RunState.FAILED
        assert counts(keeper).pending == 1

    def test_without_a_checkpoint_it_is_undone(self, keeper, feed, engine):
        def lose_early(run):
            raise RunError("the worker was ended by SIGKILL")

        feed("a")
        engine.instead = lose_early

        with pytest.raises(RunError, match=r"SIGKILL$"):
            wake(keeper, no_progress)

        assert counts(keeper).pending == 1

    def test_what_would_come_again_is_undone(self, keeper, feed, engine):
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
            wake(keeper, no_progress)

        assert counts(keeper).pending == 1
        assert not RunFolder(keeper.paths.run(1)).checkpoints.exists()

    def test_a_full_disk_may_have_room_later(self, keeper, feed, engine):
        def fill(run):
            leave_checkpoint(run)
            run.write_fault(Fault("DiskError", "no space left", errno.ENOSPC))
            full = DiskError("no space left")
            full.errno = errno.ENOSPC
            raise full

        feed("a")
        engine.instead = fill

        with pytest.raises(DiskError, match="no space left; run 1 was paused") as full:
            wake(keeper, no_progress)

        assert full.value.errno == errno.ENOSPC
        engine.instead = None
        assert wake(keeper, no_progress).run == 1


class TestAfterTheSeal:
    def test_a_busy_database_costs_no_work(self, keeper, feed, engine):
        """
        The run stays open with its sealed version, and recovery records it.
        """
        keeper = replace(
            keeper, store=Store(keeper.paths, StoreSettings(busy_timeout_s=0.05))
        )
        feed("a", "b")
        with closing(connect(keeper.paths, timeout_s=1)) as other:
            compute = engine.execute
            engine.instead = lambda run: (
                other.execute("BEGIN IMMEDIATE"),
                setattr(engine, "instead", None),
                compute(run, no_progress, Reins()),
            )

            with pytest.raises(
                RunError, match=r"is locked; .* run 1 has sealed v0001-.* next wake"
            ):
                wake(keeper, no_progress)

        recover(keeper)
        assert aliases(keeper) == {"day": 1, "live": 0}
        assert (counts(keeper).pending, counts(keeper).known) == (0, 2)

    def test_a_stop_before_the_commit_keeps_the_work(self, keeper, feed):
        stopped = replace(keeper, store=StoppedStore(keeper.paths, after_commit=False))
        feed("a")

        with pytest.raises(
            Interrupted, match=r"stopped: v0 is still live; run 1 has sealed v0001-"
        ):
            wake(stopped, no_progress)

        recover(keeper)
        assert aliases(keeper) == {"day": 1, "live": 0}

    def test_a_stop_just_after_the_commit_says_what_is_live(self, keeper, feed):
        feed("a")
        wake(keeper, no_progress)
        stopped = replace(keeper, store=StoppedStore(keeper.paths, after_commit=True))

        with pytest.raises(
            Interrupted, match="run 2 was done before it could be stopped: v2 is live"
        ):
            sleep(stopped, no_progress)

        assert aliases(keeper) == {"live": 2, "previous": 0}


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


def with_wake(keeper, **changes):
    """Return a keeper with other settings of its wakes."""
    wakes = keeper.settings.wake.model_copy(update=changes)
    settings = keeper.settings.model_copy(update={"wake": wakes})
    return replace(keeper, settings=settings)


def with_settings(keeper, section, changes):
    """Return a keeper with other settings in one section."""
    values = getattr(keeper.settings, section).model_copy(update=changes)
    settings = keeper.settings.model_copy(update={section: values})
    return replace(keeper, settings=settings)


def with_rem(keeper, **changes):
    """Return a keeper with other settings of its nights' REM."""
    rem = keeper.settings.sleep.rem.model_copy(update=changes)
    nights = keeper.settings.sleep.model_copy(update={"rem": rem})
    settings = keeper.settings.model_copy(update={"sleep": nights})
    return replace(keeper, settings=settings)


def reject(keeper, engine, nights):
    """Live through nights that the gate rejects."""
    engine.accepts = False
    for _ in range(nights):
        sleep(keeper, no_progress)
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


def test_the_ground_of_a_new_home_is_the_bare_base(keeper):
    with keeper.store.read() as session:
        ground = stand(session)

    assert (ground.live.number, ground.day, ground.known) == (0, None, {})
