from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text

from sleepcycle.errors import NotFoundError, RunError, StoreError, VersionError
from sleepcycle.records.example import BadRow
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.store import (
    batch_table,
    example_table,
    journal,
    run_table,
    version_table,
)
from sleepcycle.store.schema import UtcTime
from sleepcycle.store.values import Alias
from tests.store.conftest import add_batch, add_version, start_run, train


@pytest.fixture
def session(store):
    with store.write() as session:
        yield session


class TestBatches:
    def test_a_batch_is_found_again(self, session):
        number = add_batch(session, ["one", "one", "two"], share=0.0)

        batch = batch_table.get(session, number)

        assert (batch.lines, batch.accepted, batch.duplicate) == (3, 2, 1)
        assert batch.created_at.tzinfo is UTC
        assert batch_table.list_batches(session) == [batch]

    def test_an_unknown_batch_is_named(self, session):
        with pytest.raises(NotFoundError, match="no batch 3"):
            batch_table.get(session, 3)

    def test_bad_rows_come_back_in_order(self, session):
        first, second = add_batch(session, ["one"]), add_batch(session, ["two"])
        rows = [
            BadRow("a.jsonl", line, line * 10, f"E_{line % 2}", "why", b"\xff\0", 2)
            for line in range(5)
        ]
        batch_table.add_bad_rows(session, first, rows[:3])
        batch_table.add_bad_rows(session, second, rows[3:])
        batch_table.add_bad_rows(session, second, [])

        assert list(batch_table.bad_rows(session, first)) == rows[:3]
        assert list(batch_table.bad_rows(session, None)) == rows

    def test_the_database_itself_counts(self, store):
        """
        Accepted, duplicate and quarantined are the lines, or nothing is committed.
        """
        with store.write() as session:
            add_batch(session, ["one"])

        with (
            pytest.raises(StoreError, match="ck_batch_adds_up"),
            store.write() as session,
        ):
            session.execute(text("UPDATE batch SET duplicate = 1"))


class TestRuns:
    def test_a_run_starts_and_ends(self, session):
        number = run_table.start(session, RunKind.SLEEP, 17, "boot-1 99")
        [running] = run_table.running(session)
        assert (running.id, running.kind) == (number, RunKind.SLEEP)
        assert (running.pid, running.pid_started) == (17, "boot-1 99")

        run_table.finish(
            session, number, RunState.DONE, report='{"rank": 8}', error=None
        )

        ended = run_table.get(session, number)
        assert ended.state is RunState.DONE
        assert ended.report == '{"rank": 8}'
        assert ended.ended_at >= ended.started_at
        assert run_table.running(session) == []

    def test_a_run_ends_once(self, session):
        number = start_run(session)
        run_table.finish(
            session, number, RunState.CANCELLED, report=None, error="stopped"
        )

        with pytest.raises(RunError, match="run 1 cannot become done"):
            run_table.finish(session, number, RunState.DONE, report=None, error=None)

    def test_the_last_come_first(self, session):
        numbers = [start_run(session) for _ in range(3)]

        assert [run.id for run in run_table.list_runs(session, 2)] == numbers[:0:-1]

    def test_a_paused_run_goes_on_in_another_process(self, session):
        number = start_run(session)

        run_table.pause(session, number)

        [paused] = run_table.paused_runs(session)
        assert (paused.id, paused.state) == (number, RunState.PAUSED)
        assert paused.ended_at is None
        assert run_table.running(session) == []

        run_table.resume(session, number, 17, "boot-1 99")

        [running] = run_table.running(session)
        assert (running.id, running.pid) == (number, 17)
        assert running.pid_started == "boot-1 99"
        assert run_table.paused_runs(session) == []

    def test_a_paused_run_can_end(self, session):
        number = start_run(session)
        run_table.pause(session, number)

        run_table.finish(
            session, number, RunState.CANCELLED, report=None, error="enough"
        )

        assert run_table.get(session, number).ended_at is not None
        assert run_table.paused_runs(session) == []

    def test_only_a_running_run_pauses_and_only_a_paused_one_goes_on(self, session):
        number = start_run(session)

        with pytest.raises(RunError, match="run 1 cannot go on: it is not paused"):
            run_table.resume(session, number, 17, "boot-1 99")
        run_table.pause(session, number)
        with pytest.raises(RunError, match="cannot become paused: it is not running"):
            run_table.pause(session, number)

    @pytest.mark.parametrize(
        "change",
        ["state = 'paused', ended_at = started_at", "state = 'done'"],
    )
    def test_the_database_itself_ends_every_run_but_an_open_one(self, store, change):
        with store.write() as session:
            start_run(session)

        with (
            pytest.raises(StoreError, match="ck_run_ended_or_open"),
            store.write() as session,
        ):
            session.execute(text(f"UPDATE run SET {change}"))

    def test_an_unknown_run_is_named(self, session):
        with pytest.raises(NotFoundError, match="no run 3; see: sleepcycle runs list"):
            run_table.get(session, 3)


class TestVersions:
    def test_a_version_is_found_by_number_name_and_alias(self, session):
        add_version(session)
        version_table.set_alias(session, "best", 1)

        found = version_table.get(session, 1)

        assert found.name == "v1"
        assert found.parents == (0,)
        for name in ("v1", "1", "best"):
            assert version_table.resolve(session, name) == found
        assert version_table.list_versions(session)[1] == found
        assert version_table.card(session, 1) == '{"seed": 42}'

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("v7", "there are v0 to v1 and best, live"),
            ("bets", r"did you mean best\?"),
            ("../etc", "there are v0"),
            ("v01", "there are v0"),
            ("", "there are v0"),
            ("9" * 30, "there are v0"),
        ],
    )
    def test_an_unknown_name_is_answered_with_those_there_are(
        self, session, name, hint
    ):
        add_version(session)
        version_table.set_alias(session, "best", 1)

        with pytest.raises(VersionError, match=hint):
            version_table.resolve(session, name)

    def test_parents_keep_their_order(self, session):
        for _ in range(3):
            add_version(session)

        number = add_version(session, parents=(2, 1, 3))

        assert version_table.get(session, number).parents == (2, 1, 3)

    def test_ancestors_are_found_however_far_back(self, session):
        """
        0 - 1 - 2 - 4, with 3 beside: 4 comes from 2 and 1, not from 3.
        """
        add_version(session, parents=(0,))
        add_version(session, parents=(1,))
        add_version(session, parents=(1,))
        add_version(session, parents=(2, 1))

        assert version_table.ancestors(session, 4) == {0, 1, 2, 4}
        assert version_table.ancestors(session, 3) == {0, 1, 3}
        assert version_table.ancestors(session, 0) == {0}

    def test_batches_are_added_over_versions(self, session):
        for line in ("one", "two"):
            add_batch(session, [line])
        add_version(session, batches={1: 5})
        add_version(session, batches={1: 2, 2: 3})

        assert version_table.batches_of(session, {1, 2}) == {1: 7, 2: 3}
        assert version_table.batches_of(session, set()) == {}

    def test_what_is_excluded_taints_all_that_learned_it_and_their_children(
        self, session
    ):
        """
        Batch 1 is in v1, batch 2 in v2 beside it; v3 comes from v1, v5 from v3; v4
        from v2 alone.
        """
        for line in ("one", "two"):
            add_batch(session, [line], share=0.0)
            train(session)
        for parents in ((1,), (2,), (3, 2)):
            add_version(session, parents=parents)
        assert version_table.tainted(session) == set()

        example_table.exclude_batch(session, 1)
        assert version_table.tainted(session) == {1, 3, 5}

        example_table.exclude_batch(session, 2)
        assert version_table.tainted(session) == {1, 2, 3, 4, 5}

        example_table.requeue_batch(session, 1)
        assert version_table.tainted(session) == {2, 4, 5}

    def test_a_parent_must_be_older(self, store):
        with (
            pytest.raises(StoreError, match="parent_is_older"),
            store.write() as session,
        ):
            add_version(session, parents=(1,))

    def test_two_versions_cannot_share_a_folder(self, store):
        with store.write() as session:
            add_version(session)
            add_version(session)

        with (
            pytest.raises(StoreError, match=r"version\.folder"),
            store.write() as session,
        ):
            session.execute(text("UPDATE version SET folder = 'x' WHERE number > 0"))


class TestAliases:
    def test_the_service_moves_and_drops_its_own(self, session):
        add_version(session)
        version_table.point(session, Alias.LIVE, 1)
        version_table.point(session, Alias.DAY, 1)
        version_table.point(session, Alias.DAY, None)
        version_table.point(session, Alias.DAY, None)

        assert version_table.aliases(session) == {"live": 1}

    def test_a_user_moves_and_drops_theirs(self, session):
        add_version(session)
        version_table.set_alias(session, "best", 0)
        version_table.set_alias(session, "best", 1)
        assert version_table.aliases(session)["best"] == 1

        version_table.drop_alias(session, "best")

        assert "best" not in version_table.aliases(session)
        with pytest.raises(VersionError, match="no version or alias 'best'"):
            version_table.drop_alias(session, "best")

    @pytest.mark.parametrize("name", list(Alias))
    def test_no_user_moves_the_services(self, session, name):
        for change in (
            lambda: version_table.set_alias(session, name, 0),
            lambda: version_table.drop_alias(session, name),
        ):
            with pytest.raises(VersionError, match="moved by sleepcycle alone"):
                change()

    @pytest.mark.parametrize(
        "name",
        ["v3", "3", "", "Best", "a/b", "..", "-x", "a b", "é", "a" * 65, "best\n"],
    )
    def test_a_name_that_could_mislead_is_refused(self, session, name):
        with pytest.raises(VersionError, match="an alias must begin with a-z"):
            version_table.set_alias(session, name, 0)

    def test_an_alias_needs_a_version(self, session):
        with pytest.raises(VersionError, match="no version or alias 'v5'"):
            version_table.set_alias(session, "best", 5)


class TestJournal:
    def test_the_last_come_first(self, session):
        journal.append(session, "user:a", "feed", batch=1, source="x")
        journal.append(session, "daemon", "sleep")

        last, first = journal.entries(session, 10)

        assert (last.actor, last.action, last.details) == ("daemon", "sleep", {})
        assert first.details == {"batch": 1, "source": "x"}
        assert first.at <= last.at <= datetime.now(UTC)

    @pytest.mark.parametrize(
        "change", ["UPDATE journal SET actor = 'x'", "DELETE FROM journal"]
    )
    def test_what_is_written_stays(self, store, change):
        with store.write() as session:
            journal.append(session, "user:a", "feed")

        with (
            pytest.raises(StoreError, match="the journal is append-only"),
            store.write() as session,
        ):
            session.execute(text(change))


class TestUtcTime:
    def test_text_sorts_as_time_does(self):
        column = UtcTime()
        east = timezone(timedelta(hours=5))
        times = [
            datetime(2026, 1, 1, 4, 0, tzinfo=east),
            datetime(2026, 1, 1, 0, 0, tzinfo=UTC),
            datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
        ]

        written = [column.process_bind_param(time, None) for time in times]

        assert written == sorted(written)
        read = [column.process_result_value(line, None) for line in written]
        assert read == times

    def test_a_time_without_a_zone_is_refused(self):
        with pytest.raises(ValueError, match="expected a time with a zone"):
            UtcTime().process_bind_param(datetime(2026, 1, 1), None)
