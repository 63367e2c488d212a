"""Examples that a base cannot learn: set aside by reason, and never in the way."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sleepcycle.errors import Paused, RunError, UnlearnableError
from sleepcycle.files.runfolder import ExampleFile, Fault, RunFolder
from sleepcycle.records.example import SetAside
from sleepcycle.records.reports import WakeReport
from sleepcycle.records.run_order import RunState
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.runs.publish import card_of, read_card, seal_version
from sleepcycle.runs.recovery import recover
from sleepcycle.runs.resume import cancel
from sleepcycle.runs.run import wake
from sleepcycle.settings.config import Settings, WakeSettings
from sleepcycle.store import example_table, run_table
from tests.counting import count_examples
from tests.runs.conftest import BASE, WAKE_REPORT, pause


class KilledHere(BaseException):
    """Stands for SIGKILL: no handler of ours answers it."""


def no_progress(progress):
    """Take a heartbeat."""


def faults(run, words="x"):
    """Return those of a run's new examples that begin with a word, as set aside."""
    given = run.read_examples(ExampleFile.NEW)
    bad = tuple(one.id for one in given if one.content.text.startswith(words))
    return (SetAside("E_TOO_LONG", "too long", bad),)


def leave_result(run):
    """Learn all but what begins with x, as a worker does."""
    (run.result / "adapter_model.safetensors").write_bytes(b"weights")
    (run.result / "adapter_config.json").write_text(json.dumps({"r": 16}))
    run.write_base(BASE)
    run.write_report(replace(WAKE_REPORT, set_aside=faults(run)))


def find_nothing(run):
    """Set all aside, and give up."""
    error = UnlearnableError("none of them can be learned", faults(run, ""))
    run.write_fault(Fault.of(error))
    raise error


def seal_by_hand(context, run):
    """Seal what a worker left, as a run does before it is recorded."""
    folder = RunFolder(context.paths.run(run))
    now = datetime.now(UTC)
    version = Version(1, VersionKind.WAKE, None, (0,), 16, True, now, run)
    report = folder.read_report(WakeReport)
    card = replace(card_of(version, BASE), batches={1: 1}, report=report)
    seal_version(context.paths, folder.result, card)


def counts(context):
    """Return where all examples are, each in one place."""
    with context.store.read() as session:
        found = count_examples(session)
    places = found.held_out + found.pending + found.claimed
    assert places + found.known + found.excluded == found.accepted
    return found


def aside(context):
    """Return the text and the reason of what is set aside."""
    with context.store.read() as session:
        rows = list(example_table.set_aside_rows(session))
    return [(json.loads(row.raw)["text"], row.code, row.message) for row in rows]


def given_texts(folder):
    """Return what a run was given to learn."""
    return [one.content.text for one in folder.read_examples(ExampleFile.NEW)]


class TestSomeOfThem:
    def test_the_others_are_learned(self, context, feed, engine):
        feed("a", "x long", "b", "h", held_out=1)
        engine.instead = leave_result

        outcome = wake(context, no_progress)

        found = counts(context)
        assert (found.known, found.excluded, found.set_aside) == (2, 1, 1)
        assert (found.pending, found.claimed) == (0, 0)
        assert outcome.examples == 2
        assert aside(context) == [("x long", "E_TOO_LONG", "too long")]

    def test_the_card_counts_what_was_learned_alone(self, context, feed, engine):
        feed("a", "x long")
        feed("x longer", "b", "c")
        engine.instead = leave_result

        outcome = wake(context, no_progress)

        card = read_card(context.paths.versions / outcome.version.folder)
        assert card.batches == {1: 1, 2: 2}

    def test_the_next_wake_is_not_given_them(self, context, feed, engine):
        feed("a", "x long")
        engine.instead = leave_result
        wake(context, no_progress)
        feed("b")

        wake(context, no_progress)

        assert given_texts(engine.orders[1]) == ["b"]

    def test_a_wake_killed_after_its_seal_is_recorded_with_them(
        self, context, feed, engine
    ):
        def die(run):
            leave_result(run)
            raise KilledHere("when all was computed")

        feed("a", "x long")
        engine.instead = die
        with pytest.raises(KilledHere, match="all was computed"):
            wake(context, no_progress)
        seal_by_hand(context, 1)

        recover(context)

        found = counts(context)
        assert (found.known, found.excluded, found.claimed) == (1, 1, 0)
        assert aside(context) == [("x long", "E_TOO_LONG", "too long")]


class TestAllOfThem:
    def test_none_is_pending_again(self, context, feed, engine):
        feed("x", "y")
        engine.instead = find_nothing

        with pytest.raises(UnlearnableError, match="none of them can be learned"):
            wake(context, no_progress)

        found = counts(context)
        assert (found.pending, found.claimed) == (0, 0)
        assert (found.excluded, found.set_aside) == (2, 2)
        assert [one[0] for one in aside(context)] == ["x", "y"]

    def test_the_next_wake_takes_others(self, context, feed, engine):
        feed("x", "y", "a")
        settings = Settings(wake=WakeSettings(max_examples=2))
        context = replace(context, settings=settings)
        engine.instead = find_nothing
        with pytest.raises(UnlearnableError, match="none"):
            wake(context, no_progress)
        engine.instead = leave_result

        assert wake(context, no_progress).examples == 1

        assert given_texts(engine.orders[1]) == ["a"]

    def test_then_nothing_is_pending(self, context, feed, engine):
        feed("x")
        engine.instead = find_nothing
        with pytest.raises(UnlearnableError, match="none"):
            wake(context, no_progress)

        with pytest.raises(RunError, match="no example is pending"):
            wake(context, no_progress)

    def test_a_kill_before_that_is_written_down_is_settled_by_recovery(
        self, context, feed, engine
    ):
        def die(run):
            try:
                find_nothing(run)
            except UnlearnableError as error:
                raise KilledHere("when it gave up") from error

        feed("x", "y")
        engine.instead = die
        with pytest.raises(KilledHere, match="gave up"):
            wake(context, no_progress)

        recover(context)

        found = counts(context)
        assert (found.pending, found.excluded, found.set_aside) == (0, 2, 2)


class TestPaused:
    def test_cancelled_it_sets_nothing_aside(self, context, feed, engine):
        """
        What a worker found out before the pause is found out again.
        """
        feed("a", "x long")
        engine.instead = pause
        with pytest.raises(Paused, match="paused"):
            wake(context, no_progress)
        assert counts(context).claimed == 2

        assert cancel(context, 1) == 2

        found = counts(context)
        assert (found.pending, found.excluded, found.set_aside) == (2, 0, 0)
        with context.store.read() as session:
            assert run_table.get(session, 1).state is RunState.CANCELLED

    def test_gone_on_with_it_sets_them_aside(self, context, feed, engine):
        feed("a", "x long")
        engine.instead = pause
        with pytest.raises(Paused, match="paused"):
            wake(context, no_progress)
        engine.instead = leave_result

        assert wake(context, no_progress).examples == 1

        found = counts(context)
        assert (found.known, found.excluded, found.set_aside) == (1, 1, 1)


class TestQueuedAgain:
    @pytest.fixture
    def queued(self, context, feed, engine):
        """A batch of which one was set aside, and that is pending again."""
        feed("a", "x long")
        engine.instead = leave_result
        wake(context, no_progress)
        with context.store.write() as session:
            assert example_table.requeue_batch(session, 1) == 1

    @pytest.mark.usefixtures("queued")
    def test_nothing_is_set_aside_any_more(self, context):
        found = counts(context)
        assert (found.pending, found.excluded, found.set_aside) == (1, 0, 0)
        assert aside(context) == []

    @pytest.mark.usefixtures("queued")
    def test_it_may_fail_again(self, context, engine):
        engine.instead = find_nothing

        with pytest.raises(UnlearnableError, match="none"):
            wake(context, no_progress)

        assert [one[0] for one in aside(context)] == ["x long"]
        assert counts(context).excluded == 1

    @pytest.mark.usefixtures("queued")
    def test_or_be_learned(self, context, engine):
        engine.instead = None

        assert wake(context, no_progress).examples == 1

        assert counts(context).known == 2
