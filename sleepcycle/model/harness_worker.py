"""The harness's worker: scores versions with lm-eval in a process of its own.

    python -m sleepcycle.model.harness_worker score|look ORDER.json RESULT.json

lm-eval sets global seeds and logs as it likes, and no network must be reached whatever
a task names; neither may happen to the process of whoever asked.
"""

from sleepcycle.files.child_process import end_with_parent

if __name__ == "__main__":
    end_with_parent()  # before what takes seconds to load

import math
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sleepcycle.errors import HarnessError, SleepcycleError
from sleepcycle.model import adapters
from sleepcycle.model.base import Base, load_base, pick_device
from sleepcycle.model.harness import (
    HarnessFault,
    HarnessLook,
    HarnessOrder,
    HarnessScores,
    HarnessTask,
    HarnessTasks,
    Measure,
)
from sleepcycle.model.portable import load_sealed
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.settings.config import ModelSettings

if TYPE_CHECKING:
    from lm_eval.tasks import TaskManager

ADAPTER = "harnessed"
ERROR = "_stderr"
LOOKED_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
SENT_TO = {"socket.connect", "socket.sendto", "socket.sendmsg"}
DRAWS = 1000  # for the standard error of what is no mean, such as perplexity

Scored = dict[Measure, tuple[float, float | None]]
"""A version's value of each measure, and its standard error."""

BATCH_SIZE = 32  # questions of the harness at once


def main(deed: str, ordered: Path, result: Path) -> int:
    """Do one order; return the exit code."""
    sys.addaudithook(refuse_network)
    kind, do = DEEDS[deed]
    order: HarnessLook | HarnessOrder
    order = from_json(ordered.read_text(encoding="utf-8"), kind)
    try:
        done = do(order)
    except SleepcycleError as error:
        _give_up(result, str(error))
        return 1
    except Exception as error:  # lm-eval raises whatever its tasks' code raises
        first = str(error).strip().split("\n")[0]
        _give_up(
            result,
            f"expected lm-eval to run {', '.join(map(str, order.tasks))} on local "
            f"data, got {type(error).__name__}: {first}",
        )
        raise
    result.write_text(to_json(done), encoding="utf-8")
    return 0


def look(order: HarnessLook) -> HarnessTasks:
    """Load tasks and their data.

    Raises:
        HarnessError: There are none.
    """
    found = []
    for path in order.tasks:
        manager, names = _tasks(path)
        with chdir(_folder(path)):
            loaded = manager.load(names)["tasks"]
        _expect_some(path, loaded)
        found += [HarnessTask(name, path, needs(task)) for name, task in loaded.items()]
    return HarnessTasks(found)


def needs(task: Any) -> list[str]:  # noqa: ANN401 - lm-eval's
    """Return what a task calls its data: files, folders, data sets."""
    config = getattr(task, "config", None)
    named = getattr(config, "dataset_kwargs", None) or {}
    path = getattr(config, "dataset_path", None)
    return [*_words([path, named.get("data_files"), named.get("data_dir")])]


def _words(value: object) -> Iterator[str]:
    """Yield all text in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _words([*value.values()])
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _words(inner)


def score(order: HarnessOrder) -> HarnessScores:
    """Score each version on all tasks.

    Raises:
        HarnessError: A task or its data cannot be loaded or run.
        ModelError: The base cannot be loaded, or is not the expected one.
        ManifestError: A version's files are not what was sealed.
    """
    if order.threads:
        torch.set_num_threads(order.threads)
    settings = ModelSettings.model_validate(order.model)
    base = load_base(settings, device=pick_device(order.device), cache=order.cache)
    base.identity.expect(order.expected)
    columns: dict[str, Scored] = {}
    for name, folder in order.versions.items():
        with adapters.attached(base, ADAPTER, load_sealed(folder)):
            columns[name] = {
                measure: value
                for path in order.tasks
                for measure, value in measured(_run(base, path, order.limit))
            }
    return collect(columns)


def collect(columns: Mapping[str, Scored]) -> HarnessScores:
    """Return the versions' scores as one matrix."""
    measures = list(next(iter(columns.values())))
    rows = [[scored[measure] for scored in columns.values()] for measure in measures]
    return HarnessScores(
        versions=list(columns),
        measures=measures,
        matrix=[[value for value, _ in row] for row in rows],
        errors=[[error for _, error in row] for row in rows],
    )


def refuse_network(event: str, args: tuple[Any, ...]) -> None:
    """Refuse whatever would leave this machine; a socket file has no host.

    Neither has a message without an address: its socket was let through before.
    The hub's own switch does not cover a URL that a task names.

    Raises:
        HarnessError: A host is to be reached.
    """
    if event not in LOOKED_UP | SENT_TO:
        return
    target = args[1] if event in SENT_TO else args[0]
    if event in LOOKED_UP or not isinstance(target, str | bytes | None):
        raise HarnessError(
            f"expected a task on local data, and it asks for the host {target!r}; "
            "copy its data here"
        )


def _run(base: Base, path: Path, limit: int) -> Mapping[str, Any]:
    """Let lm-eval run tasks on the base with whatever adapters are active."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    manager, names = _tasks(path)
    model = HFLM(
        pretrained=base.model,
        tokenizer=base.tokenizer,
        max_length=base.max_length,
        batch_size=BATCH_SIZE,
    )
    with chdir(_folder(path)):  # where a task's `data_files` are looked for
        found: Mapping[str, Any] = simple_evaluate(
            model=model,
            tasks=names,
            task_manager=manager,
            limit=limit or None,
            apply_chat_template=base.chat,
            bootstrap_iters=DRAWS,
            log_samples=False,
        )
    return found


def _tasks(path: Path) -> "tuple[TaskManager, list[str]]":
    """Return what finds the tasks of a file or a folder, and what to ask it for.

    Raises:
        HarnessError: There are none.
    """
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(_folder(path)), include_defaults=False)
    names = manager.all_subtasks if path.is_dir() else [str(path)]
    _expect_some(path, names)
    return manager, names


def _expect_some(path: Path, tasks: Collection[str]) -> None:
    """Refuse a file or a folder without tasks."""
    if not tasks:
        raise HarnessError(f"expected tasks in {path}, and lm-eval finds none")


def _folder(path: Path) -> Path:
    """Return the folder of a task's file, or the folder itself."""
    return path if path.is_dir() else path.parent


def measured(
    found: Mapping[str, Any],
) -> Iterator[tuple[Measure, tuple[float, float | None]]]:
    """Yield each number of a run's result; its keys are `metric,filter`."""
    better = found.get("higher_is_better", {})
    for task, values in found["results"].items():
        for key, value in values.items():
            metric, comma, kept = key.partition(",")
            if not comma or metric.endswith(ERROR):
                continue
            name = metric if kept == "none" else key
            yield (
                Measure(task, name, better.get(task, {}).get(metric)),
                (_number(value), _error(values.get(f"{metric}{ERROR},{kept}"))),
            )


def _number(value: object) -> float:
    """Return a value as a float, NaN where the task yields something else."""
    return float(value) if isinstance(value, int | float) else math.nan


def _give_up(result: Path, message: str) -> None:
    """Write why there is no result."""
    result.write_text(to_json(HarnessFault(message)), encoding="utf-8")


def _error(value: object) -> float | None:
    """Return a standard error, None where the harness has text instead."""
    return float(value) if isinstance(value, int | float) else None


DEEDS: Mapping[str, tuple[type, Callable[[Any], HarnessTasks | HarnessScores]]] = {
    "look": (HarnessLook, look),
    "score": (HarnessOrder, score),
}
"""What can be asked for: the order's kind, and what does it."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
