"""Many who feed at once, with retries, while wakes come and go.

6 feeders of 500 rows in the short form; 32 of 10,000 with `SLEEPCYCLE_FAULTS=full`.
"""

import json
import multiprocessing
import os
import random
import time

from sleepcycle.errors import RunError
from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.opening import create_home
from sleepcycle.records.progress import ignore_progress
from sleepcycle.runs import run
from sleepcycle.runs.context import RunContext
from sleepcycle.settings.config import Settings
from sleepcycle.store.database import open_store
from tests.faults.conftest import TinyEngine
from tests.faults.invariants import assert_invariants

FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
FEEDERS, ROWS = (32, 10_000) if FULL else (6, 500)
AT_ONCE = 100 if FULL else 25  # rows of one call
RETRIED = 0.05  # of all calls, as a client does that heard no answer
FORK = multiprocessing.get_context("fork")


def feeder(paths, folder, number):
    """Feed rows of one's own, some calls twice; return how long each call took."""
    rng = random.Random(number)
    store = open_store(paths, Settings().store)
    took = []
    for first in range(0, ROWS, AT_ONCE):
        file = folder / f"{number}-{first}.jsonl"
        rows = [{"text": f"feeder {number} row {first + i}"} for i in range(AT_ONCE)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        for _ in range(2 if rng.random() < RETRIED else 1):
            started = time.perf_counter()
            feed_files(
                store, [file], Settings().feed, FeedOptions(), actor=f"user:{number}"
            )
            took.append(time.perf_counter() - started)
    return took


def test_each_row_counts_once_and_nobody_is_turned_away(tmp_path, record_property):
    """
    An error such as "database is locked" would come out of a feeder.
    """
    root = tmp_path / "home"
    create_home(root)
    paths, settings = HomePaths(root), Settings()
    store = open_store(paths, settings.store)
    context = RunContext(store, paths, settings, TinyEngine(), actor="test")
    folder = tmp_path / "files"
    folder.mkdir()
    with FORK.Pool(FEEDERS) as pool:
        calls = pool.starmap_async(
            feeder, [(context.paths, folder, number) for number in range(FEEDERS)]
        )
        learned = 0
        while not calls.ready():
            learned += wake_if_any(context)
            calls.wait(0.05)
        took = sorted(second for one in calls.get() for second in one)
    learned += wake_if_any(context)

    with context.store.read() as session:
        counts = session.connection().exec_driver_sql(
            "SELECT sum(accepted), sum(duplicate), sum(held_out) FROM batch"
        )
        accepted, duplicate, held_out = counts.one()
    retries = len(took) - FEEDERS * ROWS // AT_ONCE
    print(
        f"feeders: {accepted} rows, {duplicate} again, {len(took)} calls, longest "
        f"{took[-1]:.2f} s, 99 % within {took[int(0.99 * len(took))]:.2f} s, "
        f"{learned} learned meanwhile"
    )
    record_property("rows fed by many at once", accepted)
    record_property("calls made twice", retries)
    assert accepted == FEEDERS * ROWS
    assert duplicate == retries * AT_ONCE
    assert learned == accepted - held_out
    assert_invariants(context.paths.root, recover=False)


def wake_if_any(context):
    """Learn what is pending; return how many examples that were."""
    try:
        return run.wake(context, ignore_progress).examples
    except RunError:
        return 0
