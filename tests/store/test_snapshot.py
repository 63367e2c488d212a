import subprocess
import sys
import textwrap

import pytest

from sleepcycle.errors import HomeError, StoreError
from sleepcycle.records import FeedReport, RunState
from sleepcycle.store import batches, examples, runs, versions
from sleepcycle.store.records import Alias
from sleepcycle.store.snapshot import read_snapshot
from tests.store.conftest import add_batch, start_run, train


def fill(session):
    """Put something in every place that a snapshot shows."""
    add_batch(session, [f"text {number}" for number in range(40)])
    bad = batches.add(session, "bad", "", 0.0)
    batches.close(session, bad, FeedReport(bad, 3, 0, 1, 2, 0, {}))
    first = train(session, limit=5)
    second = train(session, limit=3, parents=(0, first))
    versions.point(session, Alias.LIVE, second)
    versions.point(session, Alias.PREVIOUS, first)
    versions.set_alias(session, "best", first)
    runs.finish(session, 1, RunState.DONE, report="{}", error=None)
    runs.finish(session, 2, RunState.FAILED, report=None, error="no disk")
    examples.claim(session, start_run(session), 2)
    add_batch(session, ["gone"], share=0.0)
    examples.exclude_batch(session, 3)


def test_it_says_what_the_store_says(paths, store):
    with store.write() as session:
        fill(session)

    snapshot = read_snapshot(paths)

    with store.read() as session:
        assert snapshot.counts == examples.counts(session)
        assert snapshot.aliases == versions.aliases(session)
        assert list(snapshot.versions) == versions.list_versions(session)
        assert list(snapshot.runs) == runs.list_runs(session, 10)
        assert snapshot.base == versions.base(session)
    assert snapshot.counts.quarantined == 2
    assert snapshot.counts.excluded == 1
    assert (snapshot.live, snapshot.previous, snapshot.day) == ("v2", "v1", None)
    assert snapshot.state == "wake"


def test_a_new_home_is_ready(paths, store):
    snapshot = read_snapshot(paths)

    assert (snapshot.state, snapshot.live, snapshot.previous) == ("ready", "v0", None)


def test_it_needs_neither_sqlalchemy_nor_torch(paths, store):
    script = f"""
        import sys
        from pathlib import Path
        from sleepcycle.paths import HomePaths
        from sleepcycle.store.snapshot import read_snapshot

        read_snapshot(HomePaths(Path({str(paths.root)!r})))
        heavy = {{"sqlalchemy", "alembic", "torch", "pydantic", "numpy"}}
        sys.exit(", ".join(heavy & set(sys.modules)) or None)
    """

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_home_is_named(paths):
    with pytest.raises(HomeError, match=r"no home at .*; make one: sleepcycle"):
        read_snapshot(paths)


def test_a_damaged_home_is_named(paths):
    paths.root.mkdir()
    paths.database.write_bytes(b"no database\n" * 1_000)

    with pytest.raises(StoreError, match="damaged; put back"):
        read_snapshot(paths)
