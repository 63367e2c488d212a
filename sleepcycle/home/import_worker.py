"""The import's worker: reads an adapter made elsewhere in a process of its own.

    python -m sleepcycle.home.import_worker ORDER.json RESULT.json

Neither the service nor a command that reads the database loads torch for it, and what
a hostile file does to its reader stays there.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sleepcycle.errors import (
    AdapterError,
    ChildResultError,
    ChildStartError,
    ChildTimeoutError,
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
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import ModelSettings

LIMIT_S = 1800.0  # for one adapter; a guess


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What the worker is to read, and where its portable form goes."""

    model: dict[str, object]
    cache: Path
    expected: BaseIdentity
    source: Path
    stage: Path


@dataclass(frozen=True, slots=True)
class ImportedAdapter:
    """What the worker read."""

    base: BaseIdentity
    """The base that the adapter was checked against."""

    rank: int
    """Of the portable form."""


def read_in_worker(
    paths: HomePaths,
    settings: ModelSettings,
    expected: BaseIdentity,
    source: Path,
    stage: Path,
) -> ImportedAdapter:
    """Let a worker read a PEFT LoRA made elsewhere, and write its portable form.

    Raises:
        AdapterError: It is not a plain LoRA in safetensors, its values are not
            finite, it does not fit the base, or the worker died over it or took too
            long.
        ModelError: The base is not the expected one.
    """
    model = settings.model_dump(mode="json")
    order = ImportOrder(model, paths.cache, expected, source.absolute(), stage)
    log = paths.logs / "import.log"
    with tempfile.TemporaryDirectory(prefix="import-", dir=paths.staging) as place:
        read = _ask(order, source, Path(place), log)
    if isinstance(read, Fault):
        raise read.to_error(AdapterError)
    return read


def _ask(
    order: ImportOrder, source: Path, place: Path, log: Path
) -> ImportedAdapter | Fault:
    """Return what a worker read, or why it did not.

    Raises:
        AdapterError: It could not be started, took too long, or ended without a record.
    """
    call = WorkerCall(
        "sleepcycle.home.import_worker",
        place,
        offline_environment(),
        log,
        limit_s=LIMIT_S,
    )
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
    except ChildResultError as error:
        raise AdapterError(
            f"expected a PEFT LoRA in {source}, and reading it ended with exit "
            f"code {error.exit_code}; see {log}"
        ) from error


def main(ordered: Path, result: Path) -> int:
    """Do one order; return the exit code."""
    from sleepcycle.home import weights  # loads torch

    order = from_json(ordered.read_text(encoding="utf-8"), ImportOrder)
    try:
        base, rank = weights.convert_adapter(
            ModelSettings.model_validate(order.model),
            order.cache,
            order.expected,
            order.source,
            order.stage,
        )
    except SleepcycleError as error:
        result.write_text(to_json(Fault.of(error)), encoding="utf-8")
        return 1
    result.write_text(to_json(ImportedAdapter(base, rank)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    end_with_parent()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
