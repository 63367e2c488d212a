"""A context over a new home, with an engine that computes nothing."""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from loguru import logger

from sleepcycle.errors import Paused, RunError
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.files.sealed import seal
from sleepcycle.records.content import Text, canonical_json, content_hash
from sleepcycle.records.example import Dream, FeedReport
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.verdict import Loss, Verdict
from sleepcycle.records.version import BaseIdentity
from sleepcycle.runs.context import RunContext
from sleepcycle.settings.config import Settings, StoreSettings
from sleepcycle.store import batch_table, example_table
from sleepcycle.store.database import create_store, open_store
from sleepcycle.store.values import ExampleState

BASE = BaseIdentity("builtin:nano", None, "ab" * 32)


@dataclass
class FakeEngine:
    """Leaves a result without computing, or does what a test asks instead."""

    accepts: bool = True
    instead: Callable[[RunFolder], None] | None = None
    dreams: Sequence[Dream] = ()
    orders: list[RunFolder] = field(default_factory=list)
    """Copies of what it was given, since a run forgets its examples."""

    def execute(self, run, on_progress, control):
        seen = run.path.parents[2] / f"given-{len(self.orders)}"
        shutil.copytree(run.path, seen)
        self.orders.append(RunFolder(seen))
        if self.instead is not None:
            return self.instead(run)
        order = run.read_order()
        (run.result / "adapter_model.safetensors").write_bytes(
            f"weights of run {order.run}".encode()
        )
        (run.result / "adapter_config.json").write_text(json.dumps({"r": 16}))
        run.write_base(BASE)
        if order.kind is RunKind.SLEEP:
            run.write_dreams(self.dreams)
        run.write_report(
            WAKE_REPORT if order.kind is RunKind.WAKE else sleep_report(self.accepts)
        )


def leave_checkpoint(run, step=120, steps=400):
    """Leave a checkpoint in a run folder, as a worker does."""
    stage = run.checkpoints / "stage"
    stage.mkdir(parents=True)
    (stage / "state.json").write_text(json.dumps({"step": step, "steps": steps}))
    return seal(stage, run.checkpoints, f"{step:06d}")


def pause(run):
    """Break a run off at a checkpoint."""
    leave_checkpoint(run)
    raise Paused("paused at a checkpoint")


def lose_worker(run):
    """Lose the worker when it has kept a checkpoint."""
    if run.checkpoint() is None:
        leave_checkpoint(run)
    raise RunError("the worker was ended by SIGKILL")


def verdict(accepted: bool) -> Verdict:
    """Return a verdict with plausible losses."""
    loss = Loss(live=2.0, candidate=1.0, examples=4, tokens=40)
    return Verdict(accepted, "because", loss, loss, finite=True)


WAKE_REPORT = WakeReport(
    examples=3,
    cut=0,
    replayed=0,
    steps=2,
    tokens=60,
    seconds=1.0,
    tokens_per_second=60.0,
    loss_first=2.0,
    loss_last=1.0,
    best_step=2,
    stopped_early=False,
    held_out=((2, 1.0),),
    verdict=verdict(True),
    live_rank=0,
    day_rank=16,
)


def sleep_report(accepted: bool) -> SleepReport:
    """Return what a night reports."""
    return SleepReport(
        seconds=0.1, rank=16, kept_energy=0.99, verdict=verdict(accepted)
    )


@pytest.fixture
def logged():
    """What is logged while a test runs."""
    out = io.StringIO()
    number = logger.add(out, format="{message}")
    yield out
    logger.remove(number)


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture(scope="session")
def new_home(tmp_path_factory):
    """A home just made; the tests work on copies, as migrating takes its time."""
    paths = HomePaths(tmp_path_factory.mktemp("new") / "home")
    paths.root.mkdir()
    for folder in (paths.versions, paths.runs, paths.staging):
        folder.mkdir()
    create_store(paths, StoreSettings(), BaseIdentity("builtin:nano", None, ""))
    return paths.root


@pytest.fixture
def context(new_home, tmp_path, engine):
    paths, settings = HomePaths(tmp_path / "home"), Settings()
    shutil.copytree(new_home, paths.root)
    store = open_store(paths, settings.store)
    return RunContext(store, paths, settings, engine, actor="test")


@pytest.fixture
def feed(context):
    """Put texts into the store as one batch, `held_out` of them held out."""

    def put(*texts: str, held_out: int = 0) -> int:
        rows = [
            (content_hash(line), line, None, None)
            for line in (canonical_json(Text(text)) for text in texts)
        ]
        with context.store.write() as session:
            batch = batch_table.add(session, "test", "text", 0.05)
            example_table.add(session, batch, ExampleState.HELD_OUT, rows[:held_out])
            example_table.add(session, batch, ExampleState.PENDING, rows[held_out:])
            report = FeedReport(batch, len(rows), len(rows), 0, 0, held_out, {})
            batch_table.close(session, batch, report)
        return batch

    return put
