"""Makes runs in several processes at once, each with a base of its own."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from sleepcycle.errors import DivergedError, SleepcycleError
from sleepcycle.files.import_path import leave_current_folder
from sleepcycle.model.base import Base
from sleepcycle_study.errors import StudyError

PATIENCE_S = 5.0  # until a worker that did not heed SIGTERM is killed
SPAWN = multiprocessing.get_context("spawn")  # a fork of what runs torch may hang


class ArmRun(Protocol):
    """One run of an arm that is to be made."""

    @property
    def arm(self) -> str:
        """The way to learn."""

    @property
    def seed(self) -> int:
        """What is drawn from."""


J = TypeVar("J", bound=ArmRun)
R = TypeVar("R")
J_contra = TypeVar("J_contra", bound=ArmRun, contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Bench(Protocol[J_contra, R_co]):
    """What runs are made on; it is sent to each process."""

    @property
    def folder(self) -> Path:
        """Where what is finished stays."""

    def load(self) -> Base:
        """Load the base, for this process."""

    def make(self, base: Base, job: J_contra) -> R_co:
        """Make a run."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a worker gave up."""

    error: SleepcycleError | OSError
    errno: int | None
    """Of the system, which an error loses on its way to another process."""


class Worker(Generic[J, R]):
    """A process that makes one run after another, as it is told."""

    def __init__(self, bench: Bench[J, R]) -> None:
        self.bench = bench
        self.pipe, theirs = SPAWN.Pipe()
        own = (bench, theirs)
        self._process = SPAWN.Process(target=work, args=own, daemon=True)
        leave_current_folder()  # a new Python looks there for its first modules
        with _ctrl_c_held_back():
            self._process.start()
        theirs.close()

    def begin(self, job: J) -> None:
        """Send it the run that it is to make."""
        self.job = job
        try:
            self.pipe.send(job)
        except OSError as error:
            raise self._death() from error

    def hear(self) -> R | DivergedError:
        """Return what came of its run, once that has ended.

        Raises:
            StudyError: The process is dead.
            SleepcycleError, OSError: What it gave up for, as itself.
        """
        try:
            came: R | DivergedError | Failure = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if not isinstance(came, Failure):
            return came
        if isinstance(came.error, OSError):
            came.error.errno = came.errno
        raise came.error

    def stop(self) -> None:
        """Ask the process to end: it does at once, whatever it is at."""
        self._process.terminate()

    def end(self) -> None:
        """End the process, and wait until it has."""
        self.stop()
        self._process.join(PATIENCE_S)
        self._process.kill()
        self._process.join()
        self.pipe.close()

    def _death(self) -> StudyError:
        """Return what is said of a process that is dead."""
        self._process.join()
        code = self._process.exitcode or 0
        if code < 0:
            how = f"its end by {signal.Signals(-code).name}"
            advice = "where memory ran out, go on with fewer --jobs"
        else:
            how = f"its end with exit code {code}"
            advice = "see what it printed, and go on with the same command"
        return StudyError(
            f"expected the process of {self.job.arm}, seed {self.job.seed}, to make "
            f"its run, got {how}; {advice}: what is finished stays in "
            f"{self.bench.folder}"
        )


def make_runs(
    bench: Bench[J, R], jobs: Sequence[J], size: int, on_start: Callable[[J], None]
) -> Generator[tuple[J, R | DivergedError], None, None]:
    """Make runs in worker processes, and yield each as it ends.

    Whatever ends this early, such as an error or Ctrl-C, ends the workers.

    Args:
        bench: What the runs are made on; its threads are those of one worker.
        jobs: The runs.
        size: Workers, at most one a run.
        on_start: Takes each run as it is begun.

    Raises:
        StudyError: A worker died, or the plan asks what is not there.
        SleepcycleError, OSError: What a worker gave up for, as itself.
    """
    left = deque(jobs)
    busy: list[Worker[J, R]] = []
    try:
        while left and len(busy) < size:
            busy.append(Worker(bench))
            _begin(busy[-1], left.popleft(), on_start)
        while busy:
            worker = _first_to_tell(busy)
            yield worker.job, worker.hear()
            if left:
                _begin(worker, left.popleft(), on_start)
            else:
                worker.end()
                busy.remove(worker)
    finally:
        for worker in busy:
            worker.stop()
        for worker in busy:
            worker.end()


def work(bench: Bench[J, R], pipe: Connection) -> None:
    """Make what is asked for, one run after another: what a worker process does."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        base = bench.load()
        while True:
            pipe.send(_made(bench, base, pipe.recv()))
    except EOFError:  # nobody asks any more
        return
    except (SleepcycleError, OSError) as error:
        pipe.send(Failure(error, getattr(error, "errno", None)))


def _made(bench: Bench[J, R], base: Base, job: J) -> R | DivergedError:
    """Make a run; one that diverges is no reason to give up."""
    try:
        return bench.make(base, job)
    except DivergedError as error:
        return error


def _first_to_tell(busy: Sequence[Worker[J, R]]) -> Worker[J, R]:
    """Wait until a worker has something to tell, or is dead, and return it."""
    ready = wait([worker.pipe for worker in busy])
    return next(worker for worker in busy if worker.pipe in ready)


def _begin(worker: Worker[J, R], job: J, on_start: Callable[[J], None]) -> None:
    """Send a worker a run to make, and report it as begun."""
    worker.begin(job)
    on_start(job)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Start a process in this block to which Ctrl-C never comes, from its first moment.

    A terminal sends it to all processes, and this one says what becomes of them; here
    it comes when the block ends.
    """
    resource_tracker.ensure_running()  # else the first start would, and would unblock
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """End this process when its parent has gone, however that went."""
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os._exit(1)
