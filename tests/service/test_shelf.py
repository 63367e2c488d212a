"""The shelf: what moves versions never runs beside a wake."""

import pytest

from sleepcycle.errors import HomeError, VersionError
from sleepcycle.records import RunKind, RunState
from sleepcycle.service.lock import locked
from sleepcycle.store import journal, runs
from sleepcycle.store.snapshot import read_snapshot

MOVES = {
    "promote": lambda home, _: home.promote("v0"),
    "rollback": lambda home, _: home.rollback("v0"),
    "switch": lambda home, _: home.versions.switch("v0", action="rollback"),
    "import": lambda home, source: home.import_adapter(source),
    "take in": lambda home, source: home.versions.import_adapter(source),
}


@pytest.mark.parametrize("move", MOVES.values(), ids=MOVES)
def test_versions_are_moved_by_one_process_at_a_time(home, tmp_path, move):
    with locked(home.paths), pytest.raises(HomeError, match="is in use"):
        move(home, tmp_path)


def test_a_switch_settles_what_a_crash_left_first(home):
    with home.store.write() as session:
        run = runs.start(session, RunKind.WAKE, 1, "another-boot 17")

    home.versions.switch("v0", action="rollback")

    assert home.books.run(run).state is RunState.FAILED
    assert read_snapshot(home.paths).state == "ready"


def test_an_alias_of_ones_own_is_dropped(home):
    home.versions.alias("best", "v0")

    home.versions.drop_alias("best")

    with pytest.raises(VersionError, match="no version or alias 'best'"):
        home.versions.get("best")
    with home.store.read() as session:
        last = journal.entries(session, 1)[0]
    assert (last.action, last.details) == ("drop alias", {"alias": "best"})
