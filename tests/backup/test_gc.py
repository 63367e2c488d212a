"""Clearing: what something needs stays byte for byte, and the rest is only rows.

4 random lives in the short form; 200 with `SLEEPCYCLE_FAULTS=full`.
"""

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import booleans, integers, sampled_from

from sleepcycle.backup.backup import back_up
from sleepcycle.backup.gc import KEPT_RUNS, clear
from sleepcycle.backup.restore import restore
from sleepcycle.backup.workspace import held
from sleepcycle.errors import BackupError, RunError, VersionError
from sleepcycle.files import process_identity
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.run_order import RunKind
from sleepcycle.store import run_table, version_table
from sleepcycle.store.snapshot import read_snapshot
from tests.faults.invariants import assert_invariants
from tests.home.lived import bytes_of, feed, killed_at, live_days, tiny
from tests.journaled import journal_entries

FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


@pytest.fixture(scope="session")
def lived_once(tmp_path_factory):
    """A home of six days: wakes v1, v3 … v11, and nights v2, v4 … v12."""
    root = tmp_path_factory.mktemp("week") / "home"
    create_home(root)
    live_days(tiny(root), *DAYS)
    return root


@pytest.fixture
def root(lived_once, tmp_path):
    """A copy of that home."""
    shutil.copytree(lived_once, tmp_path / "place" / "home")
    return tmp_path / "place" / "home"


@pytest.fixture
def week(root):
    """That home, opened."""
    return tiny(root)


def folders(home):
    """Return the numbers of the versions that have files."""
    return {int(path.name[1:5]) for path in home.paths.versions.iterdir()}


class TestWhatStays:
    def test_live_its_predecessors_and_what_has_a_name(self, week):
        """
        v10 is previous; v6, v8 and v10 are the newest three nights behind live.
        """
        week.versions.alias("best", "v3")

        done = clear(week.versions)

        assert folders(week) == {3, 6, 8, 10, 12}
        assert done.kept == {
            "v3": "best",
            "v6": "to roll back to",
            "v8": "to roll back to",
            "v10": "previous",
            "v12": "live",
        }
        assert done.removed == ("v1", "v2", "v4", "v5", "v7", "v9", "v11")
        assert_invariants(week.paths.root)

    @pytest.mark.parametrize(
        ("keep", "left"), [(0, {10, 12}), (1, {10, 12}), (9, {2, 4, 6, 8, 10, 12})]
    )
    def test_as_many_nights_as_are_asked_for(self, week, keep, left):
        clear(week.versions, keep=keep)

        assert folders(week) == left

    def test_the_open_day(self, week):
        feed(week, "sunday")
        week.wake()

        done = clear(week.versions)

        assert done.kept["v13"] == "day"
        week.sleep()
        assert week.status().live == "v14"

    def test_what_a_run_that_is_on_or_paused_stands_on(self, week):
        week.rollback("v4")
        with week.store.write() as session:
            run = run_table.start(session, RunKind.WAKE, os.getpid(), _me())
        _order(week, run, live="v8", archive={3: "v3"})
        with week.store.write() as session:
            run_table.pause(session, run)

        done = clear(week.versions, keep=0)

        assert folders(week) == {3, 4, 8, 12}
        assert done.kept["v3"] == done.kept["v8"] == f"run {run} is not done"

    def test_nothing_goes_while_a_run_is_beginning(self, week):
        with week.store.write() as session:
            run_table.start(session, RunKind.WAKE, os.getpid(), _me())

        with pytest.raises(RunError, match="is just beginning"):
            clear(week.versions)
        assert len(folders(week)) == 12

    def test_an_import_that_was_not_tried_yet(self, week):
        adapter = week.paths.root.parent / "adapter"
        shutil.copytree(next(week.paths.versions.glob("v0001-*")), adapter)
        number = _import(week, adapter)

        assert clear(week.versions).kept[f"v{number}"] == "imported, and not tried yet"

    def test_wakes_that_have_not_dreamt_where_the_archive_is_the_memory(self, root):
        home = tiny(root, sleep={"rem": {"memory": ["archive"]}})

        done = clear(home.versions, keep=0)

        assert folders(home) == {1, 3, 5, 7, 9, 10, 11, 12}
        assert done.kept["v3"] == "it has not dreamt yet"

    def test_dreams_and_not_who_dreamt_them(self, tmp_path):
        """
        A night that holds dreams is the memory; the dreamer is needed only to teach.
        """
        create_home(tmp_path / "home")
        archive = {"sleep": {"rem": {"memory": ["archive"]}}}
        live_days(tiny(tmp_path / "home", dreaming=True, **archive), *DAYS[:4])
        teaching = {"sleep": {"rem": {"memory": ["archive"], "gold_share": 0.5}}}

        plain = clear(tiny(tmp_path / "home", **archive).versions, keep=0, dry_run=True)
        asked = clear(
            tiny(tmp_path / "home", **teaching).versions, keep=0, dry_run=True
        )

        assert plain.removed == ("v1", "v3", "v5", "v7")
        assert plain.kept["v2"] == "it holds dreams"
        assert asked.removed == ()
        assert asked.kept["v1"] == "it teaches its lesson"

    def test_a_wake_without_files_goes_on_as_what_it_dreamt(self, tmp_path):
        """
        The order names it, so that its dreams are learned, but nobody loads it.
        """
        create_home(tmp_path / "home")
        archive = {"sleep": {"rem": {"memory": ["archive"]}}}
        home = tiny(tmp_path / "home", dreaming=True, **archive)
        live_days(home, *DAYS[:2])
        clear(home.versions, keep=0)

        live_days(home, DAYS[2])

        run = home.runs.listing()[0].id
        order = RunFolder(home.paths.run(run)).read_order()
        assert order.archive == {1: None, 3: None}


class TestWhatGoes:
    def test_a_removed_version_is_still_known(self, week):
        """
        Its row, card, parents and lessons stay; only what needs its files is refused.
        """
        card = week.versions.card("v5")
        clear(week.versions)

        listed = {one.version.number: one for one in week.versions.listing()}
        assert listed[5].removed_at is not None
        assert listed[12].removed_at is None
        assert week.versions.card("v5") == card
        assert week.versions.verify().keys() == {"v6", "v8", "v10", "v12"}
        for use in (
            lambda: week.promote("v5"),
            lambda: week.rollback("v5"),
            lambda: week.versions.alias("best", "v5"),
            lambda: week.versions.export("v5", week.paths.root / "out"),
            lambda: week.versions.verify(["v5"]),
            lambda: week.ask("hello", version="v5"),
        ):
            with pytest.raises(VersionError, match=r"files of v5 are gone since .*gc"):
                use()

    def test_no_name_can_point_at_it_by_any_way(self, week):
        """
        Not even for who looked at its files just before they went.
        """
        clear(week.versions)

        with (
            pytest.raises(VersionError, match="files of v5 were removed"),
            week.store.write() as session,
        ):
            version_table.set_alias(session, "best", 5)

    def test_nothing_with_a_name_can_be_removed(self, week):
        with (
            pytest.raises(VersionError, match="v12 is live, so its files are needed"),
            week.store.write() as session,
        ):
            version_table.remove(session, 12, "test")

    def test_a_dry_run_changes_nothing(self, week):
        before = bytes_of(week.paths.root / "versions")

        told = clear(week.versions, dry_run=True)

        assert bytes_of(week.paths.root / "versions") == before
        done = clear(week.versions)
        assert (told.removed, told.freed_bytes) == (done.removed, done.freed_bytes)
        assert done.freed_bytes == sum(len(data) for data in before.values()) - sum(
            map(len, bytes_of(week.paths.root / "versions").values())
        )

    def test_doing_it_again_removes_nothing_more(self, week):
        clear(week.versions)

        again = clear(week.versions)

        assert (again.removed, again.freed_bytes, again.runs) == ((), 0, 0)

    def test_old_runs_go_but_for_the_last_and_the_open_ones(self, week):
        for number in range(13, KEPT_RUNS + 16):
            (week.paths.run(number)).mkdir()
            (week.paths.run(number) / "worker.log").write_text("x" * 100)
        week.paths.unclaimed.mkdir()
        (week.paths.unclaimed / "v0099-0").mkdir()

        done = clear(week.versions)

        assert done.runs == 15
        left = sorted(int(path.name) for path in week.paths.runs.iterdir())
        assert left == list(range(16, KEPT_RUNS + 16))
        assert (week.paths.unclaimed / "v0099-0").exists()

    def test_it_waits_for_a_backup(self, week):
        with held(week.paths), pytest.raises(BackupError, match="try again when"):
            clear(week.versions)

    def test_the_journal_tells_what_went_and_why_the_rest_stayed(self, week):
        clear(week.versions)

        with week.store.read() as session:
            entry = journal_entries(session, 1)[0]
        assert entry.action == "remove versions"
        assert entry.details["versions"][:2] == ["v1", "v2"]
        assert entry.details["kept"]["v12"] == "live"

    def test_a_backup_is_of_what_is_left(self, week, tmp_path):
        clear(week.versions)
        done = back_up(
            week.paths, week.settings.store, tmp_path / "b.tar", actor="test"
        )
        restore(done.file, tmp_path / "new", actor="test")

        assert done.versions == 4
        assert folders(open_home(tmp_path / "new")) == {6, 8, 10, 12}
        assert_invariants(tmp_path / "new")

    @pytest.mark.parametrize("place", ["gc.recorded", "gc.moved"])
    @pytest.mark.parametrize("count", [1, 4])
    def test_killed_anywhere_no_name_points_at_a_torn_version(self, week, place, count):
        seen = {}
        assert_invariants(week.paths.root, seen=seen)
        killed = killed_at(place, count, lambda: clear(week.versions))

        assert killed == (count == 1 or place == "gc.moved")
        assert_invariants(week.paths.root, seen=seen)
        assert read_snapshot(week.paths).live == "v12"
        clear(week.versions)
        assert folders(week) == {6, 8, 10, 12}
        assert [path.name for path in week.paths.scratch.iterdir()] == ["lock"]


class Days(RuleBasedStateMachine):
    """Random days, moves and clearings over one home (F20)."""

    def __init__(self):
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="sleepcycle-days-"))
        self.days, self.seen = 0, {}

    @initialize()
    def begin(self):
        shutil.copytree(_new_home(), self.place / "home")
        self.home = tiny(self.place / "home", feed={"held_out_share": 0.0})

    def teardown(self):
        shutil.rmtree(self.place)

    @rule(accepts=booleans())
    def live_a_day(self, accepts):
        self.days += 1
        feed(self.home, f"day {self.days}", rows=3)
        vars(self.home)["_context"].engine.accepts = accepts
        self.home.wake()
        self.home.sleep()

    @rule()
    def wake_only(self):
        self.days += 1
        feed(self.home, f"day {self.days}", rows=3)
        self.home.wake()

    @rule(number=integers(0, 12), verb=sampled_from(["promote", "rollback", "best"]))
    def move(self, number, verb):
        name = f"v{number % self._next()}"
        gone = {f"v{n}" for n in self._removed()}
        move = {
            "promote": lambda: self.home.promote(name),
            "rollback": lambda: self.home.rollback(name, requeue=number % 2 == 0),
            "best": lambda: self.home.versions.alias("best", name),
        }[verb]
        if name in gone:
            with pytest.raises(VersionError, match="are gone since"):
                move()
        else:
            move()

    @rule()
    def go_back(self):
        with suppress(VersionError):
            self.home.rollback()

    @rule()
    def forget(self):
        with suppress(VersionError):
            self.home.versions.drop_alias("best")

    @rule(keep=integers(0, 3))
    def clear(self, keep):
        before = self._hashes()
        done = clear(self.home.versions, keep=keep)
        after = self._hashes()

        went = {int(name[1:]) for name in done.removed}
        assert after.keys() == before.keys() - went
        with self.home.store.read() as session:
            assert not went & set(version_table.aliases(session).values())

    @invariant()
    def bytes_never_change(self):
        for number, digest in self._hashes().items():
            assert self.seen.setdefault(number, digest) == digest

    @invariant()
    def names_always_verify(self):
        with self.home.store.read() as session:
            names = version_table.aliases(session)
        sealed = {name for name, number in names.items() if number}
        assert not any(self.home.versions.verify(sorted(sealed)).values())
        assert self._hashes().keys() == set(range(1, self._next())) - self._removed()

    def _next(self):
        with self.home.store.read() as session:
            return version_table.next_number(session)

    def _removed(self):
        with self.home.store.read() as session:
            return set(version_table.removed(session))

    def _hashes(self):
        found = {}
        for folder in self.home.paths.versions.iterdir():
            digest = hashlib.sha256(repr(bytes_of(folder)).encode())
            found[int(folder.name[1:5])] = digest.hexdigest()
        return found


TestDays = Days.TestCase
TestDays.settings = settings(
    max_examples=200 if FULL else 4,
    stateful_step_count=12 if FULL else 8,
    deadline=None,
    derandomize=not FULL,
    suppress_health_check=list(HealthCheck),
)

_made = []


def _new_home():
    """Return a home just made, made once."""
    if not _made:
        _made.append(Path(tempfile.mkdtemp(prefix="sleepcycle-new-")) / "home")
        create_home(_made[0])
    return _made[0]


def _me():
    return process_identity.started(os.getpid())


def _order(home, run, live, archive):
    """Write a run's order, standing on these versions."""
    from dataclasses import replace

    folder = RunFolder(home.paths.run(1))
    order = folder.read_order()
    place = {v.version.name: v.version for v in home.versions.listing()}
    RunFolder(home.paths.run(run)).write_order(
        replace(
            order,
            run=run,
            live=home.paths.versions / place[live].folder,
            day=None,
            archive={
                number: home.paths.versions / place[name].folder
                for number, name in archive.items()
            },
        )
    )


def _import(home, adapter):
    """Take in a version from elsewhere, without a look at its tensors."""
    from datetime import UTC, datetime

    from sleepcycle.records.version import Version, VersionKind
    from sleepcycle.runs import publish
    from tests.faults.conftest import BASE

    for name in ("card.json", "manifest.json"):
        (adapter / name).unlink()
    with home.store.read() as session:
        number = version_table.next_number(session)
    version = Version(
        number, VersionKind.IMPORT, None, (0,), 16, True, datetime.now(UTC)
    )
    sealed = publish.seal_version(home.paths, adapter, publish.card_of(version, BASE))
    with home.store.write() as session:
        publish.record(session, sealed, actor="test")
    return number
