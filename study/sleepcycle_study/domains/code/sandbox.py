"""The sandbox: evaluates expressions that a model wrote, in a process of their own.

What walls that process in is in `sandboxed`; here it is started with nothing, timed,
read from no further than it may write, and ended with all that it might have begun.
"""

import json
import os
import selectors
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sleepcycle.errors import ChildStartError
from sleepcycle.files.child_process import Child
from sleepcycle_study.domains.domain import JSON
from sleepcycle_study.errors import StudyError

SCRIPT = Path(__file__).with_name("sandboxed.py")
START_S = 60.0  # a busy machine may take its time; this is not the answer's fault
MAX_LETTERS = 500  # of an expression
MAX_BYTES = 65_536  # read from the process


class Ending(StrEnum):
    """How an evaluation ended."""

    DONE = "done"
    RAISED = "raised"
    REFUSED = "refused"
    STOPPED = "stopped"
    """Out of time, or ended by the system."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one evaluation of all its cases may cost."""

    cpu_s: float = 0.5
    wall_s: float = 10.0
    """From when the process is ready; it bounds what does not compute."""

    memory_bytes: int = 256 << 20
    """Address space, Python itself included."""


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What came of an expression."""

    ending: Ending
    values: tuple[str, ...] = ()
    """JSON with sorted keys, of each case up to the first without a value."""

    reason: str = ""
    """The exception or what was refused, in one word."""


DEFAULT = Limits()


def evaluate(
    expression: str, cases: Sequence[Mapping[str, JSON]], limits: Limits = DEFAULT
) -> SandboxResult:
    """Evaluate a Python expression once for each case, in a process of its own.

    Args:
        expression: What a model wrote; nothing in it is trusted.
        cases: The values of its names, as plain data.
        limits: Time and memory for all cases together.

    Raises:
        StudyError: The process could not be started, or not be shut in.
    """
    if len(expression) > MAX_LETTERS:
        return SandboxResult(Ending.REFUSED, reason="TooLong")
    order = json.dumps({"expression": expression, "cases": list(cases)})
    with (
        tempfile.TemporaryDirectory(prefix="sleepcycle-") as folder,
        _started(Path(folder), limits) as process,
    ):
        written = _talk(process, order.encode(), limits)
    return _evaluation(written.decode("ascii", "replace").splitlines())


def _started(folder: Path, limits: Limits) -> Child:
    """Start the process: a session of its own, an empty environment, no packages."""
    words = ["-I", "-S", "-B", str(SCRIPT), str(limits.cpu_s), str(limits.memory_bytes)]
    try:
        return Child(words, {}, folder=folder)
    except ChildStartError as error:
        raise StudyError(
            f"expected to start {sys.executable!r} for the sandbox, got: "
            f"{error.reason}, or run sleepcycle with a Python that can be started again"
        ) from error


def _talk(process: Child, order: bytes, limits: Limits) -> bytes:
    """Hand over the order once the process is shut in, and read what it writes."""
    source = process.output
    ready = _read(source, time.monotonic() + START_S, len(b"ready\n"))
    if ready != b"ready\n":
        raise StudyError(
            f"expected the sandbox to shut itself in, got {ready!r} and exit code "
            f"{process.exit_code}; see that this system lets a process lower its "
            f"limits with: {sys.executable} -I -S {SCRIPT} 1 {limits.memory_bytes}"
        )
    process.send(order)
    return _read(source, time.monotonic() + limits.wall_s, MAX_BYTES)


def _read(source: int, deadline: float, most: int) -> bytes:
    """Read until the other end is closed, enough has come, or time is up."""
    found = b""
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        while len(found) < most:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                break
            piece = os.read(source, most - len(found))
            if not piece:
                break
            found += piece
    return found


def _evaluation(lines: Sequence[str]) -> SandboxResult:
    """Make sense of what the process wrote; what it did not end it was stopped in."""
    values = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "value":
            values.append(rest)
        elif word in {Ending.DONE, Ending.RAISED, Ending.REFUSED}:
            return SandboxResult(Ending(word), tuple(values), rest)
    return SandboxResult(Ending.STOPPED, tuple(values))
