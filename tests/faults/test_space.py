"""The disk is full at twenty levels: refused or failed cleanly, and well afterwards."""

import resource
from contextlib import contextmanager

import pytest

from sleepcycle.errors import DiskError, RunError
from sleepcycle.files import disk
from sleepcycle.home.disk_space import expect_room
from sleepcycle.settings.config import EngineSettings
from tests.faults.conftest import FULL
from tests.faults.invariants import assert_invariants
from tests.faults.shim import Counting, Quota

LEVELS = 20
PLENTY = 1 << 40


@pytest.fixture
def need(new_day, through):
    """How many bytes a day writes through the file layer, at its fullest."""
    day, system = new_day(), Quota(PLENTY)
    lowest = [PLENTY]
    met = system.meet

    def meet(name, path):
        met(name, path)
        lowest.append(system.left_bytes)

    system.meet = meet
    through(system)
    day.live()
    return PLENTY - min(lowest)


@pytest.fixture
def levels(need):
    """Twenty levels from nothing to just too little, close together where it is low."""
    chosen = [need * level**2 // LEVELS**2 for level in range(LEVELS)]
    return chosen if FULL else chosen[::5]


def test_a_full_disk_loses_nothing_that_was_acknowledged(
    new_day, through, levels, record_property
):
    """
    The levels fail at different places: a run is refused, or a write of one fails. The
    same process goes on with its day when there is room again.
    """
    failures, kinds = set(), set()
    for left in levels:
        day = new_day()
        home = day.open()
        through(Quota(left))
        with pytest.raises((RunError, DiskError), match="free some") as raised:
            day.live(home)
        failures.add(str(raised.value).split(";")[0])
        kinds.add(type(raised.value))
        assert_invariants(day.root, seen=day.seen, around=day.around, recover=False)

        through(Counting())
        day.live(home)
        day.check()
        day.finish()
    assert kinds == {RunError, DiskError}
    assert len(failures) > len(levels) // 4, "the levels failed at the same places"
    record_property("levels of a full disk", len(levels))


def test_a_run_is_refused_before_it_begins(new_day, through, settings):
    day = new_day()
    day.settings = settings.model_copy(update={"engine": EngineSettings()})
    home = day.open()
    day.feed(home, "monday")
    through(Quota(200_000_000))

    with pytest.raises(RunError, match=r"expected 256 MB of free .*, got 200 MB; free"):
        home.wake()

    assert home.status().runs == ()
    assert home.status().counts.pending > 0
    day.check()


def test_three_times_the_newest_version_is_asked_for(new_day, through):
    day = new_day()
    day.live()
    newest = day.root / "versions" / day.open().versions.listing()[-1].version.folder
    size = sum(file.stat().st_size for file in newest.iterdir())

    through(Quota(1_000_000 + 3 * size - 1))
    with pytest.raises(RunError, match="three times the newest version"):
        expect_room(day.open().paths, EngineSettings(reserve_mb=1))

    through(Quota(1_000_000 + 3 * size))
    expect_room(day.open().paths, EngineSettings(reserve_mb=1))


@contextmanager
def largest_file(size_bytes):
    """Let no file of this process grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_database_that_cannot_grow_keeps_what_it_has(new_day, tmp_path):
    """
    The system itself refuses, at levels from no byte more to just too few.
    """
    rows = "".join(f'{{"text": "{"long " * 200} {line}"}}\n' for line in range(300))
    (tmp_path / "long.jsonl").write_text(rows)
    day = new_day()
    before = (day.root / "sleepcycle.db").stat().st_size
    day.open().feed(tmp_path / "long.jsonl")
    after = (day.root / "sleepcycle.db").stat().st_size
    for level in range(0, LEVELS, 1 if FULL else 5):
        day = new_day()
        day.feed(day.open(), "monday")
        limit = before + (after - before) * level // (LEVELS + 2)
        with (
            largest_file(limit),
            pytest.raises(DiskError, match=r"sleepcycle\.db: .*; "),
        ):
            day.open().feed(tmp_path / "long.jsonl")

        day.check()
        assert day.open().feed(tmp_path / "long.jsonl").accepted == 300
        day.check()


def test_rows_that_find_no_room_to_wait_are_not_fed(new_day, tmp_path):
    """
    They wait in a file without a name, once they are many.
    """
    row = '{"text": "' + "long " * 10_000 + '"}\n'
    (tmp_path / "long.jsonl").write_text(row * 250)
    day = new_day()
    day.feed(day.open(), "monday")
    with (
        largest_file(9_000_000),
        pytest.raises(DiskError, match="expected to write to"),
    ):
        day.open().feed(tmp_path / "long.jsonl")

    day.check()
    assert day.open().feed(tmp_path / "long.jsonl").accepted == 1


def test_what_is_committed_without_room_for_its_mark_is_not_said_to_have_failed(
    new_day, through
):
    """
    The database had room, and `journal.head` may be behind.
    """
    day = new_day()
    through(Quota(0))

    day.feed(day.open(), "monday")

    through(Counting())
    day.check()


def test_only_a_lack_of_room_is_said_to_be_one(new_day, through):
    day = new_day()
    through(Quota(0))

    with pytest.raises(DiskError, match="No space left on device; free some") as raised:
        disk.write(day.root / "file", "text")

    assert disk.is_full(raised.value)
