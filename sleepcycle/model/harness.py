"""Tasks of lm-evaluation-harness, which is an extra: scored by a worker process."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from sleepcycle.errors import ChildResultError, ChildStartError, HarnessError
from sleepcycle.files import disk
from sleepcycle.files.child_process import WorkerCall, ask_worker, offline_environment
from sleepcycle.records.version import BaseIdentity

LIBRARY = "lm_eval"
ARROWS = {True: "↑", False: "↓", None: ""}  # the way a measure improves
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class HarnessOrder:
    """What the worker is to score."""

    model: Mapping[str, Any]
    """The settings of the base."""

    cache: Path
    expected: BaseIdentity
    device: str
    """As `pick_device` takes it."""

    versions: dict[str, Path | None]
    """Sealed folders by name, None for the bare base."""

    tasks: list[Path]
    """Each a task's YAML file, or a folder whose tasks are all run."""

    limit: int = 0
    """Documents of each task, the first ones; 0 for all."""

    threads: int = 0
    """0 leaves the choice to torch."""


@dataclass(frozen=True, slots=True)
class HarnessLook:
    """Where the worker is to look for tasks; it loads them and their data."""

    tasks: list[Path]


@dataclass(frozen=True, slots=True)
class HarnessTask:
    """A task that can be run."""

    name: str
    path: Path
    """Which of those that were asked for has it."""

    needs: list[str]
    """Files, folders and data sets, as the task names them."""


@dataclass(frozen=True, slots=True)
class HarnessTasks:
    """The tasks that a worker found whole."""

    found: list[HarnessTask]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that a task yields."""

    task: str
    metric: str
    """With the task's filter behind it unless that is `none`, as in `acc,strict`."""

    higher_is_better: bool | None
    """None where the task does not say."""

    @property
    def label(self) -> str:
        """The metric, and an arrow up or down where one way is better."""
        return f"{self.metric} {ARROWS[self.higher_is_better]}".rstrip()


@dataclass(frozen=True, slots=True)
class HarnessScores:
    """What versions score on the harness's tasks."""

    versions: list[str]
    """The columns, as asked for: by default before and after."""

    measures: list[Measure]
    """The rows."""

    matrix: list[list[float]]
    """matrix[i][j]: measure i of version j, in the measure's own unit."""

    errors: list[list[float | None]]
    """As `matrix`: standard errors, None where the harness knows none."""


@dataclass(frozen=True, slots=True)
class HarnessFault:
    """Why the worker could not do what was asked."""

    message: str


def locate_tasks(path: Path) -> Path:
    """Return where tasks lie; a bare task name would be looked up on a hub.

    Raises:
        HarnessError: There is no such file or folder, or it holds no task.
    """
    found = path.expanduser().absolute()
    if found.is_dir() and any(found.rglob("*.yaml")):
        return found
    if found.is_file() and found.suffix == ".yaml":
        return found
    raise HarnessError(
        "expected a task's YAML file on this machine, or a folder that has some, got "
        f"{str(path)!r}; tasks are never downloaded, so copy the task and its data here"
    )


def expect_library() -> None:
    """Refuse to go on where the extra is not installed.

    Raises:
        HarnessError: It is not.
    """
    if find_spec(LIBRARY) is None:
        raise HarnessError(
            "expected lm-evaluation-harness to be installed, and it is not; run: "
            "pip install 'sleepcycle[eval]'"
        )


def score_tasks(order: HarnessOrder, log: Path) -> HarnessScores:
    """Score versions in a worker process.

    The hub is turned off there, and each task's folder is its working directory, so
    that `data_files` may be relative to it. A task's own Python functions are run: use
    only tasks that you trust.

    Args:
        order: What is scored.
        log: Takes what the worker prints.

    Raises:
        HarnessError: A task or its data cannot be loaded or run.
    """
    return _done("score", order, HarnessScores, log)


def look_at_tasks(look: HarnessLook, log: Path) -> HarnessTasks:
    """Load tasks and their data in a worker process, and score nothing.

    The study calls it before its first run, to refuse data that lie elsewhere.

    Raises:
        HarnessError: A task or its data cannot be loaded.
    """
    return _done("look", look, HarnessTasks, log)


def _done(deed: str, order: HarnessOrder | HarnessLook, kind: type[R], log: Path) -> R:
    """Let a worker process do an order, and return what it left.

    Raises:
        HarnessError: The worker wrote why there is none, ended without a record, or
            could not be started.
    """
    disk.make(log.parent)
    try:
        with tempfile.TemporaryDirectory(prefix="sleepcycle-harness-") as place:
            call = WorkerCall(
                "sleepcycle.model.harness_worker",
                Path(place),
                _environment(Path(place) / "cache"),
                log,
                arguments=[deed],
            )
            done = ask_worker(call, order, kind, HarnessFault)
    except ChildStartError as error:
        raise HarnessError(
            f"expected to start the harness, got: {error.reason}"
        ) from error
    except ChildResultError as error:
        raise HarnessError(
            "expected a result from the harness, or why there is none, and it ended "
            f"with exit code {error.exit_code} and neither; see {log}"
        ) from error
    if isinstance(done, HarnessFault):
        raise HarnessError(f"{done.message}; see {log}")
    return done


def _environment(cache: Path) -> dict[str, str]:
    """Return the worker's environment: no hub, and no data set from an earlier time."""
    return offline_environment(
        HF_DATASETS_OFFLINE="1",
        HF_EVALUATE_OFFLINE="1",
        HF_DATASETS_CACHE=str(cache),
        PYTHONDONTWRITEBYTECODE="1",  # nothing is left among the tasks
        TOKENIZERS_PARALLELISM="false",
    )
