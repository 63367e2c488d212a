"""A home that lives days in milliseconds, and what its database holds."""

import json
import os
import signal
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sleepcycle.files import failpoint
from sleepcycle.home.home import Home
from sleepcycle.home.opening import open_home
from sleepcycle.records.content import Text
from sleepcycle.records.example import Dream
from sleepcycle.records.run_order import RunKind
from sleepcycle.runs.context import RunContext
from sleepcycle.settings.configfile import settings_from
from tests.faults.conftest import TinyEngine

SETTINGS = {"engine": {"reserve_mb": 0}, "feed": {"held_out_share": 0.25}}
GROWING = ("alembic_version", "journal")


@dataclass
class DreamingEngine(TinyEngine):
    """Leaves small results; the day's version dreams at night if it is asked to."""

    dreaming: bool = False

    def execute(self, run, on_progress, control=None) -> None:
        super().execute(run, on_progress, control)
        order = run.read_order()
        if self.dreaming and order.kind is RunKind.SLEEP:
            run.write_dreams(
                [Dream(order.day_version, Text(f"of v{order.day_version}"))]
            )


def tiny(root: Path, *, dreaming: bool = False, **settings) -> Home:
    """Open a home whose runs compute nothing."""
    found = open_home(root, settings=settings_from({**SETTINGS, **settings}))
    engine = DreamingEngine(dreaming=dreaming)
    context = RunContext(found.store, found.paths, found.settings, engine, found.actor)
    vars(found)["_context"] = context  # in place of what would start a worker
    return found


def feed(home: Home, name: str, rows: int = 8) -> None:
    """Feed rows that nobody fed before."""
    file = home.paths.root.parent / f"{name}.jsonl"
    file.write_text(
        "".join(json.dumps({"text": f"{name} {i}"}) + "\n" for i in range(rows))
    )
    home.feed(file)


def live_days(home: Home, *names: str) -> None:
    """Feed, wake and sleep, once for each name."""
    for name in names:
        feed(home, name)
        home.wake()
        home.sleep()


def rows_of(root: Path, *, but: tuple[str, ...] = GROWING) -> dict[str, list[tuple]]:
    """Return every row of a home's database, by table."""
    uri = f"{(root / 'sleepcycle.db').as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        tables = [
            name
            for (name,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
            )
        ]
        return {
            table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr)
            for table in tables
            if table not in but
        }


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def killed_at(place: str, count: int, action) -> bool:
    """Do something in a process that dies as it passes a place; say whether it died."""
    pid = os.fork()
    if pid == 0:
        failpoint._name, failpoint._left = place, count
        try:
            action()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
