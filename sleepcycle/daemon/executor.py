"""The executor: one job at a time in a thread of its own, and a wait after failures."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime

from loguru import logger

from sleepcycle.daemon import calendar
from sleepcycle.daemon.backoff import Backoff, delay_s
from sleepcycle.daemon.job import Job, run_job
from sleepcycle.daemon.nightlog import CLOCK, NightLog
from sleepcycle.daemon.reload import ReloadableHome
from sleepcycle.errors import DiskError, Interrupted, SleepcycleError
from sleepcycle.records.run_order import RunKind
from sleepcycle.runs.context import Outcome


def utc_now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clocks:
    """The clocks that the service reads; tests hand in others."""

    now: Callable[[], datetime] = utc_now
    """The clock that nights go by; aware."""

    monotonic: Callable[[], float] = time.monotonic
    """The clock that waits go by, in seconds."""


class Executor:
    """Runs at most one job. Hold `lock` to look and then act."""

    def __init__(
        self,
        reloadable: ReloadableHome,
        nightlog: NightLog,
        clocks: Clocks,
        *,
        on_over: Callable[[Job, Exception | None], None],
        on_end: Callable[[], object],
        on_disk_error: Callable[[DiskError], None],
    ) -> None:
        """Go on with the wait of an earlier process.

        Args:
            reloadable: Opens the home.
            nightlog: Where nights are written down.
            clocks: The clocks that the service reads; tests hand in others.
            on_over: Is called with each job that ended, before another may begin.
            on_end: Is called after that, when the next may.
            on_disk_error: Is called when a disk failed.
        """
        self._reloadable, self._nightlog, self._clocks = reloadable, nightlog, clocks
        self._on_over, self._on_end = on_over, on_end
        self._on_disk_error = on_disk_error
        self.lock = threading.RLock()
        self.job: Job | None = None
        self.since = clocks.now()
        self.backoff = Backoff()
        self.backoff.carry_on(
            reloadable.open(CLOCK).status(),
            reloadable.settings.engine.backoff_s,
            clocks.monotonic(),
            clocks.now(),
        )

    def start(
        self, kind: RunKind, actor: str, night: date | None = None
    ) -> Future[Outcome]:
        """Let a job begin; the caller holds the lock, and knows that none is on."""
        now, moment = self._clocks.now(), self._clocks.monotonic()
        job = Job(kind, actor, now, moment, self._failures(), night)
        job.future.set_running_or_notify_cancel()  # who waits for it cannot cancel it
        thread = threading.Thread(target=self._perform, args=(job,), name="run")
        thread.daemon = True  # the process may end without it
        thread.start()
        self.job = job
        return job.future

    def is_waiting(self) -> bool:
        """Return whether the wait after a failure is not over yet."""
        return self.backoff.left_s(self._clocks.monotonic()) > 0

    def waits_for(self, now: datetime) -> str | None:
        """Return what failed and when the next try is; None where none is to come."""
        zone = calendar.zone(self._reloadable.settings.sleep)
        return self.backoff.sentence(self._clocks.monotonic(), now, zone)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Log what goes wrong in a block whose caller takes no errors."""
        try:
            yield
        except DiskError as error:
            self._on_disk_error(error)
            logger.error("{error}", error=str(error))
        except SleepcycleError as error:
            logger.error("{error}", error=str(error))
        except Exception as error:  # noqa: BLE001 - the service goes on
            logger.opt(exception=error).error("the service met a surprise")

    def _perform(self, job: Job) -> None:
        """Run a job, and let go of it whatever happens."""
        outcome, failure = None, None
        try:
            outcome = run_job(job, self._reloadable.open(job.actor), self._nightlog)
        except Exception as error:  # noqa: BLE001 - whatever it was, the service goes on
            failure = error
        with self.lock, self.guarded():
            self.job, self.since = None, self._clocks.now()
            self._handle_end(job, failure)
            self._on_over(job, failure)
        if failure is not None:
            job.future.set_exception(failure)
        elif outcome is not None:
            job.future.set_result(outcome)
        with self.guarded():
            self._on_end()

    def _handle_end(self, job: Job, failure: Exception | None) -> None:
        """Decide what follows from how a job ended."""
        if failure is None:
            return self.backoff.clear()
        if isinstance(failure, Interrupted):
            return logger.info("{stop}", stop=str(failure))
        if isinstance(failure, DiskError):
            self._on_disk_error(failure)
        self._wait(job, failure)

    def _wait(self, job: Job, failure: Exception) -> None:
        """Begin nothing for a while.

        What a user asked for and was refused, as with nothing to learn, is no failure.
        """
        foreseen = isinstance(failure, SleepcycleError)
        record = logger if foreseen else logger.opt(exception=failure)
        said = str(failure) if foreseen else f"{type(failure).__name__}: {failure}"
        record.error("{job} failed: {error}", job=job.describe(), error=said)
        failures = max(job.failures, self.backoff.failures) + 1
        if not job.is_scheduled and foreseen and self._failures() <= job.failures:
            return
        wait_s = delay_s(failures, self._reloadable.settings.engine.backoff_s)
        self.backoff.fail(failures, said, self._clocks.monotonic() + wait_s)

    def _failures(self) -> int:
        """Return how many runs failed in a row, by the database."""
        return self._reloadable.open(CLOCK).status().failures
