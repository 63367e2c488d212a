"""The harness's worker: scores versions with lm-eval in a process of its own.

    python -m sleepcycle.service.harness_worker ORDER.json RESULT.json

lm-eval sets global seeds and logs as it likes, and no network must be reached whatever
a task names; neither may happen to the process of whoever asked.
"""

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

from sleepcycle.configfile import recorded_settings
from sleepcycle.errors import HarnessError, SleepcycleError
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.score import BATCH_SIZE
from sleepcycle.paths import HomePaths
from sleepcycle.plain import from_json, to_json
from sleepcycle.service import answers
from sleepcycle.service.harness import (
    HarnessFault,
    HarnessOrder,
    HarnessScores,
    Measure,
)

ADAPTER = "harnessed"
ERROR = "_stderr"
LOOKED_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
SENT_TO = {"socket.connect", "socket.sendto", "socket.sendmsg"}
DRAWS = 1000  # for the standard error of what is no mean, such as perplexity

Scored = dict[Measure, tuple[float, float | None]]
"""A version's value of each measure, and its standard error."""


def main(ordered: Path, result: Path) -> int:
    """Do one order; return the exit code."""
    sys.addaudithook(refuse_network)
    order = from_json(ordered.read_text(encoding="utf-8"), HarnessOrder)
    try:
        scores = score(order)
    except SleepcycleError as error:
        _give_up(result, str(error))
        return 1
    except Exception as error:  # lm-eval raises whatever its tasks' code raises
        first = str(error).strip().split("\n")[0]
        _give_up(
            result,
            f"expected lm-eval to run {order.tasks} on local data, got "
            f"{type(error).__name__}: {first}",
        )
        raise
    result.write_text(to_json(scores), encoding="utf-8")
    return 0


def score(order: HarnessOrder) -> HarnessScores:
    """Score each version on all tasks.

    Raises:
        HarnessError: A task or its data cannot be loaded or run.
        ModelError: The base cannot be loaded, or is not the expected one.
        ManifestError: A version's files are not what was sealed.
    """
    settings = recorded_settings(dict(order.settings))
    base = answers.load(settings, HomePaths(order.home), order.base)
    columns: dict[str, Scored] = {}
    for name, folder in order.versions.items():
        on = answers.put_on(base, ADAPTER, folder)
        adapters.activate(base, on)
        columns[name] = dict(measured(_run(base, order.tasks)))
        if on:
            adapters.remove(base, ADAPTER)
    return collect(columns)


def collect(columns: Mapping[str, Scored]) -> HarnessScores:
    """Lay the versions' scores side by side."""
    measures = list(next(iter(columns.values())))
    rows = [[scored[measure] for scored in columns.values()] for measure in measures]
    return HarnessScores(
        versions=list(columns),
        measures=measures,
        matrix=[[value for value, _ in row] for row in rows],
        errors=[[error for _, error in row] for row in rows],
    )


def refuse_network(event: str, args: tuple[Any, ...]) -> None:
    """Stop whatever would leave this machine; a socket file has no host.

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


def _run(base: Base, tasks: Path) -> Mapping[str, Any]:
    """Let lm-eval run tasks on the base with whatever adapters are active."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    folder = tasks if tasks.is_dir() else tasks.parent
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    names = manager.all_subtasks if tasks.is_dir() else [str(tasks)]
    if not names:
        raise HarnessError(f"expected tasks in {tasks}, and lm-eval finds none")
    model = HFLM(
        pretrained=base.model,
        tokenizer=base.tokenizer,
        max_length=base.max_length,
        batch_size=BATCH_SIZE,
    )
    with chdir(folder):  # where a task's `data_files` are looked for
        found: Mapping[str, Any] = simple_evaluate(
            model=model,
            tasks=names,
            task_manager=manager,
            apply_chat_template=base.chat,
            bootstrap_iters=DRAWS,
            log_samples=False,
        )
    return found


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
    """Leave word of why there are no scores."""
    result.write_text(to_json(HarnessFault(message)), encoding="utf-8")


def _error(value: object) -> float | None:
    """Return a standard error, None where the harness has words instead."""
    return float(value) if isinstance(value, int | float) else None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
