"""A new home to feed, and a short way to feed it."""

import io
import json
import shutil

import pytest

from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.feed.shapes import AS_THEY_ARE
from sleepcycle.feed.sources import read_source
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.content import parse_canonical
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import FeedSettings, StoreSettings
from sleepcycle.store import batch_table
from sleepcycle.store.database import create_store, open_store

SETTINGS = FeedSettings(max_row_bytes=1_000, preview_bytes=100)
LENIENT = FeedSettings(max_bad_ratio=1.0, held_out_share=0.0)


@pytest.fixture(scope="session")
def new_home(tmp_path_factory):
    """A home just made; the tests work on copies, as migrating takes its time."""
    paths = HomePaths(tmp_path_factory.mktemp("new") / "home")
    create_store(paths, StoreSettings(), BaseIdentity("builtin:nano", None, ""))
    return paths.root


@pytest.fixture
def store(new_home, tmp_path):
    paths = HomePaths(tmp_path / "home")
    shutil.copytree(new_home, paths.root)
    return open_store(paths, StoreSettings())


@pytest.fixture
def feed(store, tmp_path):
    """Feed one file with some bytes, and return the report."""

    def act(data, name="a.jsonl", settings=LENIENT, **options):
        path = tmp_path / name
        path.write_bytes(data)
        return feed_files(
            store, [path], settings, FeedOptions(**options), actor="user:test"
        )

    return act


@pytest.fixture
def stored(store):
    """Return the content of every example, oldest first."""

    def act():
        with store.read() as session:
            rows = session.connection().exec_driver_sql(
                "SELECT content FROM example ORDER BY id"
            )
            return [parse_canonical(content) for (content,) in rows]

    return act


@pytest.fixture
def bad(store):
    """Return every bad row."""

    def act():
        with store.read() as session:
            return list(batch_table.bad_rows(session, None))

    return act


def jsonl(*values):
    """Write values as JSONL."""
    return "".join(json.dumps(value) + "\n" for value in values).encode()


def read(data, name="a.jsonl", settings=SETTINGS, wanted=AS_THEY_ARE):
    """Return the rows of some bytes with a name."""
    stream = io.BytesIO(data)
    stream.name = name
    return list(read_source(stream, settings, wanted))


def values(rows):
    """Return the value of each row, or the code of its fault."""
    return [row.fault.code if row.fault else row.value for row in rows]


def figures(report):
    """Return lines, accepted, duplicate and quarantined."""
    return report.lines, report.accepted, report.duplicate, report.quarantined
