"""A job: one wake or one night that the service runs."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import date, datetime

from sleepcycle.daemon.nightlog import CLOCK, NightLog
from sleepcycle.home.home import Home
from sleepcycle.records.progress import HEARTBEAT, Progress
from sleepcycle.records.run_order import RunKind, RunRequest
from sleepcycle.runs.context import Outcome
from sleepcycle.runs.control import RunControl


@dataclass(eq=False)
class Job:
    """A run from the moment it is decided on; changed by the thread that runs it."""

    kind: RunKind
    actor: str
    """Who wanted it: the clock, or a user."""

    since: datetime
    began: float
    """The same moment by the monotonic clock, in seconds."""

    failures: int
    """Runs that had failed in a row before it."""

    night: date | None = None
    """The night it is, where the clock wanted one."""

    control: RunControl = field(default_factory=RunControl)
    future: "Future[Outcome]" = field(default_factory=Future)
    progress: Progress | None = None
    given_up: bool = False
    """Whether a user cancelled it."""

    rest: bool = False
    """Whether the service leaves waking for a while after it."""

    @property
    def run(self) -> int | None:
        """Number of its run, once it has one."""
        return self.control.run

    @property
    def is_scheduled(self) -> bool:
        """Whether the service began it by itself."""
        return self.actor == CLOCK

    def may_pause(self) -> bool:
        """Return whether it can be paused, and was not asked to stop yet."""
        return self.kind is RunKind.WAKE and self.control.request is None

    def pause(self, *, rest: bool = False) -> None:
        """Ask a wake to break off at a checkpoint."""
        self.rest = self.rest or rest
        self.control.ask(RunRequest.PAUSE)

    def cancel(self) -> None:
        """Ask it to stop, and to leave nothing."""
        self.given_up = self.rest = True
        self.control.ask(RunRequest.CANCEL)

    def stop(self) -> None:
        """Ask a night to stop, since the service does; it is tried again."""
        self.control.ask(RunRequest.CANCEL)

    def describe(self) -> str:
        """Return what it is in words, such as `run 3, a wake,`."""
        return f"run {self.run}, a {self.kind}," if self.run else f"a {self.kind}"

    def advice(self) -> str:
        """Return what can be done by whoever has to wait for it."""
        how = "list" if self.run is None else f"cancel {self.run}"
        return f"wait for it, or stop it: sleepcycle runs {how}"


def run_job(job: Job, home: Home, nightlog: NightLog) -> Outcome:
    """Run a job in a home, and keep its progress.

    Raises:
        Interrupted: It was asked to stop.
        SleepcycleError: It failed.
    """

    def take(progress: Progress) -> None:
        if progress != HEARTBEAT:
            job.progress = progress

    def run() -> Outcome:
        return home.execute(job.kind, take, job.control)

    if job.night is None:
        return run()
    return nightlog.run_night(job.night, run, lambda: job.given_up)
