"""Whole days killed at every named place, and at random moments, again and again.

Each try is a process of its own that goes on in the same home: it recovers, feeds,
wakes, sleeps and goes back, and is killed somewhere on the way. 80 kills in the short
form; 2,000 with `SLEEPCYCLE_FAULTS=full`.
"""

import os
import random
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from sleepcycle.errors import RunError, VersionError
from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.files import failpoint
from sleepcycle.files.paths import PACKAGE, HomePaths
from sleepcycle.home.lock import locked
from sleepcycle.home.opening import create_home
from sleepcycle.home.versions import VersionRegistry
from sleepcycle.records.progress import ignore_progress
from sleepcycle.runs import recovery, run
from sleepcycle.runs.context import RunContext
from sleepcycle.settings.config import Settings
from sleepcycle.store.database import open_store
from tests.faults.conftest import TinyEngine
from tests.faults.invariants import assert_invariants

FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
KILLS = 2_000 if FULL else 80
GROUPS = 8 if FULL else 2  # each in a home of its own
HOME_DAYS = 40  # then a new home, since checks look at every version
DAY_S = 0.35  # what a day takes about; random kills fall within it
ROWS = 8
ABSENT = ("migrate.", "restore.", "backup.", "gc.", "inbox.", "checkpoint.", "daemon.")
"""Places that a day of this kind does not pass; others' tests die there."""


def places():
    """Return every named place that a day may pass."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        found |= set(re.findall(r'failpoint\("([a-z_.]+)"\)', file.read_text()))
    return sorted(name for name in found if not name.startswith(ABSENT))


class Day:
    """One process's day in a home; it tells what was acknowledged."""

    def __init__(self, root, number, told):
        self.paths = HomePaths(root)
        self.number = number
        self.told = told

    def live(self):
        """Recover, feed, wake, sleep, and on some days go back."""
        settings = Settings()
        store = open_store(self.paths, settings.store)
        context = RunContext(store, self.paths, settings, TinyEngine(), "user:test")
        with locked(self.paths):
            recovery.recover(context)
        self.tell("ready")
        self.feed(store, settings)
        for kind in (run.wake, run.sleep):
            with locked(self.paths):
                recovery.recover(context)
                kind(context, ignore_progress)
            self.tell(kind.__name__)
        if self.number % 3 == 0:
            shelf = VersionRegistry(
                self.paths, settings, store, "user:test", lambda: locked(self.paths)
            )
            try:
                requeue = self.number % 2 == 0
                shelf.switch("previous", action="rollback", requeue=requeue)
            except VersionError:
                return
            self.tell("rollback")

    def feed(self, store, settings):
        """Feed rows that nobody fed before."""
        file = self.paths.root.parent / f"day-{self.number}.jsonl"
        rows = [f'{{"text": "day {self.number} row {i}"}}\n' for i in range(ROWS)]
        file.write_text("".join(rows))
        feed_files(store, [file], settings.feed, FeedOptions(), actor="user:test")
        self.tell(f"fed {self.number}")

    def tell(self, word):
        """Say what is done, where a kill cannot take it back."""
        os.write(self.told, f"{word}\n".encode())


def killed_day(root, number, place, delay):
    """Live a day in a process that is killed; return its words and how it ended."""
    reading, told = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        code = 1
        try:
            if place:
                failpoint._name, failpoint._left = place
            Day(root, number, told).live()
            code = 0
        except RunError:
            code = 3  # nothing to learn after a day that was cut short: no fault
        finally:
            os._exit(code)
    os.close(told)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
    with os.fdopen(reading) as words:
        said = words.read().split("\n")
    _, status = os.waitpid(child, 0)
    return said, status


def accepted(paths):
    """Return the text of every example in a home."""
    store = open_store(paths, Settings().store)
    with store.read() as session:
        rows = session.connection().exec_driver_sql("SELECT content FROM example")
        return "\n".join(content for (content,) in rows)


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_day_killed_anywhere_loses_nothing(tmp_path, group, record_property):
    rng = random.Random(f"kills/{group}")
    named = places()
    ends: Counter[str] = Counter()
    root, seen, fed, number = Path(), {}, [], 0
    while ends["killed"] < KILLS // GROUPS:
        if number % HOME_DAYS == 0:
            root, seen, fed = tmp_path / f"home-{number}" / "home", {}, []
            root.parent.mkdir()
            create_home(root)
        number += 1
        by_name = rng.random() < 0.6
        place = (rng.choice(named), rng.choice([1, 1, 1, 2, 3])) if by_name else None
        delay = None if by_name else rng.uniform(0, DAY_S)

        said, status = killed_day(root, number, place, delay)

        dead = os.WIFSIGNALED(status)
        assert dead or os.WEXITSTATUS(status) in {0, 3}, (place, delay, status)
        ends["killed" if dead else "lived"] += 1
        ends["in recovery"] += dead and "ready" not in said
        ends["by name"] += dead and by_name
        fed += [word.split()[1] for word in said if word.startswith("fed ")]
        assert_invariants(root, seen=seen)
        stored = accepted(HomePaths(root))
        for day in fed:
            for row in range(ROWS):
                assert f"day {day} row {row}" in stored, (place, delay)
    for end in ("killed", "by name", "in recovery"):
        record_property(f"days {end}", ends[end])
