"""Wakes under a curriculum: what each claims, how it learns, what it waits for."""

from dataclasses import replace

import pytest

from sleepcycle.errors import ConfigError, Paused, RunError
from sleepcycle.files.runfolder import ExampleFile
from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.records.example import FeedReport
from sleepcycle.records.overrides import PhasePlan
from sleepcycle.records.run_order import RunState
from sleepcycle.runs.context import RunContext
from sleepcycle.runs.phases import TRIES, find_barrier, find_curriculum, with_phase
from sleepcycle.runs.publish import read_card
from sleepcycle.runs.run import sleep, wake
from sleepcycle.settings.config import Settings
from sleepcycle.store import (
    batch_table,
    example_table,
    journal,
    run_table,
    version_table,
)
from sleepcycle.store.snapshot import read_snapshot
from sleepcycle.store.values import ExampleState
from tests.counting import count_examples
from tests.journaled import journal_entries
from tests.runs.conftest import pause

COURSE = """
name = "course"

[[phases]]
name = "first"
epochs = 2
lr = 2e-4

[[phases]]
name = "second"
source = "estimates"
epochs = 5
lr_scale = 0.5

[[phases]]
name = "third"
"""
SECOND_WAITS = COURSE.replace("lr_scale = 0.5", "lr_scale = 0.5\nconsolidate = true")
BOTH_WAIT = SECOND_WAITS.replace('"third"', '"third"\nconsolidate = true')


def no_progress(progress):
    """Take a heartbeat."""


@pytest.fixture
def context(context):
    """A context whose curriculum is `course.toml`, where no phase waits."""
    return under(context, COURSE)


def under(context: RunContext, course: str, **wake_settings) -> RunContext:
    """Return a context under a curriculum."""
    (context.paths.root / "course.toml").write_text(course)
    return with_settings(context, curriculum="course.toml", **wake_settings)


def with_settings(context, **values):
    """Return a context whose wakes are set otherwise."""
    own = context.settings.wake.model_copy(update=values)
    settings = context.settings.model_copy(update={"wake": own})
    return replace(context, settings=settings)


def feed(context, source, *texts):
    """Put texts into the books as one batch from a source."""
    lines = [canonical_json(Text(text)) for text in texts]
    rows = [(content_hash(line), line, None, None) for line in lines]
    with context.store.write() as session:
        batch = batch_table.add(session, source, "text", 0.05)
        example_table.add(session, batch, ExampleState.PENDING, rows)
        batch_table.close(
            session, batch, FeedReport(batch, len(rows), len(rows), *[0] * 3, {})
        )
    return batch


def learned(engine, place=-1):
    """Return the texts that a run was given to learn."""
    given = engine.orders[place].read_examples(ExampleFile.NEW)
    return [example.content.text for example in given]


def wake_settings(engine, place=-1):
    """Return how a run was told to learn: epochs, rate and scale."""
    own = engine.orders[place].read_order().settings["wake"]
    return own["epochs"], own["lr"], own["lr_scale"]


def pending(context):
    with context.store.read() as session:
        return count_examples(session).pending


def rejected(context, engine):
    """Live through a night that the gate rejects."""
    engine.accepts = False
    assert not sleep(context, no_progress).version.accepted
    engine.accepts = True


class TestWhatAWakeClaims:
    def test_phases_come_in_the_order_of_the_curriculum_and_the_rest_last(
        self, context, engine
    ):
        """
        Whatever the order in which they were fed.
        """
        feed(context, "elsewhere.jsonl", "other")
        feed(context, "third", "c")
        feed(context, "estimates", "b1")
        feed(context, "first", "a")
        feed(context, "estimates", "b2")

        outcomes = [wake(context, no_progress) for _ in range(4)]

        assert [learned(engine, run) for run in range(4)] == [
            ["a"],
            ["b1", "b2"],
            ["c"],
            ["other"],
        ]
        assert [outcome.examples for outcome in outcomes] == [1, 2, 1, 1]
        with pytest.raises(RunError, match="nothing to learn: no example is pending"):
            wake(context, no_progress)

    def test_a_phase_that_is_fed_again_comes_first_again(self, context, engine):
        for source, text in (("first", "a"), ("third", "c"), ("first", "again")):
            feed(context, source, text)
            wake(context, no_progress)
        feed(context, "third", "more")
        feed(context, "first", "once more")

        wake(context, no_progress)

        assert learned(engine) == ["once more"]

    def test_a_phase_whose_source_has_another_name_is_fed_by_that(
        self, context, engine
    ):
        feed(context, "second", "is the name, and no source")
        feed(context, "estimates", "b")

        wake(context, no_progress)

        assert learned(engine) == ["b"]

    def test_a_phase_goes_on_where_a_wake_claims_only_so_much(self, context, engine):
        context = with_settings(context, max_examples=2)
        feed(context, "third", "c")
        feed(context, "first", "a1", "a2", "a3")

        for _ in range(3):
            wake(context, no_progress)

        assert [len(learned(engine, run)) for run in range(3)] == [2, 1, 1]
        assert learned(engine) == ["c"]

    def test_a_failed_wake_gives_back_its_phase_alone(self, context, engine):
        def fail(run):
            raise RunError("no")

        engine.instead = fail
        feed(context, "first", "a")
        feed(context, "third", "c")

        with pytest.raises(RunError, match="no"):
            wake(context, no_progress)

        assert pending(context) == 2

    def test_without_a_curriculum_all_is_learned_at_once(self, context, engine):
        context = with_settings(context, curriculum="")
        feed(context, "third", "c")
        feed(context, "first", "a")

        wake(context, no_progress)

        assert learned(engine) == ["c", "a"]
        assert engine.orders[0].read_order().phase is None


class TestHowItLearns:
    def test_the_order_has_the_epochs_and_rates_of_the_phase(self, context, engine):
        context = with_settings(context, epochs=7.0, lr=1e-3, lr_scale=0.1)
        for source in ("first", "estimates", "third", "elsewhere"):
            feed(context, source, source)

        for _ in range(4):
            wake(context, no_progress)

        assert wake_settings(engine, 0) == (2.0, 2e-4, 1.0)
        assert wake_settings(engine, 1) == (5.0, 1e-3, pytest.approx(0.05))
        assert wake_settings(engine, 2) == (3.0, 1e-3, 0.1)
        assert wake_settings(engine, 3) == (7.0, 1e-3, 0.1)

    def test_auto_stays_auto_and_is_scaled(self, context, engine):
        feed(context, "estimates", "b")

        wake(context, no_progress)

        assert wake_settings(engine) == (5.0, "auto", 0.5)

    def test_more_epochs_of_a_phase_replay_more(self, context, engine):
        """
        How much is shown again follows from how long the phase's wake is.
        """
        context = with_settings(context, min_steps=1, batch_size=2)
        feed(context, "first", *(f"a{i}" for i in range(40)))
        wake(context, no_progress)
        feed(context, "estimates", "b1", "b2", "b3", "b4")

        wake(context, no_progress)

        assert len(engine.orders[1].read_examples(ExampleFile.REPLAY)) == 20

    def test_a_night_is_set_as_ever(self, context, engine):
        feed(context, "first", "a")
        wake(context, no_progress)

        sleep(context, no_progress)

        assert wake_settings(engine) == (3.0, "auto", 1.0)

    def test_a_version_says_how_it_was_taught(self, context):
        feed(context, "estimates", "b")

        outcome = wake(context, no_progress)

        card = read_card(context.paths.versions / outcome.version.folder)
        plan = PhasePlan("course", "second", "estimates", 5.0, None, 0.5)
        assert outcome.report.phase == card.report.phase == plan
        assert card.settings["wake"]["epochs"] == 5.0

    def test_the_journal_and_the_status_name_the_phase(self, context):
        feed(context, "first", "a")
        feed(context, "elsewhere", "b")
        wake(context, no_progress)
        during = read_snapshot(context.paths).phase
        sleep(context, no_progress)
        after = read_snapshot(context.paths).phase
        wake(context, no_progress)

        assert (during, after, read_snapshot(context.paths).phase) == (
            "first",
            None,
            None,
        )
        with context.store.read() as session:
            entries = journal_entries(session, 100)
            phases = [journal.phase_of(session, run) for run in (1, 2, 3, 99)]
        assert phases == ["first", None, None, None]
        started = [e.details for e in reversed(entries) if e.action == "start wake"]
        assert started == [
            {"run": 1, "curriculum": "course", "phase": "first"},
            {"run": 3},
        ]

    def test_a_journal_that_is_no_json_names_no_phase(self, context):
        feed(context, "first", "a")
        wake(context, no_progress)
        with context.store.write() as session:
            connection = session.connection()
            connection.exec_driver_sql("DROP TRIGGER journal_no_update")
            connection.exec_driver_sql("UPDATE journal SET details = '{'")

        assert read_snapshot(context.paths).phase is None


class TestConsolidation:
    @pytest.fixture
    def context(self, context):
        """A context whose second phase waits for a night."""
        return under(context, SECOND_WAITS)

    def test_a_phase_waits_for_a_night_over_what_came_before(self, context, engine):
        feed(context, "first", "a")
        wake(context, no_progress)
        feed(context, "estimates", "b")

        with pytest.raises(
            RunError,
            match=r'^expected a night before the phase "second", got an open day with '
            r"what was learned before; run one: sleepcycle sleep$",
        ):
            wake(context, no_progress)

        assert pending(context) == 1
        with context.store.read() as session:
            assert len(run_table.list_runs(session, 10)) == 1
        sleep(context, no_progress)
        assert wake(context, no_progress).examples == 1
        assert learned(engine) == ["b"]

    def test_what_is_of_no_phase_comes_before_it_too(self, context):
        feed(context, "elsewhere", "other")
        wake(context, no_progress)
        feed(context, "estimates", "b")

        with pytest.raises(RunError, match='before the phase "second"'):
            wake(context, no_progress)

    @pytest.mark.parametrize("source", ["estimates", "third"])
    def test_its_own_and_later_phases_do_not(self, context, source, engine):
        feed(context, source, "learned today")
        wake(context, no_progress)
        feed(context, "estimates", "b")

        wake(context, no_progress)

        assert learned(engine) == ["b"]

    def test_nor_does_what_live_knows(self, context):
        feed(context, "first", "a")
        wake(context, no_progress)
        sleep(context, no_progress)
        feed(context, "estimates", "b")
        wake(context, no_progress)
        feed(context, "estimates", "more")

        assert wake(context, no_progress).examples == 1

    def test_an_earlier_phase_is_learned_while_a_later_waits(self, context, engine):
        feed(context, "first", "a")
        wake(context, no_progress)
        feed(context, "estimates", "b")
        feed(context, "first", "more")

        wake(context, no_progress)

        assert learned(engine) == ["more"]

    def test_after_rejected_nights_it_is_learned_all_the_same(self, context, engine):
        feed(context, "first", "a")
        wake(context, no_progress)
        feed(context, "estimates", "b")
        rejected(context, engine)
        with pytest.raises(
            RunError,
            match=r'before the phase "second", got 1 of 2 that may be rejected; run '
            r"one: sleepcycle sleep$",
        ):
            wake(context, no_progress)
        rejected(context, engine)

        wake(context, no_progress)

        assert learned(engine) == ["b"]

    def test_once_begun_it_goes_on_without_more_nights(self, context, engine):
        """
        Its own wakes change the day that the rejected nights folded.
        """
        feed(context, "first", "a")
        wake(context, no_progress)
        rejected(context, engine)
        rejected(context, engine)
        feed(context, "estimates", "b")
        wake(context, no_progress)
        feed(context, "estimates", "more")

        wake(context, no_progress)

        assert learned(engine) == ["more"]

    def test_more_of_an_earlier_phase_asks_for_a_night_again(self, context, engine):
        feed(context, "first", "a")
        wake(context, no_progress)
        rejected(context, engine)
        rejected(context, engine)
        feed(context, "first", "more")
        wake(context, no_progress)
        feed(context, "estimates", "b")

        with pytest.raises(RunError, match="got an open day with what was learned"):
            wake(context, no_progress)

    def test_each_phase_asks_for_nights_of_its_own(self, context, engine):
        context = under(context, BOTH_WAIT)
        feed(context, "first", "a")
        wake(context, no_progress)
        rejected(context, engine)
        rejected(context, engine)
        feed(context, "estimates", "b")
        wake(context, no_progress)
        feed(context, "third", "c")

        with pytest.raises(RunError, match='before the phase "third", got an open day'):
            wake(context, no_progress)

    def test_a_night_may_always_come(self, context, engine):
        """
        More rejected nights than are waited for leave no barrier.
        """
        feed(context, "first", "a")
        wake(context, no_progress)
        for _ in range(TRIES + 1):
            rejected(context, engine)
        feed(context, "estimates", "b")
        course = find_curriculum(context.paths, context.settings.wake)

        with context.store.read() as session:
            assert find_barrier(session, course) is None

    def test_nothing_pending_waits_for_nothing(self, context):
        feed(context, "first", "a")
        wake(context, no_progress)

        with pytest.raises(RunError, match="nothing to learn"):
            wake(context, no_progress)


class TestPausedWakes:
    @pytest.fixture
    def broken_off(self, context, engine):
        """A context whose wake of the second phase was broken off."""
        engine.instead = pause
        feed(context, "estimates", "b")
        with pytest.raises(Paused, match="run 1 was paused"):
            wake(context, no_progress)
        engine.instead = None
        feed(context, "first", "a")
        return context

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda context: context,
            lambda context: with_settings(context, curriculum=""),
            lambda context: under(context, COURSE.replace("epochs = 5", "epochs = 9")),
            lambda context: under(context, "no TOML"),
            lambda context: with_settings(context, epochs=9.0),
        ],
        ids=["same", "no curriculum", "another", "broken", "epochs the phase sets"],
    )
    def test_it_goes_on_in_its_phase(self, broken_off, engine, spoil):
        """
        Though an earlier phase has come in, and whatever became of the curriculum.
        """
        context = spoil(broken_off)

        outcome = wake(context, no_progress)

        assert (outcome.run, learned(engine)) == (1, ["b"])
        assert wake_settings(engine) == (5.0, "auto", 0.5)
        assert outcome.report.phase.name == "second"
        assert pending(context) == 1

    def test_one_that_a_setting_changes_is_undone_and_the_first_phase_learned(
        self, broken_off, engine
    ):
        context = with_settings(broken_off, lr=1e-5)

        outcome = wake(context, no_progress)

        assert (outcome.run, learned(engine)) == (2, ["a"])
        with context.store.read() as session:
            undone = run_table.get(session, 1)
        assert undone.state is RunState.CANCELLED
        assert "other settings now: wake.lr" in undone.error

    def test_one_of_no_phase_goes_on_under_a_new_curriculum(self, context, engine):
        engine.instead = pause
        feed(context, "first", "a")
        plain = with_settings(context, curriculum="")
        with pytest.raises(Paused, match="run 1 was paused"):
            wake(plain, no_progress)
        engine.instead = None

        outcome = wake(context, no_progress)

        assert (outcome.run, outcome.report.phase) == (1, None)
        assert wake_settings(engine) == (3.0, "auto", 1.0)


class TestFindingIt:
    def test_none_is_the_default(self, context):
        assert find_curriculum(context.paths, Settings().wake) is None

    def test_one_may_be_built_in(self, context):
        own = with_settings(context, curriculum="four_phases").settings.wake

        assert find_curriculum(context.paths, own).curriculum.name == "four_phases"

    def test_one_may_lie_anywhere(self, context, tmp_path):
        file = tmp_path / "elsewhere.toml"
        file.write_text(COURSE)
        own = with_settings(context, curriculum=str(file)).settings.wake

        assert find_curriculum(context.paths, own).curriculum.name == "course"

    @pytest.mark.parametrize(
        ("name", "text", "match"),
        [
            ("gone.toml", None, r"expected a curriculum in .*gone\.toml.* four_phases"),
            ("four_phase", None, r"home.four_phase, got: No such file.* four_phases"),
            ("bad.toml", "name = ", r"bad\.toml: expected TOML, got"),
            ("bad.toml", 'name = "c"\nphases = []', "expected at least one phase"),
            ("bad.toml", COURSE + "epoch = 3", r"third.epoch.*did you mean .*epochs\?"),
            ("bad.toml", COURSE + "epochs = 0", "expected a number above 0, got 0"),
            ("a\0b", None, "null byte"),
            (".", None, "Is a directory"),
        ],
    )
    def test_one_that_is_missing_or_wrong_claims_nothing(
        self, context, name, text, match
    ):
        if text is not None:
            (context.paths.root / name).write_text(text)
        feed(context, "first", "a")

        with pytest.raises(ConfigError, match=match):
            wake(with_settings(context, curriculum=name), no_progress)

        assert pending(context) == 1
        with context.store.read() as session:
            assert run_table.list_runs(session, 10) == []

    def test_a_night_needs_none(self, context):
        feed(context, "first", "a")
        wake(context, no_progress)

        outcome = sleep(with_settings(context, curriculum="gone.toml"), no_progress)

        assert outcome.version.accepted

    def test_it_is_read_again_by_each_wake(self, context, engine):
        feed(context, "first", "a")
        feed(context, "third", "c")
        (context.paths.root / "course.toml").write_text(
            'name = "other"\n[[phases]]\nname = "third"\n'
        )

        wake(context, no_progress)

        assert learned(engine) == ["c"]


def test_settings_without_a_phase_are_left_as_they_are():
    settings = Settings()

    assert with_phase(settings, None) is settings


def test_sources_are_told_by_version(context):
    feed(context, "first", "a")
    feed(context, "estimates", "b")
    wake(context, no_progress)
    plain = with_settings(context, curriculum="")
    feed(context, "third", "c")
    wake(plain, no_progress)

    with context.store.read() as session:
        found = batch_table.sources_of(session, {1, 2, 99})
        line = version_table.ancestors(session, 2)

    assert found == {1: {"first"}, 2: {"estimates", "third"}}
    assert line == {0, 1, 2}
