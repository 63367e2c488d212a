import pytest
from sqlalchemy import text

from sleepcycle.errors import NotFoundError, RunError, StoreError
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.store import run_table
from tests.store.conftest import start_run


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
