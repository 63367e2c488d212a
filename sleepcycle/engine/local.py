"""The local engine: computes a run folder in a child process."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from sleepcycle.config import EngineSettings
from sleepcycle.errors import DivergedError, Interrupted, RunError
from sleepcycle.records import OnProgress
from sleepcycle.runfolder import RunFolder

POLL_S = 0.1
GRACE_S = 10.0  # between asking a worker to end and killing it


@dataclass(frozen=True)
class LocalEngine:
    """Runs `python -m sleepcycle.worker` and watches its heartbeat."""

    settings: EngineSettings

    def execute(self, run: RunFolder, on_progress: OnProgress) -> None:
        """Compute one run folder, and return when its report is there.

        Raises:
            RunError: The worker failed, died or fell silent.
            DivergedError: The loss is not a number, or exploded.
            Interrupted: Ctrl-C; the worker has ended.
        """
        with run.log.open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "sleepcycle.worker", str(run.path)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                start_new_session=True,  # so that Ctrl-C reaches us alone
            )
        try:
            self._watch(worker, run, on_progress)
        except KeyboardInterrupt as stop:
            raise Interrupted("the run was stopped") from stop
        finally:
            _end(worker)
        if worker.returncode != 0:
            raise _fault(run, worker.returncode)

    def _watch(
        self,
        worker: "subprocess.Popen[bytes]",
        run: RunFolder,
        on_progress: OnProgress,
    ) -> None:
        """Hand on each heartbeat until the worker ends."""
        heard_at = time.monotonic()
        for progress in run.follow_progress():
            if progress is not None:
                heard_at = time.monotonic()
                on_progress(progress)
            elif worker.poll() is not None:
                return
            elif time.monotonic() - heard_at > self.settings.heartbeat_timeout_s:
                raise RunError(
                    "the worker gave no sign of life for "
                    f"{self.settings.heartbeat_timeout_s:g} s and was ended; see "
                    f"{run.log}, or raise engine.heartbeat_timeout_s"
                )
            else:
                time.sleep(POLL_S)

    def _environment(self) -> dict[str, str]:
        """Return the worker's environment: no hub, the threads set, and one GPU."""
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
        if self.settings.threads:
            environment["OMP_NUM_THREADS"] = str(self.settings.threads)
        _, _, number = self.settings.device.partition(":")
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        place = int(number or 0)
        gpu = gpus[place] if place < len(gpus) and gpus[place] else str(place)
        return environment | {"CUDA_VISIBLE_DEVICES": gpu}


def _end(worker: "subprocess.Popen[bytes]") -> None:
    """Make sure that a worker and all it started are gone."""
    if worker.stdin:
        worker.stdin.close()
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGTERM)
        try:
            worker.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def _fault(run: RunFolder, code: int) -> RunError:
    """Say why a worker failed."""
    fault = run.read_fault()
    if fault is not None and fault.error == DivergedError.__name__:
        return DivergedError(fault.message)
    if fault is not None and fault.error:
        return RunError(fault.message)
    if fault is not None:
        return RunError(f"the worker failed with {fault.message}; see {run.log}")
    if code < 0:
        name = signal.Signals(-code).name
        return RunError(
            f"the worker was ended by {name} (out of memory?); see {run.log}"
        )
    return RunError(f"the worker failed with exit code {code}; see {run.log}")
