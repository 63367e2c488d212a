"""A home under a conductor whose engine computes nothing, and waits when it is told."""

import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from sleepcycle.daemon.executor import Clocks
from sleepcycle.daemon.reload import ReloadableHome
from sleepcycle.daemon.scheduler import Scheduler
from sleepcycle.errors import Interrupted, Paused
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.home import Home
from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.records.example import FeedReport
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunRequest
from sleepcycle.runs.context import RunContext
from sleepcycle.store import batch_table, example_table, night_table
from sleepcycle.store.values import ExampleState
from tests.journaled import journal_entries
from tests.runs.conftest import FakeEngine

MORNING = datetime(2026, 3, 3, 10, tzinfo=UTC)
"""When the home was made; nights are at 03:00 UTC."""

NIGHT = datetime(2026, 3, 4, 3, tzinfo=UTC)
PATIENCE_S = 10.0
HOUR = timedelta(hours=1)
STEP = Progress("wake", 1, 2, loss=1.5)


class Engine(FakeEngine):
    """Leaves a result at once, or once it is let; heeds its control while it waits."""

    def __init__(self):
        super().__init__()
        self.fault = None
        self.heard = None
        self._begun, self._go = threading.Event(), threading.Event()
        self._go.set()

    def hold(self):
        """Let the next run wait."""
        self._begun.clear()
        self._go.clear()

    def wait_begun(self):
        """Wait until a run that was held has begun."""
        assert self._begun.wait(PATIENCE_S)

    def release(self):
        """Let the run come to its end."""
        self._go.set()

    def execute(self, run, on_progress, control):
        on_progress(STEP)
        self._begun.set()
        gone = False
        while not gone:
            gone = self._go.wait(0.002)
            if control.request is not None:
                self.heard = control.request
                raise {RunRequest.PAUSE: Paused, RunRequest.CANCEL: Interrupted}[
                    control.request
                ]("")
        if self.fault is not None:
            raise self.fault
        super().execute(run, on_progress, control)


@dataclass(frozen=True)
class FakeHome(Home):
    """A home whose runs are computed by that engine."""

    engine: Engine = field(default_factory=Engine)
    meanwhile: Callable[[], None] = lambda: None
    """Called while a version is promoted."""

    def promote(self, name):
        with self._alone():
            self.meanwhile()
        return super().promote(name)

    @cached_property
    def _context(self):
        return RunContext(
            self.store, self.paths, self.settings, self.engine, self.actor
        )


class FakeHomes(ReloadableHome):
    """Opens such homes."""

    engine: Engine
    meanwhile = staticmethod(lambda: None)

    def open(self, actor):
        home = (self.paths, self.settings, actor, self.engine, self.meanwhile)
        return FakeHome(*home)


class Desk:
    """A conductor, and what a test does around it."""

    def __init__(self, root: Path, settings):
        self.paths = HomePaths(root)
        self.reloadable = FakeHomes(self.paths, settings)
        self.reloadable.engine = self.engine = Engine()
        self.home = self.reloadable.open("test")
        self.now = MORNING
        self.moment = 1000.0
        self.disk_errors = []
        self.scheduler = self.restart()

    def restart(self):
        """Return a conductor as another process would have it."""
        self.scheduler = Scheduler(
            self.reloadable,
            clocks=Clocks(lambda: self.now, lambda: self.moment),
            on_disk_error=self.disk_errors.append,
        )
        return self.scheduler

    def set(self, section, **values):
        """Change settings, as a reload does."""
        changed = getattr(self.reloadable.settings, section).model_copy(update=values)
        self.reloadable.settings = self.reloadable.settings.model_copy(
            update={section: changed}
        )

    def feed(self, *texts):
        """Put texts into the books."""
        lines = [canonical_json(Text(text)) for text in texts]
        rows = [(content_hash(line), line, None, None) for line in lines]
        with self.home.store.write() as session:
            batch = batch_table.add(session, "test", "text", 0.05)
            example_table.add(session, batch, ExampleState.PENDING, rows)
            report = FeedReport(batch, len(rows), len(rows), 0, 0, 0, {})
            batch_table.close(session, batch, report)

    def learn(self, *texts):
        """Live through one wake."""
        self.feed(*texts)
        outcome = self.scheduler.wake().result(PATIENCE_S)
        self.settle()
        return outcome

    def consider(self, passed=timedelta()):
        """Let time pass and look; return what came of the run that began, if any."""
        self.now += passed
        self.moment += passed.total_seconds()
        run = self.scheduler.consider()
        if run is None:
            return None
        run.exception(PATIENCE_S)
        self.settle()
        return run

    def look_elsewhere(self, patience_s=0.2):
        """Let another thread look; say whether it is done or waits for this one."""
        done = threading.Event()

        def look():
            self.scheduler.consider()
            done.set()

        threading.Thread(target=look, name="run", daemon=True).start()
        return "done" if done.wait(patience_s) else "waits"

    def settle(self):
        """Wait until what ran is let go of, and what began after it."""
        while on := [t for t in threading.enumerate() if t.name == "run"]:
            on[0].join(PATIENCE_S)
            assert not on[0].is_alive()

    def night(self):
        """Return the newest night."""
        with self.home.store.read() as session:
            return night_table.last(session)

    def journal(self):
        """Return who did what, oldest first."""
        with self.home.store.read() as session:
            entries = journal_entries(session, 100)
        return [(entry.actor, entry.action) for entry in reversed(entries)]

    def runs(self):
        """Return kind and state of each run, oldest first."""
        return [(run.kind, run.state) for run in reversed(self.home.runs.listing())]


def backdate(root: Path):
    """Let a home have been made in the morning."""
    with closing(sqlite3.connect(HomePaths(root).database)) as connection:
        connection.execute("UPDATE version SET created_at = ?", [MORNING.isoformat()])
        connection.commit()


def copy_home(made: Path, root: Path):
    """Copy a home that was made once."""
    shutil.copytree(made, root)
    return root
