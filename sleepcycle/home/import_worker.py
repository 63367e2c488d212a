"""The import's worker: reads an adapter made elsewhere in a process of its own.

    python -m sleepcycle.home.import_worker ORDER.json RESULT.json

Neither the service nor a command that reads the database loads torch for it, and what
a hostile file does to its reader stays there.
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sleepcycle import errors
from sleepcycle.errors import AdapterError, SleepcycleError
from sleepcycle.files import disk
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


def take_in(
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
        ordered, result = Path(place) / "order.json", Path(place) / "result.json"
        disk.write(ordered, to_json(order))
        with log.open("wb") as stream:
            worker = subprocess.Popen(
                [
                    sys.executable, "-m", "sleepcycle.home.import_worker",
                    ordered, result,
                ],
                stdin=subprocess.PIPE,  # closes when we are gone, however that was
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=os.environ | {"HF_HUB_OFFLINE": "1"},
                start_new_session=True,  # so that a service that must end kills it
            )  # fmt: skip
        try:
            code = worker.wait(LIMIT_S)
        except subprocess.TimeoutExpired as error:
            raise AdapterError(
                f"expected to read {source} within {LIMIT_S:g} s, got no end of it; "
                f"see {log}"
            ) from error
        finally:
            _end(worker)
        text = result.read_text(encoding="utf-8") if result.exists() else ""
    if code == 0:
        return from_json(text, ImportedAdapter)
    raise _fault(text, source, code, log)


def main(ordered: Path, result: Path) -> int:
    """Do one order; return the exit code."""
    from sleepcycle.home import weights  # loads torch

    order = from_json(ordered.read_text(encoding="utf-8"), ImportOrder)
    try:
        base, rank = weights.take_in(
            ModelSettings.model_validate(order.model),
            order.cache,
            order.expected,
            order.source,
            order.stage,
        )
    except SleepcycleError as error:
        fault = Fault(type(error).__name__, str(error))
        result.write_text(to_json(fault), encoding="utf-8")
        return 1
    result.write_text(to_json(ImportedAdapter(base, rank)), encoding="utf-8")
    return 0


def end_with_parent() -> None:
    """End this process when the other end of standard input closes."""
    while os.read(0, 1):  # not sys.stdin: its lock would outlive this thread
        pass
    os._exit(1)


def _end(worker: "subprocess.Popen[bytes]") -> None:
    """Make sure that a worker and all it started are gone."""
    if worker.stdin:
        worker.stdin.close()
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _fault(text: str, source: Path, code: int, log: Path) -> SleepcycleError:
    """Return why a worker took nothing in."""
    if not text:
        return AdapterError(
            f"expected a PEFT LoRA in {source}, and reading it ended with exit code "
            f"{code}; see {log}"
        )
    fault = from_json(text, Fault)
    kind: type[SleepcycleError] = getattr(errors, fault.error)
    return kind(fault.message)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
