"""A new home, and short ways to fill its database."""

import os
import shutil
from datetime import UTC, datetime

import pytest

from sleepcycle.files import process_identity
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.content import Text, canonical_json, content_hash, is_held_out
from sleepcycle.records.example import FeedReport
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.version import BaseIdentity, Version, VersionKind
from sleepcycle.settings.config import StoreSettings
from sleepcycle.store import batch_table, example_table, run_table, version_table
from sleepcycle.store.database import create_store, open_store
from sleepcycle.store.values import ExampleState

BASE = BaseIdentity("builtin:nano", None, "ab" * 32)
SETTINGS = StoreSettings(busy_timeout_s=0.2)
SHARE = 0.25


@pytest.fixture
def paths(tmp_path):
    return HomePaths(tmp_path / "home")


@pytest.fixture(scope="session")
def new_home(tmp_path_factory):
    """A home just made; the tests work on copies, as migrating takes its time."""
    paths = HomePaths(tmp_path_factory.mktemp("new") / "home")
    create_store(paths, SETTINGS, BASE)
    return paths.root


@pytest.fixture
def store(new_home, paths):
    shutil.copytree(new_home, paths.root)
    return open_store(paths, SETTINGS)


@pytest.fixture
def session(store):
    with store.write() as session:
        yield session


def add_batch(session, texts, share=SHARE):
    """Add texts as one batch, held out as the door would, and return its number."""
    batch = batch_table.add(session, "test", "text", share)
    lines = [canonical_json(Text(text)) for text in texts]
    rows = [(content_hash(line), line, None, None) for line in lines]
    pending = [row for row in rows if not is_held_out(row[0], share)]
    held_out = [row for row in rows if is_held_out(row[0], share)]
    accepted = example_table.add(session, batch, ExampleState.PENDING, pending)
    accepted += example_table.add(session, batch, ExampleState.HELD_OUT, held_out)
    report = FeedReport(
        batch=batch,
        lines=len(texts),
        accepted=accepted,
        duplicate=len(texts) - accepted,
        quarantined=0,
        held_out=len(held_out),
        reasons={},
    )
    batch_table.close(session, batch, report)
    return batch


def add_version(session, parents=(0,), batches=None, run=None, accepted=True):
    """Add a wake version and return its number."""
    number = version_table.next_number(session)
    version = Version(
        number=number,
        kind=VersionKind.WAKE,
        folder=f"v{number:04d}-abc",
        parents=tuple(parents),
        rank=16,
        accepted=accepted,
        created_at=datetime(2026, 11, 23, 12, number, tzinfo=UTC),
        run=run,
    )
    version_table.add(
        session, version, BASE, card='{"seed": 42}', batches=batches or {}
    )
    return number


def start_run(session):
    """Start a wake of this process and return its number."""
    return run_table.start(
        session, RunKind.WAKE, os.getpid(), process_identity.started(os.getpid())
    )


def train(session, limit=1_000, parents=(0,)):
    """Let a new version learn what is pending, and return its number."""
    run = start_run(session)
    learned = example_table.claim(session, run, limit)
    by_batch = {}
    for example in learned:
        by_batch[example.batch] = by_batch.get(example.batch, 0) + 1
    version = add_version(session, parents, by_batch, run)
    example_table.mark_trained(session, run, version)
    return version
