"""A batch added in parts is seen whole or not at all, whatever happens to it."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from sleepcycle.errors import NotFoundError, StoreError
from sleepcycle.feed import feed_lock
from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.feed.parts import drop_abandoned
from sleepcycle.records.example import FeedKey
from sleepcycle.records.run_order import RunKind
from sleepcycle.settings.config import FeedSettings
from sleepcycle.store import batch_table, example_table, feed_key_table, run_table
from sleepcycle.store.integrity import damage
from sleepcycle.store.snapshot import read_snapshot

ROWS = 25_000  # more than a part
LENIENT = FeedSettings(max_bad_ratio=1.0, held_out_share=0.1)
FEEDER = """
import sys
from pathlib import Path
from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.example import FeedKey
from sleepcycle.settings.config import FeedSettings, StoreSettings
from sleepcycle.store.database import open_store

store = open_store(HomePaths(Path(sys.argv[1])), StoreSettings())
settings = FeedSettings(max_bad_ratio=1.0, held_out_share=0.1)
options = FeedOptions(key=FeedKey("order 7", bytes(32)))
feed_files(store, [Path(sys.argv[2])], settings, options, actor="user:test")
"""
KEY = FeedKey("order 7", bytes(32))


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of more than one part, its last row bad."""
    path = tmp_path_factory.mktemp("rows") / "large.jsonl"
    with path.open("w") as out:
        out.writelines(json.dumps({"text": f"row {n}"}) + "\n" for n in range(ROWS))
        out.write("bad\n")
    return path


def feed(store, path, **options):
    return feed_files(store, [path], LENIENT, FeedOptions(**options), actor="user:test")


def kill_feeding(store, path, place):
    """Feed in a process that dies at a place."""
    done = subprocess.run(
        [sys.executable, "-c", FEEDER, str(store.paths.root), str(path)],
        env=os.environ | {"SLEEPCYCLE_FAILPOINT": place},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL


def rows(store):
    """Return how many examples, bad rows and batches there are, seen or not."""
    with store.read() as session:
        execute = session.connection().exec_driver_sql
        return tuple(
            execute(f"SELECT count(*) FROM {table}").scalar()
            for table in ("example", "bad_row", "batch")
        )


class TestWhole:
    def test_a_batch_of_several_parts_adds_up(self, store, large):
        report = feed(store, large)

        assert (report.lines, report.accepted) == (ROWS + 1, ROWS)
        assert rows(store) == (ROWS, 1, 1)
        assert read_snapshot(store.paths).counts.accepted == ROWS
        assert list(damage(store.paths)) == []

    def test_a_dry_run_reports_the_same_and_adds_nothing(self, store, large, tmp_path):
        """
        Rows that the store has and rows that come twice are duplicates in both.
        """
        known, again = tmp_path / "known.jsonl", tmp_path / "again.jsonl"
        known.write_text('{"text": "row 7"}\n')
        again.write_bytes(large.read_bytes() + b'{"text": "row 8"}\n')
        feed(store, known)

        tried = feed(store, again, dry_run=True)

        assert rows(store) == (1, 0, 1)
        fed = feed(store, again)
        assert (tried.batch, fed.batch) == (None, 2)
        assert tried.duplicate == 2
        assert (tried.accepted, tried.duplicate, tried.held_out) == (
            fed.accepted,
            fed.duplicate,
            fed.held_out,
        )


class TestKey:
    @pytest.mark.parametrize(
        ("place", "kept"), [("feed.stored", None), ("feed.committed", (1, 4, 4))]
    )
    def test_a_killed_feed_has_its_answer_if_its_batch(
        self, store, tmp_path, place, kept
    ):
        few = tmp_path / "few.jsonl"
        few.write_text("".join(f'{{"text": "line {n}"}}\n' for n in range(4)))

        kill_feeding(store, few, place)

        with store.read() as session:
            found = feed_key_table.find(session, KEY)
        assert (found and (found.batch, found.lines, found.accepted)) == kept
        assert rows(store) == ((0, 0, 0) if kept is None else (4, 0, 1))


class TestNotWhole:
    @pytest.fixture
    def killed(self, store, large):
        """A home in which a feed was killed in its second part."""
        kill_feeding(store, large, "feed.part:2")
        return store

    def test_nothing_of_it_is_seen(self, killed):
        examples, _, batches = rows(killed)
        assert (examples > 0, batches) == (True, 1), "the first part is there"

        counts = read_snapshot(killed.paths).counts

        assert (counts.accepted, counts.pending, counts.held_out) == (0, 0, 0)
        with killed.read() as session:
            assert batch_table.list_batches(session) == []
            assert example_table.pending_sources(session) == set()
            with pytest.raises(NotFoundError, match="no batch 1"):
                batch_table.get(session, 1)
        assert list(damage(killed.paths)) == []

    def test_no_run_claims_any_of_it(self, killed):
        with killed.write() as session:
            run = run_table.start(session, RunKind.WAKE, 1, "boot")
            assert example_table.claim(session, run, 100) == []

    def test_feeding_again_adds_all_of_it(self, killed, large):
        """
        What the dead feed left would make duplicates of these rows.
        """
        report = feed(killed, large)

        assert (report.batch, report.accepted, report.duplicate) == (1, ROWS, 0)
        assert rows(killed) == (ROWS, 1, 1)

    def test_it_is_deleted_by_parts(self, killed):
        drop_abandoned(killed)

        assert rows(killed) == (0, 0, 0)

    def test_what_there_is_no_time_for_is_left_and_still_not_seen(self, killed):
        drop_abandoned(killed, limit_s=0.0)

        assert read_snapshot(killed.paths).counts.accepted == 0
        drop_abandoned(killed)
        assert rows(killed) == (0, 0, 0)

    @pytest.mark.parametrize("place", ["feed.stored", "store.committed:1"])
    def test_killed_elsewhere_it_is_as_if_never_fed(self, store, large, place):
        kill_feeding(store, large, place)

        assert read_snapshot(store.paths).counts.accepted == 0
        drop_abandoned(store)
        assert rows(store) == (0, 0, 0)

    def test_killed_after_its_end_it_is_there(self, store, large):
        kill_feeding(store, large, "feed.committed")

        drop_abandoned(store)
        assert rows(store) == (ROWS, 1, 1)

    def test_a_feed_that_fails_leaves_nothing(self, store, large):
        """
        The name of who acts is refused by the database, in the last part.
        """
        with pytest.raises(StoreError, match="database"):
            feed_files(store, [large], LENIENT, FeedOptions(), actor=None)

        assert rows(store) == (0, 0, 0)


class TestTwoAtOnce:
    def test_each_row_counts_in_one_of_two_feeds(self, store, large):
        """
        The second has only duplicates, once the first is whole.
        """
        with ThreadPoolExecutor(2) as pool:
            reports = list(pool.map(lambda _: feed(store, large), range(2)))

        assert sorted(report.accepted for report in reports) == [0, ROWS]
        assert sorted(report.duplicate for report in reports) == [0, ROWS]

    def test_a_turn_that_is_taken_can_be_refused(self, store):
        def take():
            with feed_lock.held(store.paths, patience_s=0.0):
                pass

        with feed_lock.held(store.paths), ThreadPoolExecutor(1) as pool:
            refused = pool.submit(take)

            with pytest.raises(StoreError, match="expected no feed to be adding rows"):
                refused.result()
