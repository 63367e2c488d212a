"""The run folder: what a worker is given, and what it leaves.

`run.json`, `examples.jsonl`, `replay.jsonl`, `today.jsonl`, `known.jsonl`, with anchors
`anchors.jsonl` and, for a night, `dreams.jsonl` go in; `progress.jsonl`, `worker.log`,
`base.json`, `result/`, and `report.json` or `error.json` come out. `checkpoint/` holds
where a wake that was broken off goes on. The folder is the whole contract, so a worker
may run anywhere that can reach it.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Self, TypeVar

from sleepcycle.errors import (
    DiskError,
    SleepcycleError,
    UnlearnableError,
    error_named,
)
from sleepcycle.files import disk
from sleepcycle.files.paths import ADAPTER_CONFIG, HomePaths
from sleepcycle.files.sealed import faults
from sleepcycle.records.codec import dumps, from_json, to_json
from sleepcycle.records.content import canonical_json, from_fields
from sleepcycle.records.example import Dream, Example, SetAside
from sleepcycle.records.progress import Progress, progress_from
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.records.run_order import RunOrder
from sleepcycle.records.version import BaseIdentity

Report = WakeReport | SleepReport
R = TypeVar("R")
DREAMS = "dreams.jsonl"
PAUSED = 75  # exit code of a worker that was asked to pause: EX_TEMPFAIL
STATE = "state.json"  # of a checkpoint: what is no tensor
MAX_DREAMS = 1_000  # of one night that are kept


class ExampleFile(StrEnum):
    """The example files of a run folder."""

    NEW = "examples"
    REPLAY = "replay"
    TODAY = "today"
    """Held-out examples of the batches learned since the last night."""

    KNOWN = "known"
    """Held-out examples of the batches that the live version learned."""

    ANCHORS = "anchors"
    """Questions of the owner; the file is absent where there are none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """Why a worker gave up, as `error.json` holds it."""

    error: str
    """Name of one of our exceptions; empty for one that nobody foresaw."""

    message: str
    errno: int | None = None
    """What the system said where the disk failed, such as that it is full."""

    set_aside: tuple[SetAside, ...] = ()
    """All of a wake's examples, where the base can learn none of them."""

    @classmethod
    def of(cls, error: SleepcycleError) -> Self:
        """Return what is written down of one of our errors."""
        errno = error.errno if isinstance(error, DiskError) else None
        aside = error.set_aside if isinstance(error, UnlearnableError) else ()
        return cls(type(error).__name__, str(error), errno, tuple(aside))

    def to_error(
        self,
        otherwise: type[SleepcycleError],
        among: tuple[type[SleepcycleError], ...] = (SleepcycleError,),
    ) -> SleepcycleError:
        """Return the error that was written down; see `errors.error_named`."""
        return error_named(
            self.error, self.message, self.errno, otherwise=otherwise, among=among
        )


@dataclasses.dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's files."""

    path: Path

    @property
    def result(self) -> Path:
        """Where the worker leaves the adapter."""
        return self.path / "result"

    @property
    def log(self) -> Path:
        """Everything that the worker printed."""
        return self.path / "worker.log"

    @property
    def checkpoints(self) -> Path:
        """Where the worker keeps its state while it trains."""
        return self.path / "checkpoint"

    @property
    def near(self) -> Path:
        """Where a wake keeps turns of the base that begin as its examples do."""
        return self.path / "near.json"

    @property
    def failures(self) -> Path:
        """One line for each worker that ended without a result."""
        return self.path / "failures.jsonl"

    @property
    def progress(self) -> Path:
        """One line a step; its last change is the worker's heartbeat."""
        return self.path / "progress.jsonl"

    def write_order(self, order: RunOrder) -> None:
        """Create the folder with its order."""
        disk.make(self.result)
        self.progress.touch()
        _write(self.path / "run.json", order)

    def read_order(self) -> RunOrder:
        """Return the order."""
        return _read(self.path / "run.json", RunOrder)

    @property
    def home(self) -> HomePaths:
        """The home that it lies in."""
        return HomePaths(self.path.parents[1])

    def locate(self, recorded: Path | None) -> Path | None:
        """Return where a version of the order lies now; None for the bare base.

        The order has the paths of when it was written. The home may have been moved or
        restored elsewhere since then, so only the folder's name counts.
        """
        return self.home.versions / recorded.name if recorded else None

    def write_examples(self, file: ExampleFile, examples: Iterable[Example]) -> None:
        """Write one example file, a line each."""
        lines = (
            f'{{"id":{example.id},"batch":{example.batch},'
            f'"content":{canonical_json(example.content)}}}\n'
            for example in examples
        )
        disk.write_lines(self.path / f"{file}.jsonl", lines)

    def read_examples(self, file: ExampleFile) -> list[Example]:
        """Return the examples of one file."""
        path = self.path / f"{file}.jsonl"
        if file is ExampleFile.ANCHORS and not path.exists():
            return []
        with path.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        return [
            Example(row["id"], row["batch"], from_fields(row["content"]))
            for row in rows
        ]

    def is_given(self) -> bool:
        """Return whether all is there that a wake is given."""
        files = [file for file in ExampleFile if file is not ExampleFile.ANCHORS]
        names = ["run.json", *(f"{file}.jsonl" for file in files)]
        return all((self.path / name).is_file() for name in names)

    def forget(self) -> None:
        """Delete the examples and dreams that it was given, and what it kept of them.

        It cannot go on without them, so this is for a run that is over.
        """
        names = (*(f"{file}.jsonl" for file in ExampleFile), DREAMS)
        given = [*(self.path / name for name in names), self.near]
        disk.remove(*given, *map(disk.partial_of, given), self.checkpoints)

    def checkpoint(self) -> Path | None:
        """Return the newest checkpoint of which every byte holds, if there is one."""
        if not self.checkpoints.is_dir():
            return None
        for folder in sorted(self.checkpoints.iterdir(), reverse=True):
            if folder.is_dir() and not any(faults(folder)):
                return folder
        return None

    def reached(self) -> tuple[int, int]:
        """Return the step of the newest whole checkpoint, and how many were planned.

        Both are 0 where there is none.
        """
        folder = self.checkpoint()
        if folder is None:
            return 0, 0
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        return int(state["step"]), int(state["steps"])

    def reopen(self) -> None:
        """Delete what an earlier worker left half done, so that another can compute it.

        Order, examples, checkpoint, log and progress stay.
        """
        leftover = [self.path / name for name in ("report.json", "error.json")]
        disk.remove(*leftover, self.result)
        disk.make(self.result)

    def count_failure(self, error: str) -> int:
        """Write down that a worker ended without a result; return how many have."""
        old = self.failures.read_text() if self.failures.exists() else ""
        disk.write(self.failures, f"{old}{json.dumps({'error': error})}\n")
        return old.count("\n") + 1

    def append_progress(self, progress: Progress) -> None:
        """Write a heartbeat."""
        with self.progress.open("a", encoding="utf-8") as file:
            file.write(dumps(progress) + "\n")

    def skip_progress(self) -> int:
        """Return where the next heartbeat will be, past what earlier workers wrote."""
        with self.progress.open("r+b") as file:
            written = file.read()
            file.truncate(whole := written.rfind(b"\n") + 1)
        return whole

    def follow_progress(self, start: int = 0) -> Iterator[Progress | None]:
        """Yield each heartbeat once, and None whenever there is none to read.

        Args:
            start: Place in the file, from `skip_progress`.
        """
        with self.progress.open(encoding="utf-8") as file:
            file.seek(start)
            line = ""
            while True:
                line += file.readline()
                if line.endswith("\n"):
                    yield progress_from(json.loads(line))
                    line = ""
                else:
                    yield None

    def write_past(self, dreams: Iterable[Dream]) -> None:
        """Write what past nights dreamt, for this one to learn from."""
        _write_dreams(self.path, dreams)

    def write_dreams(self, dreams: Iterable[Dream]) -> None:
        """Write what was dreamt, up to a bound, to be sealed with the adapter."""
        _write_dreams(self.result, islice(dreams, MAX_DREAMS))

    def write_base(self, base: BaseIdentity) -> None:
        """Write which model the worker really loaded."""
        _write(self.path / "base.json", base)

    def read_base(self) -> BaseIdentity:
        """Return which model the worker loaded."""
        return _read(self.path / "base.json", BaseIdentity)

    def portable_rank(self) -> int:
        """Return the rank of the adapter that the worker left."""
        config = json.loads((self.result / ADAPTER_CONFIG).read_text())
        return int(config["r"])

    def write_report(self, report: Report) -> None:
        """Write the report, the last file: with it the result is complete."""
        _write(self.path / "report.json", report)

    def read_report(self, kind: type[R]) -> R:
        """Return the report of a finished run.

        Raises:
            FileNotFoundError: The worker did not finish.
        """
        return _read(self.path / "report.json", kind)

    def write_fault(self, fault: Fault) -> None:
        """Write why there will be no result."""
        _write(self.path / "error.json", fault)

    def read_set_aside(self) -> tuple[SetAside, ...]:
        """Return what the worker set aside before it gave up, if it did."""
        fault = self.read_fault()
        return fault.set_aside if fault else ()

    def read_fault(self) -> Fault | None:
        """Return why the worker gave up, or None where it did not say."""
        path = self.path / "error.json"
        return _read(path, Fault) if path.exists() else None


def read_dreams(folder: Path) -> list[Dream]:
    """Return the dreams in a run's or a version's folder; none where it has no file."""
    file = folder / DREAMS
    if not file.exists():
        return []
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Dream(row["version"], from_fields(row["content"])) for row in rows]


def _write_dreams(folder: Path, dreams: Iterable[Dream]) -> None:
    """Write dreams, a line each."""
    lines = (
        f'{{"version":{dream.version},"content":{canonical_json(dream.content)}}}\n'
        for dream in dreams
    )
    disk.write_lines(folder / DREAMS, lines)


def _write(path: Path, record: Any) -> None:  # noqa: ANN401
    """Write a record so that readers see all of it or none."""
    disk.write(path, to_json(record))


def _read(path: Path, kind: type[R]) -> R:
    """Read a record that `_write` wrote."""
    return from_json(path.read_text(encoding="utf-8"), kind)
