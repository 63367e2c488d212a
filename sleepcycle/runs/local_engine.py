"""The local engine: computes a run folder in a child process."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sleepcycle.errors import (
    ChildStartError,
    DiskError,
    DivergedError,
    Interrupted,
    Paused,
    RunError,
    SleepcycleError,
)
from sleepcycle.files.child_process import Child, offline_environment
from sleepcycle.files.runfolder import PAUSED, Fault, RunFolder
from sleepcycle.records.progress import OnProgress, Progress
from sleepcycle.records.run_order import RunRequest
from sleepcycle.runs.control import RunControl
from sleepcycle.settings.config import EngineSettings

POLL_S = 0.1
GRACE_S = 10.0  # between asking a worker to end and killing it
PAUSE_S = 25.0  # between asking it to pause and killing it
KINDS = (DivergedError, DiskError)  # of a worker's errors; any other is a RunError


@dataclass(frozen=True)
class LocalEngine:
    """Runs `python -m sleepcycle.worker` and watches its heartbeat."""

    settings: EngineSettings

    def execute(
        self, run: RunFolder, on_progress: OnProgress, control: RunControl
    ) -> None:
        """Compute one run folder, and return when its report is there.

        Raises:
            RunError: The worker could not be started, failed, was killed, or sent no
                heartbeat.
            DivergedError: The loss is not a number, or exploded.
            DiskError: The disk did not keep what the worker wrote, or its log cannot be
                opened.
            Paused: It was stopped as requested, and has a checkpoint to go on from.
            Interrupted: Ctrl-C, or as requested; the worker has ended.
        """
        heartbeats = run.follow_progress(run.skip_progress())
        with self._start(run) as worker:
            try:
                self._watch(worker, heartbeats, on_progress, control)
            except KeyboardInterrupt as stop:
                raise Interrupted("stopped by the user") from stop
            except _Silent as silence:
                raise RunError(
                    f"{silence}; see {run.log}, or raise engine.heartbeat_timeout_s"
                ) from silence
        _judge(run, worker.wait(), control.request)

    def _start(self, run: RunFolder) -> Child:
        """Start a worker; its log goes on."""
        try:
            return Child(
                ["-m", "sleepcycle.worker", str(run.path)],
                self._environment(),
                log=run.log,
                grace_s=GRACE_S,
            )
        except ChildStartError as error:
            raise RunError(
                f"expected to start a worker in {run.path}, got: {error.reason}"
            ) from error

    def _watch(
        self,
        worker: Child,
        heartbeats: Iterator[Progress | None],
        on_progress: OnProgress,
        control: RunControl,
    ) -> None:
        """Pass on each heartbeat until the worker ends, or is stopped on request."""
        pause = _Pause(worker)
        heard_at = time.monotonic()
        for progress in heartbeats:
            if progress is not None:
                heard_at = time.monotonic()
                on_progress(progress)
            elif worker.exit_code is not None:
                return
            elif time.monotonic() - heard_at > self.settings.heartbeat_timeout_s:
                raise _Silent(
                    "the worker gave no sign of life for "
                    f"{self.settings.heartbeat_timeout_s:g} s and was ended"
                )
            else:
                time.sleep(POLL_S)
            if control.request is RunRequest.CANCEL:
                raise Interrupted("cancelled")
            if control.request is RunRequest.PAUSE:
                pause.press()

    def _environment(self) -> dict[str, str]:
        """Return the worker's environment: no hub, the threads set, and one GPU."""
        environment = offline_environment(PYTHONUNBUFFERED="1")
        if self.settings.threads:
            environment["OMP_NUM_THREADS"] = str(self.settings.threads)
        _, _, number = self.settings.device.partition(":")
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        place = int(number or 0)
        if visible is None:
            return environment | {"CUDA_VISIBLE_DEVICES": str(place)}
        gpus = visible.split(",")  # empty where the user hides them all
        gpu = gpus[place] if place < len(gpus) else ""
        return environment | {"CUDA_VISIBLE_DEVICES": gpu}


class _Silent(Exception):  # noqa: N818 - an event of this module alone
    """A worker sent no heartbeat for too long."""


class _Pause:
    """Asks a worker to pause, and kills it where that takes too long."""

    def __init__(self, worker: Child) -> None:
        self._worker = worker
        self._asked_at: float | None = None

    def press(self) -> None:
        """Ask once; on a later call, look at the clock."""
        if self._worker.exit_code is not None:
            return
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self._worker.ask_to_stop()
        elif time.monotonic() - self._asked_at > PAUSE_S:
            self._worker.kill()


def _judge(run: RunFolder, code: int, request: RunRequest | None) -> None:
    """Raise the error that a worker ended with, unless it is done."""
    if code == 0:
        return
    fault = run.read_fault()
    paused = code == PAUSED or (request is RunRequest.PAUSE and fault is None)
    if paused and run.checkpoint() is not None:
        raise Paused("paused at a checkpoint")
    if paused:
        raise Interrupted("stopped before there was a checkpoint")
    raise _fault(run, fault, code)


def _fault(run: RunFolder, fault: Fault | None, code: int) -> SleepcycleError:
    """Return the error that a worker ended with."""
    if fault is not None and fault.error:
        return fault.to_error(RunError, KINDS)
    if fault is not None:
        return RunError(f"the worker failed with {fault.message}; see {run.log}")
    if code < 0:
        name = signal.Signals(-code).name
        return RunError(
            f"the worker was ended by {name} (out of memory?); see {run.log}"
        )
    return RunError(f"the worker failed with exit code {code}; see {run.log}")
