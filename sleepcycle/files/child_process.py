"""Child processes: each in a session of its own, bounded, and surely ended."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Self, TypeVar

import psutil

from sleepcycle.errors import (
    ChildError,
    ChildGivenUpError,
    ChildResultError,
    ChildStartError,
    ChildTimeoutError,
)
from sleepcycle.files import disk
from sleepcycle.files.import_path import safe_environment
from sleepcycle.records.codec import from_json, to_json

POLL_S = 0.05  # between looks at a worker that may be given up

R = TypeVar("R")
F = TypeVar("F")


class Child:
    """A Python process that leads a session, so that Ctrl-C reaches its parent alone.

    Its standard input is a pipe, which closes when the parent is gone, however that
    was. The end of a `with` block ends it and all that it started.

    Args:
        words: What Python is given.
        environment: All of its environment, but that it, and what it starts, take no
            module from the current folder.
        log: Is added what it prints; None leaves standard output to `output`, and
            standard error to nobody.
        folder: Its working directory; None for the parent's.
        grace_s: Between asking it to end and killing it; 0 kills it at once.

    Raises:
        ChildStartError: The system could not start it.
        DiskError: The log could not be opened.
    """

    def __init__(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        *,
        log: Path | None = None,
        folder: Path | None = None,
        grace_s: float = 0.0,
    ) -> None:
        self._grace_s = grace_s
        self._ended = False  # from then on its number may be another's
        sink: AbstractContextManager[IO[bytes] | int]
        sink = disk.open_log(log) if log else nullcontext(subprocess.PIPE)
        with sink as output:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, *words],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT if log else subprocess.DEVNULL,
                    cwd=folder,
                    env=safe_environment(environment),
                    start_new_session=True,
                )
            except OSError as error:
                raise ChildStartError(sys.executable, str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; the negative number of the signal that ended it."""
        return self._process.poll()

    @property
    def output(self) -> int:
        """Descriptor of what it prints; only of a child without a log."""
        if self._process.stdout is None:
            raise ChildError("expected a child without a log, got one with a log")
        return self._process.stdout.fileno()

    @property
    def input(self) -> int:
        """Descriptor of its standard input, of which it sees the end with ours."""
        if self._process.stdin is None:
            raise ChildError("expected a child with a standard input, got none")
        return self._process.stdin.fileno()

    def send(self, data: bytes) -> None:
        """Write all that it gets to its standard input, and close that.

        Nothing is said of a child that ends before it has read it.
        """
        with suppress(BrokenPipeError):
            if self._process.stdin:
                self._process.stdin.write(data)
                self._process.stdin.close()

    def wait(self, limit_s: float | None = None) -> int:
        """Return its exit code once it has ended.

        Raises:
            ChildTimeoutError: It has not ended within the limit, and still runs.
        """
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise ChildTimeoutError(
                f"expected the process to end within {limit_s:g} s, got no end of it"
            ) from error

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the child alone, unless it has ended."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to the child and all that it started in its session's group."""
        self._signal_group(signal.SIGKILL)

    def end(self) -> None:
        """Make sure that it and its whole group are gone; a second call does nothing.

        Whoever breaks off the grace, such as by Ctrl-C, has the group killed at once.
        """
        if self._ended:
            return
        try:
            if self._grace_s and self.exit_code is None:
                self._close(self._process.stdin)
                self._signal_group(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(self._grace_s)
        finally:
            self.kill()  # before it is waited for: until then its number is not free
            self._ended = True
            self._process.wait()
            self._close(self._process.stdin)
            self._close(self._process.stdout)

    def _signal_group(self, number: signal.Signals) -> None:
        """Send a signal to each process of its group, if there still are some."""
        if self._ended:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses a zombie
            os.killpg(self._process.pid, number)

    @staticmethod
    def _close(pipe: IO[bytes] | None) -> None:
        """Close one end of a pipe, whose other end may be closed."""
        with suppress(BrokenPipeError):
            if pipe:
                pipe.close()


@dataclass(frozen=True, slots=True)
class WorkerCall:
    """How to run a worker module that reads an order's file and writes a result's."""

    module: str
    folder: Path
    """In which both files have a folder of their own, until the worker has ended."""

    environment: Mapping[str, str]
    log: Path
    """Takes what the worker prints, in place of what an earlier one printed."""

    arguments: Sequence[str] = ()
    """Come before the two files."""

    limit_s: float | None = None
    """None waits for as long as it takes."""

    given_up: threading.Event | None = None
    """Ends the worker once another thread sets it."""


def ask_worker(
    call: WorkerCall,
    order: Any,  # noqa: ANN401 - any of our dataclasses
    result: type[R],
    fault: type[F],
) -> R | F:
    """Let a worker process do an order, and return the record that it left.

    A result counts only if the exit code is 0, and a fault only if it is not.

    Args:
        call: The worker.
        order: A record, written as `order.json`.
        result: Kind of the record that a worker leaves when it is done.
        fault: Kind of the one that says why it is not.

    Raises:
        ChildStartError: It could not be started.
        ChildTimeoutError: It took too long, and was ended.
        ChildGivenUpError: It was given up, and was ended.
        ChildResultError: It ended and left neither.
        DiskError: The order or the log could not be written.
    """
    disk.open_log(call.log, anew=True).close()
    with _own_folder(call) as folder:
        ordered, left = folder / "order.json", folder / "result.json"
        disk.write(ordered, to_json(order))
        words = ["-m", call.module, *call.arguments, str(ordered), str(left)]
        with Child(words, call.environment, log=call.log) as worker:
            code = _awaited(worker, call)
        try:
            text = left.read_text(encoding="utf-8")
            return from_json(text, result) if code == 0 else from_json(text, fault)
        except (FileNotFoundError, ValueError) as error:  # none, or another record
            raise ChildResultError(code) from error


@contextmanager
def _own_folder(call: WorkerCall) -> Iterator[Path]:
    """Yield a folder for one call's files, and delete it with all that is in it.

    Raises:
        DiskError: It cannot be made.
    """
    disk.make(call.folder)
    name = call.module.rpartition(".")[2]
    with disk.translated("write", call.folder):
        place = TemporaryDirectory(prefix=f"{name}-", dir=call.folder)
    with place as folder:
        yield Path(folder)


def _awaited(worker: Child, call: WorkerCall) -> int:
    """Return a worker's exit code, unless it takes too long or is given up."""
    if call.given_up is None:
        return worker.wait(call.limit_s)
    deadline = time.monotonic() + (call.limit_s or math.inf)
    while (code := worker.exit_code) is None:
        if call.given_up.wait(POLL_S):
            raise ChildGivenUpError("the process was ended, since it was given up")
        if time.monotonic() > deadline:
            worker.wait(0)
    return code


def offline_environment(**more: str) -> dict[str, str]:
    """Return the environment of a worker: ours, without the hub, and what is given."""
    return os.environ | {"HF_HUB_OFFLINE": "1"} | more


def kill_all() -> None:
    """Kill each process that we started, with all of its group, at once.

    Only those that lead a group of their own, as every `Child` does.
    """
    for child in psutil.Process().children():
        with suppress(ProcessLookupError):
            if os.getpgid(child.pid) == child.pid:
                os.killpg(child.pid, signal.SIGKILL)


def end_with_parent() -> None:
    """End this process, from now on, when the other end of standard input closes."""
    threading.Thread(target=_outlast_parent, daemon=True).start()


def _outlast_parent() -> None:
    """Wait until standard input is closed, and exit with 1."""
    while os.read(0, 1):  # not sys.stdin: its lock would outlive this thread
        pass
    os._exit(1)
