"""The import's worker: reads an adapter made elsewhere in a process of its own.

    python -m sleepcycle.home.import_worker ORDER.json RESULT.json

Neither the service nor a command that reads the database loads torch for it, and what
a hostile file does to its reader stays there.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event

from sleepcycle.errors import (
    AdapterError,
    ChildGivenUpError,
    ChildResultError,
    ChildStartError,
    ChildTimeoutError,
    Interrupted,
    SleepcycleError,
)
from sleepcycle.files.child_process import (
    WorkerCall,
    ask_worker,
    end_with_parent,
    offline_environment,
)
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.quick_import import without_collections
from sleepcycle.files.runfolder import Fault
from sleepcycle.model.base_files import identify
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.version import BaseIdentity, MadeFor
from sleepcycle.settings.config import ModelSettings

LIMIT_S = 120.0  # for one adapter, torch's start included; a guess
WORDS = 2000  # letters of a message: what it quotes may be as long as its file


@dataclass(frozen=True)
class ImportRequest:
    """What a user asks to take in."""

    source: Path
    force: bool = False
    """Whether it is taken also where it was made for another base, and fits."""

    given_up: Event | None = None
    """Ends the import once another thread sets it."""


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What the worker is to read, and where its portable form goes."""

    model: dict[str, object]
    cache: Path
    expected: BaseIdentity
    source: Path
    stage: Path
    force: bool


@dataclass(frozen=True, slots=True)
class ImportedAdapter:
    """What the worker read."""

    base: BaseIdentity
    """The base that the adapter was checked against."""

    rank: int
    """Of the portable form."""

    made_for: MadeFor


def read_in_worker(
    paths: HomePaths,
    settings: ModelSettings,
    expected: BaseIdentity,
    request: ImportRequest,
    stage: Path,
) -> ImportedAdapter:
    """Let a worker read a PEFT LoRA made elsewhere, and write its portable form.

    The base is hashed before, so that the worker's time is for the adapter alone.

    Raises:
        AdapterError: It is not a plain LoRA in safetensors, its values are not
            finite, it does not fit the base, it was made for another one, or the worker
            died over it or took too long.
        ModelError: The base is not the expected one.
        Interrupted: It was given up.
    """
    identify(settings, paths.cache).expect(expected)
    model = settings.model_dump(mode="json")
    source = request.source.absolute()
    order = ImportOrder(model, paths.cache, expected, source, stage, request.force)
    call = WorkerCall(
        "sleepcycle.home.import_worker",
        paths.staging,
        offline_environment(),
        paths.logs / "import.log",
        limit_s=LIMIT_S,
        given_up=request.given_up,
    )
    read = _ask(call, order)
    if isinstance(read, Fault):
        raise read.to_error(AdapterError)
    return read


def _ask(call: WorkerCall, order: ImportOrder) -> ImportedAdapter | Fault:
    """Return what a worker read, or why it did not.

    Raises:
        AdapterError: It could not be started, took too long, or ended without a record.
        Interrupted: It was given up.
    """
    source, log = order.source, call.log
    try:
        return ask_worker(call, order, ImportedAdapter, Fault)
    except ChildStartError as error:
        raise AdapterError(
            f"expected to start a process that reads {source}, got: {error.reason}"
        ) from error
    except ChildTimeoutError as error:
        raise AdapterError(
            f"expected to read {source} within {LIMIT_S:g} s, got no end of it; "
            f"see {log}"
        ) from error
    except ChildGivenUpError as error:
        raise Interrupted(
            f"the import of {source} was given up; nothing was taken in"
        ) from error
    except ChildResultError as error:
        raise AdapterError(
            f"expected a PEFT LoRA in {source}, and reading it ended with exit "
            f"code {error.exit_code}; see {log}"
        ) from error


def main(ordered: Path, result: Path) -> int:
    """Do one order; return the exit code."""
    with without_collections():
        from sleepcycle.home import weights  # loads torch

    order = from_json(ordered.read_text(encoding="utf-8"), ImportOrder)
    try:
        read = weights.convert_adapter(
            ModelSettings.model_validate(order.model),
            order.cache,
            order.expected,
            order.source,
            order.stage,
            force=order.force,
        )
    except SleepcycleError as error:
        fault = Fault.of(error)
        fault = replace(fault, message=fault.message[:WORDS])
        result.write_text(to_json(fault), encoding="utf-8")
        return 1
    result.write_text(to_json(ImportedAdapter(*read)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
