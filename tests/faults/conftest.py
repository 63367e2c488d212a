"""Whole days in milliseconds: a new home, an engine that computes nothing, a script."""

import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sleepcycle.backup.gc import clear
from sleepcycle.errors import RunError, VersionError
from sleepcycle.files import disk
from sleepcycle.files.runfolder import STATE, ExampleFile, RunFolder
from sleepcycle.files.sealed import seal
from sleepcycle.home.home import Home
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.example import FeedReport
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.verdict import Loss, Verdict
from sleepcycle.records.version import BaseIdentity
from sleepcycle.runs.context import RunContext
from sleepcycle.settings.config import Settings
from sleepcycle.settings.configfile import settings_from
from tests.faults.invariants import Seen, assert_invariants, surroundings
from tests.faults.shim import Counting

FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
BASE = BaseIdentity("builtin:nano", None, "ab" * 32)
LOSS = Loss(live=2.0, candidate=1.0, examples=4, tokens=40)
LINES = 12  # of each file that is fed
NOTHING = ("nothing to learn", "nothing to consolidate", "nothing was live before")
"""What a step may say that was done before the fault already."""


@dataclass
class TinyEngine:
    """Leaves a small valid result, and computes nothing."""

    accepts: bool = True
    checkpoints: bool = False
    """Leave a checkpoint before the result, so that a wake can go on from there."""

    def execute(self, run: RunFolder, on_progress, control=None) -> None:
        """Leave what a worker leaves."""
        order = run.read_order()
        if self.checkpoints and order.kind is RunKind.WAKE:
            leave_checkpoint(run)
        weights = f"weights of run {order.run}".encode() * 8
        (run.result / "adapter_model.safetensors").write_bytes(weights)
        (run.result / "adapter_config.json").write_text(json.dumps({"r": 16}))
        run.write_base(BASE)
        verdict = Verdict(self.accepts, "because", LOSS, LOSS, finite=True)
        if order.kind is RunKind.SLEEP:
            run.write_dreams([])
            run.write_report(
                SleepReport(seconds=0.1, rank=16, kept_energy=0.99, verdict=verdict)
            )
        else:
            learned = len(run.read_examples(ExampleFile.NEW))
            run.write_report(dataclasses.replace(WAKE_REPORT, examples=learned))


def leave_checkpoint(run: RunFolder) -> None:
    """Seal a checkpoint, as a worker does after some steps."""
    stage = run.checkpoints / "stage"
    disk.remove(run.checkpoints)
    disk.make(stage)
    (stage / STATE).write_text('{"step": 1, "steps": 2}')
    seal(stage, run.checkpoints, "000001")


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
    verdict=Verdict(True, "because", LOSS, LOSS, finite=True),
    live_rank=0,
    day_rank=16,
)


def open_tiny(root: Path, settings: Settings | None = None) -> Home:
    """Open a home whose runs compute nothing."""
    home = open_home(root, settings=settings)
    engine = TinyEngine(checkpoints=True)
    context = RunContext(home.store, home.paths, home.settings, engine, home.actor)
    vars(home)["_context"] = context  # in place of what would start a worker
    return home


@dataclass
class Day:
    """A day's script over one home, and all that was acknowledged in it."""

    root: Path
    settings: Settings
    fed: list[FeedReport] = field(default_factory=list)
    seen: Seen = field(default_factory=dict)
    around: dict[str, int] = field(default_factory=dict)

    @property
    def steps(self) -> list[Callable[[Home], object]]:
        """What happens in the day, one thing after the other."""
        return [
            lambda home: self.feed(home, "monday"),
            lambda home: home.wake(),
            lambda home: self.feed(home, "tuesday"),
            lambda home: home.wake(),
            lambda home: home.sleep(),
            lambda home: home.rollback(),
            lambda home: home.promote("previous"),
            lambda home: clear(home.versions, keep=0),
        ]

    def file(self, name: str) -> Path:
        """Return where a file to feed lies."""
        return self.root.parent / "files" / f"{name}.jsonl"

    def feed(self, home: Home, name: str) -> FeedReport:
        """Feed a file of that name, and note what was acknowledged."""
        report = home.feed(self.file(name))
        self.fed.append(report)
        return report

    def live(self, home: Home | None = None) -> None:
        """Live through the day; what was done before a fault is not done again."""
        home = home or self.open()
        for step in self.steps:
            try:
                step(home)
            except (RunError, VersionError) as error:
                if not str(error).startswith(NOTHING):
                    raise

    def open(self) -> Home:
        """Open the home."""
        return open_tiny(self.root, self.settings)

    def check(self) -> None:
        """Assert the invariants, and that nothing acknowledged is lost."""
        assert_invariants(self.root, seen=self.seen, around=self.around)
        home = self.open()
        assert not any(home.versions.verify().values())
        batches = {batch.id: batch for batch in home.batches.listing()}
        for report in self.fed:
            kept = batches[report.batch]
            assert (kept.lines, kept.accepted) == (report.lines, report.accepted)

    def finish(self) -> None:
        """Live through what is left of the day, and assert that all was learned."""
        self.live()
        self.check()
        counts = self.open().status().counts
        assert (counts.pending, counts.claimed) == (0, 0)
        assert counts.accepted == 2 * LINES
        assert counts.known + counts.held_out == counts.accepted


def pytest_terminal_summary(terminalreporter):
    """Say how many faults were tried, of each kind that tests have recorded."""
    totals: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        if report.when == "call":
            totals.update({k: n for k, n in report.user_properties if type(n) is int})
    if totals:
        terminalreporter.section("faults survived")
    for name, number in sorted(totals.items()):
        terminalreporter.write_line(f"{number:>8,} {name}")


@pytest.fixture(scope="session")
def new_home(tmp_path_factory) -> Path:
    """A home just made; days are lived in copies of it."""
    root = tmp_path_factory.mktemp("new") / "home"
    create_home(root)
    return root


@pytest.fixture(scope="session")
def settings() -> Settings:
    """Settings that need no room beyond what is written."""
    return settings_from(
        {"engine": {"reserve_mb": 0}, "feed": {"held_out_share": 0.25}}
    )


@pytest.fixture
def new_day(new_home, tmp_path, settings) -> Callable[[], Day]:
    """Begin a day in a new home, always at the same place."""

    def begin() -> Day:
        shutil.rmtree(tmp_path / "place", ignore_errors=True)
        return begin_day(tmp_path / "place", new_home, settings)

    return begin


def begin_day(place: Path, new_home: Path, settings: Settings) -> Day:
    """Begin a day in a copy of a new home, with other things beside it."""
    shutil.copytree(new_home, place / "home")
    (place / "sentinel").write_text("not ours")
    (place / "files").mkdir()
    for name in ("monday", "tuesday"):
        rows = [{"text": f"{name} {line}"} for line in range(LINES)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (place / "files" / f"{name}.jsonl").write_text(lines)
    return Day(place / "home", settings, around=surroundings(place / "home"))


@pytest.fixture(scope="session")
def calls(new_home, settings, tmp_path_factory) -> Counter[str]:
    """How often a day without a fault makes each call of the file layer."""
    system = Counting()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(disk, "system", system)
        begin_day(tmp_path_factory.mktemp("calls") / "place", new_home, settings).live()
    return system.calls


@pytest.fixture
def through(monkeypatch) -> Callable[[disk.System], None]:
    """Let the file layer call something else than the system."""

    def put(system: disk.System) -> None:
        monkeypatch.setattr(disk, "system", system)

    return put
