"""Scores of a plan's lm-evaluation-harness tasks, under a change and without."""

import json
import math
import tempfile
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from sleepcycle.files import disk, sealed
from sleepcycle.model.base import Base
from sleepcycle.model.harness import (
    LIBRARY,
    HarnessLook,
    HarnessOrder,
    HarnessTask,
    expect_library,
    look_at_tasks,
    score_tasks,
)
from sleepcycle.model.portable import write_portable
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle_study.errors import StudyError
from sleepcycle_study.experiment import taskfiles
from sleepcycle_study.experiment.codeprint import codeprint
from sleepcycle_study.experiment.plan import StudyPlan
from sleepcycle_study.experiment.results import HARNESS, fingerprint

VERSION = "asked"

Scores = dict[str, float | None]
"""By task and metric; None where the task yields no number."""


def expect_runnable(plan: StudyPlan, folder: Path) -> None:
    """Refuse a plan whose harness tasks could not be run, before anything else is.

    The tasks and their data are loaded, with neither a model nor the network.

    Args:
        plan: What is run.
        folder: The study's.

    Raises:
        HarnessError: lm-eval is missing, or a task or its data cannot be loaded.
        StudyError: Tasks do not lie by themselves with all that they need, or two of
            them have the same name.
    """
    if not plan.harness:
        return
    found = taskfiles.task_files(plan)
    for entry in found:
        taskfiles.expect_apart(entry.folder, folder)
        taskfiles.expect_whole(entry.folder)
    expect_library()
    look = HarnessLook([entry.path for entry in found])
    tasks = look_at_tasks(look, folder / "cache" / "harness.log").found
    folders = {entry.path: entry.folder for entry in found}
    for task in tasks:
        place = folders[task.path]
        taskfiles.expect_inside(place, place, task.needs, f"the data of {task.name}")
    _expect_own_names(tasks)


def scores(plan: StudyPlan, base: Base, change: LayerChanges, name: str) -> Scores:
    """Score a plan's harness tasks in a process of its own; none where it has none.

    What the bare base scores is remembered in its cache.

    Args:
        plan: Names the tasks.
        base: The base; the process loads another one like it.
        change: What the base carries.
        name: The run's, for what the process prints.

    Raises:
        HarnessError: A task or its data cannot be loaded or run.
        StudyError: A task's file cannot be read.
        AdapterError: The change is of too high a rank, or holds NaN or infinity.
        DiskError: The disk could not keep the scores of the bare base.
    """
    if not plan.harness:
        return {}
    if change:
        with tempfile.TemporaryDirectory(prefix="sleepcycle-study-") as place:
            return _score(plan, base, _seal(base, change, Path(place)), name)
    memory = base.cache / f"harness-{_print(plan, base)}.json"
    if (known := _remembered(memory)) is not None:
        return known
    found = _score(plan, base, None, name)
    disk.write(memory, json.dumps(found))
    return found


def decided_by(plan: StudyPlan) -> dict[str, object]:
    """Return what decides the scores of a plan's harness tasks; nothing without them.

    Raises:
        HarnessError: There are none where the plan says.
        StudyError: A task's file cannot be read.
    """
    if not plan.harness:
        return {}
    tasks = taskfiles.decided_by(plan)
    library = _library()
    return {"harness": {"tasks": tasks, "limit": plan.harness_limit, LIBRARY: library}}


def _library() -> str | None:
    """Return the version of lm-eval, None where it is not installed."""
    try:
        return version(LIBRARY)
    except PackageNotFoundError:
        return None


def _score(plan: StudyPlan, base: Base, folder: Path | None, name: str) -> Scores:
    """Let the harness score one version."""
    order = HarnessOrder(
        model=plan.model.model_dump(mode="json"),
        cache=base.cache,
        expected=base.identity,
        device=str(base.device),
        versions={VERSION: folder},
        tasks=[entry.path for entry in taskfiles.task_files(plan)],
        limit=plan.harness_limit,
        threads=torch.get_num_threads(),
    )
    found = score_tasks(order, base.cache / f"harness-{name}.log")
    return {
        f"{HARNESS}{measure.task}, {measure.label}": _finite(score)
        for measure, (score,) in zip(found.measures, found.matrix, strict=True)
    }


def _seal(base: Base, change: LayerChanges, place: Path) -> Path:
    """Write a change as a version that the harness's process can load."""
    write_portable(place / "stage", change, base.identity, base.targets)
    return sealed.seal(place / "stage", place, VERSION)


def _print(plan: StudyPlan, base: Base) -> str:
    """Return a fingerprint of all that decides what the bare base scores."""
    return fingerprint(
        {
            **decided_by(plan),
            "base": base.identity.sha256,
            "model": plan.model.model_dump(mode="json"),
            "device": base.device.type,
            "code of the study": codeprint(),
        }
    )


def _remembered(memory: Path) -> Scores | None:
    """Return scores that were written before, None where there are none."""
    try:
        found = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _finite(score: float) -> float | None:
    """Return a score, None where it is no number."""
    return score if math.isfinite(score) else None


def _expect_own_names(tasks: Sequence[HarnessTask]) -> None:
    """Refuse two tasks of one name: their scores could not be told apart."""
    name, count = Counter(task.name for task in tasks).most_common(1)[0]
    if count > 1:
        raise StudyError(
            f"expected harness tasks of different names, got {count} called {name!r}; "
            "name each file or folder once, or rename a task"
        )
