"""Versions on tasks of lm-evaluation-harness, which is an extra: before and after."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sleepcycle.errors import HarnessError
from sleepcycle.plain import from_json, to_json
from sleepcycle.records import BaseIdentity
from sleepcycle.service.shelf import Shelf

LIBRARY = "lm_eval"
BEFORE_AFTER = ("v0", "live")


@dataclass(frozen=True, slots=True)
class HarnessOrder:
    """What the worker is to score."""

    home: Path
    base: BaseIdentity
    settings: Mapping[str, Any]
    versions: dict[str, Path | None]
    """Sealed folders by name, None for the bare base."""

    tasks: Path
    """A task's YAML file, or a folder whose tasks are all run."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number that a task yields."""

    task: str
    metric: str
    """With the task's filter behind it unless that is `none`, as in `acc,strict`."""

    higher_is_better: bool | None
    """None where the task does not say."""


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
    """Why the worker could not score."""

    message: str


def score_with_harness(
    shelf: Shelf, tasks: str, names: Sequence[str] = ()
) -> HarnessScores:
    """Run tasks of lm-evaluation-harness that lie on this machine.

    A worker process computes, with the hub turned off and the tasks' folder as its
    working directory, so `data_files` may be relative to it. A task's own Python
    functions are run: use only tasks that you trust.

    Args:
        shelf: The versions of a home.
        tasks: A task's YAML file, or a folder whose tasks are all run.
        names: Versions or aliases; none for the bare base and live.

    Raises:
        HarnessError: lm-eval is missing, `tasks` is no path, or a task or its data
            cannot be loaded or run.
        VersionError: A version is unknown.
    """
    path = _local(tasks)
    if find_spec(LIBRARY) is None:
        raise HarnessError(
            "expected lm-evaluation-harness to be installed, and it is not; run: "
            "pip install 'sleepcycle[eval]'"
        )
    found = [shelf.get(name) for name in names or BEFORE_AFTER]
    order = HarnessOrder(
        home=shelf.paths.root,
        base=shelf.base,
        settings=shelf.settings.model_dump(mode="json"),
        versions={version.name: shelf.folder(version) for version in found},
        tasks=path,
    )
    return _compute(order, log=shelf.paths.logs / "harness.log")


def _local(tasks: str) -> Path:
    """Return where tasks lie; a bare task name would be looked up on a hub.

    Raises:
        HarnessError: There is no such file or folder, or it holds no task.
    """
    path = Path(tasks).expanduser().absolute()
    if path.is_dir() and any(path.rglob("*.yaml")):
        return path
    if path.is_file() and path.suffix == ".yaml":
        return path
    raise HarnessError(
        "expected a task's YAML file on this machine, or a folder that has some, got "
        f"{tasks!r}; tasks are never downloaded, so copy the task and its data here"
    )


def _compute(order: HarnessOrder, *, log: Path) -> HarnessScores:
    """Let a worker process do the order, and read what it left."""
    with tempfile.TemporaryDirectory(prefix="sleepcycle-harness-") as place:
        folder = Path(place)
        ordered, result = folder / "order.json", folder / "result.json"
        ordered.write_text(to_json(order), encoding="utf-8")
        with log.open("wb") as stream:
            done = subprocess.run(
                [
                    sys.executable, "-m", "sleepcycle.service.harness_worker",
                    ordered, result,
                ],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=_environment(folder / "cache"),
                check=False,
            )  # fmt: skip
        text = result.read_text(encoding="utf-8") if result.exists() else None
    return read_result(text, done.returncode, log)


def read_result(text: str | None, exit_code: int, log: Path) -> HarnessScores:
    """Read what a worker left; only of one that ended well are these scores.

    Args:
        text: The result file's, None where there is no file.
        exit_code: The worker's.
        log: Where more is to be read.

    Raises:
        HarnessError: The worker says why there are no scores, or died without a word.
    """
    try:
        if exit_code == 0:
            return from_json(text or "", HarnessScores)
        fault = from_json(text or "", HarnessFault)
    except ValueError as error:  # not JSON, or another record
        raise HarnessError(
            "expected scores from the harness, or why there are none, and it ended "
            f"with exit code {exit_code} and neither; see {log}"
        ) from error
    raise HarnessError(f"{fault.message}; see {log}")


def _environment(cache: Path) -> dict[str, str]:
    """Return the worker's environment: no hub, and no data set from an earlier time."""
    return os.environ | {
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_EVALUATE_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(cache),
        "TOKENIZERS_PARALLELISM": "false",
    }
