"""The command worker: does a command that loads torch in a process of its own.

    python -m sleepcycle.server.command_worker ORDER.json RESULT.json

The service never loads torch for what it is asked by HTTP; what a command takes of
memory is given back when it is over.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Event
from typing import Any

from sleepcycle.errors import (
    ChildError,
    ChildGivenUpError,
    Interrupted,
    ServiceError,
    SleepcycleError,
)
from sleepcycle.files.child_process import (
    WorkerCall,
    ask_worker,
    end_with_parent,
    offline_environment,
)
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.runfolder import Fault
from sleepcycle.home.export_formats import ExportFormat
from sleepcycle.home.opening import open_home
from sleepcycle.records.codec import dumps, from_json, to_json
from sleepcycle.server.command_json import doctor_json


class HeavyCommand(StrEnum):
    """A command that is done by the worker."""

    DIFF = "diff"
    EVALUATE = "evaluate"
    EXPORT = "export"
    DOCTOR = "doctor"


@dataclass(frozen=True, slots=True)
class CommandOrder:
    """What the worker is to do, in which home."""

    home: str
    command: HeavyCommand
    names: tuple[str, ...] = ()
    """Versions or aliases."""

    folder: str = ""
    """Where an export goes."""

    form: ExportFormat = ExportFormat.PEFT


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What came of it."""

    text: str
    """JSON as the command prints it."""


def do_in_worker(order: CommandOrder, given_up: Event) -> str:
    """Do a command in a worker, and return the JSON that it prints.

    It takes as long as it takes.

    Args:
        order: What to do.
        given_up: Ends the worker once another thread sets it.

    Raises:
        Interrupted: It was given up.
        ServiceError: The worker could not be started, or died.
        SleepcycleError: The command failed.
    """
    paths = HomePaths(Path(order.home))
    log = paths.logs / "command.log"
    call = WorkerCall(
        "sleepcycle.server.command_worker",
        paths.cache,
        offline_environment(),
        log,
        given_up=given_up,
    )
    try:
        found = ask_worker(call, order, CommandResult, Fault)
    except ChildGivenUpError as error:
        raise Interrupted(f"{order.command} was given up") from error
    except ChildError as error:
        raise ServiceError(
            f"expected a process to {order.command}, got: {error}; see {log}"
        ) from error
    if isinstance(found, Fault):
        raise found.to_error(ServiceError)
    return found.text


def main(ordered: Path, result: Path) -> int:
    """Do one order; return the exit code."""
    order = from_json(ordered.read_text(encoding="utf-8"), CommandOrder)
    try:
        done = COMMANDS[order.command](order)
    except SleepcycleError as error:
        result.write_text(to_json(Fault.of(error)), encoding="utf-8")
        return 1
    except OSError as error:  # as of a folder that nobody may write to
        result.write_text(to_json(Fault("", str(error))), encoding="utf-8")
        return 1
    result.write_text(to_json(CommandResult(dumps(done))), encoding="utf-8")
    return 0


def _diff(order: CommandOrder) -> Any:  # noqa: ANN401 - a record of what loads torch
    """Compare two versions."""
    return open_home(Path(order.home)).versions.diff(*order.names)


def _evaluate(order: CommandOrder) -> Any:  # noqa: ANN401 - a record of what loads torch
    """Score versions."""
    return open_home(Path(order.home)).evaluate(order.names)


def _export(order: CommandOrder) -> dict[str, str]:
    """Write a version for use elsewhere."""
    registry = open_home(Path(order.home)).versions
    version = registry.get(order.names[0])
    registry.export(version.name, Path(order.folder), order.form)
    return {"version": version.name, "folder": order.folder, "format": order.form}


def _doctor(order: CommandOrder) -> dict[str, Any]:
    """Look for whatever is wrong; who asks us to is the service, so that answers."""
    from sleepcycle.doctor.doctor import examine, is_healthy

    found = examine(Path(order.home), answers=lambda: True)
    return doctor_json(found, healthy=is_healthy(found))


COMMANDS: dict[HeavyCommand, Callable[[CommandOrder], Any]] = {
    HeavyCommand.DIFF: _diff,
    HeavyCommand.EVALUATE: _evaluate,
    HeavyCommand.EXPORT: _export,
    HeavyCommand.DOCTOR: _doctor,
}


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
