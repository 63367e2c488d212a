"""Wakes under a curriculum: what each claims, how it learns, what it waits for."""

from dataclasses import replace

import pytest

from sleepcycle.errors import ConfigError, Paused, RunError
from sleepcycle.files.runfolder import Material
from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.records.example import FeedReport
from sleepcycle.records.overrides import PhasePlan
from sleepcycle.records.run_order import RunState
from sleepcycle.runs.context import Keeper
from sleepcycle.runs.phases import TRIES, find_barrier, find_course, follow
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
def keeper(keeper):
    """A keeper whose curriculum is `course.toml`, where no phase waits."""
    return under(keeper, COURSE)


def under(keeper: Keeper, course: str, **wake_settings) -> Keeper:
    """Return a keeper under a curriculum."""
    (keeper.paths.root / "course.toml").write_text(course)
    return with_settings(keeper, curriculum="course.toml", **wake_settings)


def with_settings(keeper, **values):
    """Return a keeper whose wakes are set otherwise."""
    own = keeper.settings.wake.model_copy(update=values)
    settings = keeper.settings.model_copy(update={"wake": own})
    return replace(keeper, settings=settings)


def feed(keeper, source, *texts):
    """Put texts into the books as one batch from a source."""
    lines = [canonical_json(Text(text)) for text in texts]
    rows = [(content_hash(line), line) for line in lines]
    with keeper.store.write() as session:
        batch = batch_table.add(session, source, "text", 0.05)
        example_table.add(session, batch, ExampleState.PENDING, rows)
        batch_table.close(
            session, batch, FeedReport(batch, len(rows), len(rows), *[0] * 3, {})
        )
    return batch


def learned(engine, place=-1):
    """Return the texts that a run was given to learn."""
    given = engine.orders[place].read_examples(Material.NEW)
    return [example.content.text for example in given]


def wake_settings(engine, place=-1):
    """Return how a run was told to learn: epochs, rate and scale."""
    own = engine.orders[place].read_order().settings["wake"]
    return own["epochs"], own["lr"], own["lr_scale"]


def pending(keeper):
    with keeper.store.read() as session:
        return count_examples(session).pending


def rejected(keeper, engine):
    """Live through a night that the gate rejects."""
    engine.accepts = False
    assert not sleep(keeper, no_progress).version.accepted
    engine.accepts = True


class TestWhatAWakeClaims:
    def test_phases_come_in_the_order_of_the_curriculum_and_the_rest_last(
        self, keeper, engine
    ):
        """
        Whatever the order in which they were fed.
        """
        feed(keeper, "elsewhere.jsonl", "other")
        feed(keeper, "third", "c")
        feed(keeper, "estimates", "b1")
        feed(keeper, "first", "a")
        feed(keeper, "estimates", "b2")

        outcomes = [wake(keeper, no_progress) for _ in range(4)]

        assert [learned(engine, run) for run in range(4)] == [
            ["a"],
            ["b1", "b2"],
            ["c"],
            ["other"],
        ]
        assert [outcome.examples for outcome in outcomes] == [1, 2, 1, 1]
        with pytest.raises(RunError, match="nothing to learn: no example is pending"):
            wake(keeper, no_progress)

    def test_a_phase_that_is_fed_again_comes_first_again(self, keeper, engine):
        for source, text in (("first", "a"), ("third", "c"), ("first", "again")):
            feed(keeper, source, text)
            wake(keeper, no_progress)
        feed(keeper, "third", "more")
        feed(keeper, "first", "once more")

        wake(keeper, no_progress)

        assert learned(engine) == ["once more"]

    def test_a_phase_whose_source_has_another_name_is_fed_by_that(self, keeper, engine):
        feed(keeper, "second", "is the name, and no source")
        feed(keeper, "estimates", "b")

        wake(keeper, no_progress)

        assert learned(engine) == ["b"]

    def test_a_phase_goes_on_where_a_wake_claims_only_so_much(self, keeper, engine):
        keeper = with_settings(keeper, max_examples=2)
        feed(keeper, "third", "c")
        feed(keeper, "first", "a1", "a2", "a3")

        for _ in range(3):
            wake(keeper, no_progress)

        assert [len(learned(engine, run)) for run in range(3)] == [2, 1, 1]
        assert learned(engine) == ["c"]

    def test_a_failed_wake_gives_back_its_phase_alone(self, keeper, engine):
        def fail(run):
            raise RunError("no")

        engine.instead = fail
        feed(keeper, "first", "a")
        feed(keeper, "third", "c")

        with pytest.raises(RunError, match="no"):
            wake(keeper, no_progress)

        assert pending(keeper) == 2

    def test_without_a_curriculum_all_is_learned_at_once(self, keeper, engine):
        keeper = with_settings(keeper, curriculum="")
        feed(keeper, "third", "c")
        feed(keeper, "first", "a")

        wake(keeper, no_progress)

        assert learned(engine) == ["c", "a"]
        assert engine.orders[0].read_order().phase is None


class TestHowItLearns:
    def test_the_order_has_the_epochs_and_rates_of_the_phase(self, keeper, engine):
        keeper = with_settings(keeper, epochs=7.0, lr=1e-3, lr_scale=0.1)
        for source in ("first", "estimates", "third", "elsewhere"):
            feed(keeper, source, source)

        for _ in range(4):
            wake(keeper, no_progress)

        assert wake_settings(engine, 0) == (2.0, 2e-4, 1.0)
        assert wake_settings(engine, 1) == (5.0, 1e-3, pytest.approx(0.05))
        assert wake_settings(engine, 2) == (3.0, 1e-3, 0.1)
        assert wake_settings(engine, 3) == (7.0, 1e-3, 0.1)

    def test_auto_stays_auto_and_is_scaled(self, keeper, engine):
        feed(keeper, "estimates", "b")

        wake(keeper, no_progress)

        assert wake_settings(engine) == (5.0, "auto", 0.5)

    def test_more_epochs_of_a_phase_replay_more(self, keeper, engine):
        """
        How much is shown again follows from how long the phase's wake is.
        """
        keeper = with_settings(keeper, min_steps=1, batch_size=2)
        feed(keeper, "first", *(f"a{i}" for i in range(40)))
        wake(keeper, no_progress)
        feed(keeper, "estimates", "b1", "b2", "b3", "b4")

        wake(keeper, no_progress)

        assert len(engine.orders[1].read_examples(Material.REPLAY)) == 20

    def test_a_night_is_set_as_ever(self, keeper, engine):
        feed(keeper, "first", "a")
        wake(keeper, no_progress)

        sleep(keeper, no_progress)

        assert wake_settings(engine) == (3.0, "auto", 1.0)

    def test_a_version_says_how_it_was_taught(self, keeper):
        feed(keeper, "estimates", "b")

        outcome = wake(keeper, no_progress)

        card = read_card(keeper.paths.versions / outcome.version.folder)
        plan = PhasePlan("course", "second", "estimates", 5.0, None, 0.5)
        assert outcome.report.phase == card.report.phase == plan
        assert card.settings["wake"]["epochs"] == 5.0

    def test_the_journal_and_the_status_name_the_phase(self, keeper):
        feed(keeper, "first", "a")
        feed(keeper, "elsewhere", "b")
        wake(keeper, no_progress)
        during = read_snapshot(keeper.paths).phase
        sleep(keeper, no_progress)
        after = read_snapshot(keeper.paths).phase
        wake(keeper, no_progress)

        assert (during, after, read_snapshot(keeper.paths).phase) == (
            "first",
            None,
            None,
        )
        with keeper.store.read() as session:
            entries = journal.entries(session, 100)
            phases = [journal.phase_of(session, run) for run in (1, 2, 3, 99)]
        assert phases == ["first", None, None, None]
        started = [e.details for e in reversed(entries) if e.action == "start wake"]
        assert started == [
            {"run": 1, "curriculum": "course", "phase": "first"},
            {"run": 3},
        ]

    def test_a_journal_that_is_no_json_names_no_phase(self, keeper):
        feed(keeper, "first", "a")
        wake(keeper, no_progress)
        with keeper.store.write() as session:
            connection = session.connection()
            connection.exec_driver_sql("DROP TRIGGER journal_no_update")
            connection.exec_driver_sql("UPDATE journal SET details = '{'")

        assert read_snapshot(keeper.paths).phase is None


class TestConsolidation:
    @pytest.fixture
    def keeper(self, keeper):
        """A keeper whose second phase waits for a night."""
        return under(keeper, SECOND_WAITS)

    def test_a_phase_waits_for_a_night_over_what_came_before(self, keeper, engine):
        feed(keeper, "first", "a")
        wake(keeper, no_progress)
        feed(keeper, "estimates", "b")

        with pytest.raises(
            RunError,
            match=r'^expected a night before the phase "second", got an open day with '
            r"what was learned before; run one: sleepcycle sleep$",
        ):
            wake(keeper, no_progress)

        assert pending(keeper) == 1
        with keeper.store.read() as session:
            assert len(run_table.list_runs(session, 10)) == 1
        sleep(keeper, no_progress)
        assert wake(keeper, no_progress).examples == 1
        assert learned(engine) == ["b"]

    def test_what_is_of_no_phase_comes_before_it_too(self, keeper):
        feed(keeper, "elsewhere", "other")
        wake(keeper, no_progress)
        feed(keeper, "estimates", "b")

        with pytest.raises(RunError, match='before the phase "second"'):
            wake(keeper, no_progress)

    @pytest.mark.parametrize("source", ["estimates", "third"])
    def test_its_own_and_later_phases_do_not(self, keeper, source, engine):
        feed(keeper, source, "learned today")
        wake(keeper, no_progress)
        feed(keeper, "estimates", "b")

        wake(keeper, no_progress)

        assert learned(engine) == ["b"]

    def test_nor_does_what_live_knows(self, keeper):
        feed(keeper, "first", "a")
        wake(keeper, no_progress)
        sleep(keeper, no_progress)
        feed(keeper, "estimates", "b")
        wake(keeper, no_progress)
        feed(keeper, "estimates", "more")

        assert wake(keeper, no_progress).examples == 1

    def test_an_earlier_phase_is_learned_while_a_later_waits(self, keeper, engine):
        feed(keeper, "first", "a")
        wake(keeper, no_progress)
        feed(keeper, "estimates", "b")
        feed(keeper, "first", "more")

        wake(keeper, no_progress)

        assert learned(engine) == ["more"]

    def test_after_rejected_nights_it_is_learned_all_the_same(self, keeper, engine):
        feed(keeper, "first", "a")
        wake(keeper, no_progress)
        feed(keeper, "estimates", "b")
        rejected(keeper, engine)
        with pytest.raises(
            RunError,
            match=r'before the phase "second", got 1 of 2 that may be rejected; run '
            r"one: sleepcycle sleep$",
        ):
            wake(keeper, no_progress)
        rejected(keeper, engine)

        wake(keeper, no_progress)

        assert learned(engine) == ["b"]

    def test_once_begun_it_goes_on_without_more_nights(self, keeper, engine):
        """
        Its own wakes change the day that the rejected nights folded.
        """
        feed(keeper, "first", "a")
        wake(keeper, no_progress)
        rejected(keeper, engine)
        rejected(keeper, engine)
        feed(keeper, "estimates", "b")
        wake(keeper, no_progress)
        feed(keeper, "estimates", "more")

        wake(keeper, no_progress)

        assert learned(engine) == ["more"]

    def test_more_of_an_earlier_phase_asks_for_a_night_again(self, keeper, engine):
        feed(keeper, "first", "a")
        wake(keeper, no_progress)
        rejected(keeper, engine)
        rejected(keeper, engine)
        feed(keeper, "first", "more")
        wake(keeper, no_progress)
        feed(keeper, "estimates", "b")

        with pytest.raises(RunError, match="got an open day with what was learned"):
            wake(keeper, no_progress)

    def test_each_phase_asks_for_nights_of_its_own(self, keeper, engine):
        keeper = under(keeper, BOTH_WAIT)
        feed(keeper, "first", "a")
        wake(keeper, no_progress)
        rejected(keeper, engine)
        rejected(keeper, engine)
        feed(keeper, "estimates", "b")
        wake(keeper, no_progress)
        feed(keeper, "third", "c")

        with pytest.raises(RunError, match='before the phase "third", got an open day'):
            wake(keeper, no_progress)

    def test_a_night_may_always_come(self, keeper, engine):
        """
        More rejected nights than are waited for leave no barrier.
        """
        feed(keeper, "first", "a")
        wake(keeper, no_progress)
        for _ in range(TRIES + 1):
            rejected(keeper, engine)
        feed(keeper, "estimates", "b")
        course = find_course(keeper.paths, keeper.settings.wake)

        with keeper.store.read() as session:
            assert find_barrier(session, course) is None

    def test_nothing_pending_waits_for_nothing(self, keeper):
        feed(keeper, "first", "a")
        wake(keeper, no_progress)

        with pytest.raises(RunError, match="nothing to learn"):
            wake(keeper, no_progress)


class TestPausedWakes:
    @pytest.fixture
    def broken_off(self, keeper, engine):
        """A keeper whose wake of the second phase was broken off."""
        engine.instead = pause
        feed(keeper, "estimates", "b")
        with pytest.raises(Paused, match="run 1 was paused"):
            wake(keeper, no_progress)
        engine.instead = None
        feed(keeper, "first", "a")
        return keeper

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda keeper: keeper,
            lambda keeper: with_settings(keeper, curriculum=""),
            lambda keeper: under(keeper, COURSE.replace("epochs = 5", "epochs = 9")),
            lambda keeper: under(keeper, "no TOML"),
            lambda keeper: with_settings(keeper, epochs=9.0),
        ],
        ids=["same", "no curriculum", "another", "broken", "epochs the phase sets"],
    )
    def test_it_goes_on_in_its_phase(self, broken_off, engine, spoil):
        """
        Though an earlier phase has come in, and whatever became of the curriculum.
        """
        keeper = spoil(broken_off)

        outcome = wake(keeper, no_progress)

        assert (outcome.run, learned(engine)) == (1, ["b"])
        assert wake_settings(engine) == (5.0, "auto", 0.5)
        assert outcome.report.phase.name == "second"
        assert pending(keeper) == 1

    def test_one_that_a_setting_changes_is_undone_and_the_first_phase_learned(
        self, broken_off, engine
    ):
        keeper = with_settings(broken_off, lr=1e-5)

        outcome = wake(keeper, no_progress)

        assert (outcome.run, learned(engine)) == (2, ["a"])
        with keeper.store.read() as session:
            undone = run_table.get(session, 1)
        assert undone.state is RunState.CANCELLED
        assert "other settings now: wake.lr" in undone.error

    def test_one_of_no_phase_goes_on_under_a_new_curriculum(self, keeper, engine):
        engine.instead = pause
        feed(keeper, "first", "a")
        plain = with_settings(keeper, curriculum="")
        with pytest.raises(Paused, match="run 1 was paused"):
            wake(plain, no_progress)
        engine.instead = None

        outcome = wake(keeper, no_progress)

        assert (outcome.run, outcome.report.phase) == (1, None)
        assert wake_settings(engine) == (3.0, "auto", 1.0)


class TestFindingIt:
    def test_none_is_the_default(self, keeper):
        assert find_course(keeper.paths, Settings().wake) is None

    def test_one_may_be_built_in(self, keeper):
        own = with_settings(keeper, curriculum="four_phases").settings.wake

        assert find_course(keeper.paths, own).curriculum.name == "four_phases"

    def test_one_may_lie_anywhere(self, keeper, tmp_path):
        file = tmp_path / "elsewhere.toml"
        file.write_text(COURSE)
        own = with_settings(keeper, curriculum=str(file)).settings.wake

        assert find_course(keeper.paths, own).curriculum.name == "course"

    @pytest.mark.parametrize(
        ("name", "text", "match"),
        [
            ("gone.toml", None, r"expected a curriculum in .*gone\.toml.* four_phases"),
            ("four_phase", None, r"home.four_phase, got: No such file.* four_phases"),
            ("bad.toml", "name = ", r"bad\.toml: expected TOML, got"),
            ("bad.toml", 'name = "c"\nphases = []', "expected at least one phase"),
            ("bad.toml", COURSE + "epoch = 3", r"third.epoch.*did you mean epochs\?"),
            ("bad.toml", COURSE + "epochs = 0", "expected a number above 0, got 0"),
            ("a\0b", None, "null byte"),
            (".", None, "Is a directory"),
        ],
    )
    def test_one_that_is_missing_or_wrong_claims_nothing(
        self, keeper, name, text, match
    ):
        if text is not None:
            (keeper.paths.root / name).write_text(text)
        feed(keeper, "first", "a")

        with pytest.raises(ConfigError, match=match):
            wake(with_settings(keeper, curriculum=name), no_progress)

        assert pending(keeper) == 1
        with keeper.store.read() as session:
            assert run_table.list_runs(session, 10) == []

    def test_a_night_needs_none(self, keeper):
        feed(keeper, "first", "a")
        wake(keeper, no_progress)

        outcome = sleep(with_settings(keeper, curriculum="gone.toml"), no_progress)

        assert outcome.version.accepted

    def test_it_is_read_again_by_each_wake(self, keeper, engine):
        feed(keeper, "first", "a")
        feed(keeper, "third", "c")
        (keeper.paths.root / "course.toml").write_text(
            'name = "other"\n[[phases]]\nname = "third"\n'
        )

        wake(keeper, no_progress)

        assert learned(engine) == ["c"]


def test_settings_without_a_phase_are_left_as_they_are():
    settings = Settings()

    assert follow(settings, None) is settings


def test_sources_are_told_by_version(keeper):
    feed(keeper, "first", "a")
    feed(keeper, "estimates", "b")
    wake(keeper, no_progress)
    plain = with_settings(keeper, curriculum="")
    feed(keeper, "third", "c")
    wake(plain, no_progress)

    with keeper.store.read() as session:
        found = batch_table.sources_of(session, {1, 2, 99})
        line = version_table.ancestors(session, 2)

    assert found == {1: {"first"}, 2: {"estimates", "third"}}
    assert line == {0, 1, 2}
