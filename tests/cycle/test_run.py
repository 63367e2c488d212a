"""Wakes and nights on an engine that computes nothing: who learned what, and what
is live."""

import pytest

from sleepcycle.cycle.ground import stand
from sleepcycle.cycle.run import sleep, wake
from sleepcycle.errors import ConfigError, Interrupted, RunError
from sleepcycle.records import RunState, VersionKind
from sleepcycle.runfolder import Material
from sleepcycle.sealed import verify
from sleepcycle.store import examples, journal, runs, versions


def aliases(keeper):
    with keeper.store.read() as session:
        return versions.aliases(session)


def counts(keeper):
    with keeper.store.read() as session:
        return examples.counts(session)


def no_progress(progress):
    """Take a heartbeat."""


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
        feed(*"abcdefghij")
        wake(keeper, no_progress)
        sleep(keeper, no_progress)
        feed(*"klmnopqrst")

        wake(keeper, no_progress)

        replayed = engine.orders[2].read_examples(Material.REPLAY)
        assert {example.content.text for example in replayed} <= set("abcdefghij")
        assert len(replayed) == 4  # 10 new ones, 3 epochs, 1 in 10: 3.3, rounded up

    def test_with_nothing_pending_it_says_so_and_leaves_no_run(self, keeper):
        with pytest.raises(RunError, match="nothing to learn: no example is pending"):
            wake(keeper, no_progress)

        with keeper.store.read() as session:
            assert runs.list_runs(session, 10) == []

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

    def test_without_a_day_it_says_what_to_do(self, keeper):
        with pytest.raises(RunError, match=r"nothing to consolidate: .*feed examples"):
            sleep(keeper, no_progress)


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
            [run] = runs.list_runs(session, 10)
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

        from sleepcycle.cycle.run import undo

        assert undo(keeper, 1, RunState.CANCELLED, "late") == 0
        assert counts(keeper).known == 1


def interrupt(run):
    raise KeyboardInterrupt


def fail(run):
    raise RunError("no memory left")


def test_the_ground_of_a_new_home_is_the_bare_base(keeper):
    with keeper.store.read() as session:
        ground = stand(session)

    assert (ground.live.number, ground.day, ground.known) == (0, None, {})
