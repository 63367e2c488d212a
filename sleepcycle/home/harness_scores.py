"""Versions on tasks of lm-evaluation-harness: before and after."""

from collections.abc import Sequence
from pathlib import Path

from sleepcycle.home.versions import VersionRegistry
from sleepcycle.model.harness import (
    HarnessOrder,
    HarnessScores,
    expect_library,
    locate_tasks,
    score_tasks,
)

BEFORE_AFTER = ("v0", "live")


def score_with_harness(
    registry: VersionRegistry, tasks: str, names: Sequence[str] = ()
) -> HarnessScores:
    """Run tasks of lm-evaluation-harness that lie on this machine.

    Args:
        registry: The versions of a home.
        tasks: A task's YAML file, or a folder whose tasks are all run.
        names: Versions or aliases; none for the bare base and live.

    Raises:
        HarnessError: lm-eval is missing, `tasks` is no path, or a task or its data
            cannot be loaded or run.
        VersionError: A version is unknown.
    """
    path = locate_tasks(Path(tasks))
    expect_library()
    found = [registry.get(name) for name in names or BEFORE_AFTER]
    order = HarnessOrder(
        model=registry.settings.model.model_dump(mode="json"),
        cache=registry.paths.cache,
        expected=registry.base,
        device=registry.settings.engine.device,
        versions={version.name: registry.folder(version) for version in found},
        tasks=[path],
    )
    return score_tasks(order, log=registry.paths.logs / "harness.log")
