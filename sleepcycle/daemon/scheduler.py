"""The scheduler: begins wakes and nights when they are due, one at a time."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import TypeVar

from loguru import logger

from sleepcycle.daemon.alerts import CONFIG, ROOM, Alerts
from sleepcycle.daemon.choice import choose_run, night_to_begin
from sleepcycle.daemon.executor import Clocks, Executor
from sleepcycle.daemon.job import Job
from sleepcycle.daemon.nightlog import CLOCK, NightLog
from sleepcycle.daemon.policy import SchedulePolicy
from sleepcycle.daemon.reload import ReloadableHome
from sleepcycle.daemon.state import DaemonState
from sleepcycle.daemon.state_report import current_state, progress_of
from sleepcycle.daemon.tuning_desk import TuningDesk
from sleepcycle.errors import (
    ConfigError,
    DiskError,
    Interrupted,
    RunError,
    ServiceError,
)
from sleepcycle.home.disk_space import expect_room
from sleepcycle.home.home import Home
from sleepcycle.home.versions import Switch
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.target_state import TargetState
from sleepcycle.records.version import MadeFor, Version
from sleepcycle.runs.context import Outcome
from sleepcycle.settings.config import Settings

USER = "user"
R = TypeVar("R")


class Scheduler:
    """Begins and stops the runs of one home; safe to call from any thread.

    Wakes and nights run in a thread of their own, one at a time.
    """

    def __init__(
        self,
        reloadable: ReloadableHome,
        *,
        clocks: Clocks | None = None,
        on_disk_error: Callable[[DiskError], None],
        targets: Callable[[], tuple[TargetState, ...]] = tuple,
    ) -> None:
        """Read where the home stands; nothing begins before `consider`.

        Args:
            reloadable: Opens the home, in which recovery is done.
            clocks: What time it is, if not what the system says.
            on_disk_error: Is called when a run meets a disk that failed.
            targets: Returns how the targets of publishing stand.
        """
        self._targets = targets
        self._reloadable, self._clocks = reloadable, clocks or Clocks()
        self._on_disk_error = on_disk_error
        self._nightlog = NightLog(reloadable.open(CLOCK).store)
        self._log_state = self._nightlog.read()
        self._executor = Executor(
            reloadable,
            self._nightlog,
            self._clocks,
            on_over=self._over,
            on_end=self.consider,
            on_disk_error=on_disk_error,
        )
        self._lock = self._executor.lock
        self._held: str | None = None  # a rollback or its like that is on
        self._closing = False
        self._rest_until: datetime | None = None
        self._alerts = Alerts()
        self._tuning = TuningDesk(reloadable, USER)

    @property
    def settings(self) -> Settings:
        """The settings that the next run will have."""
        return self._reloadable.settings

    def consider(self) -> Future[Outcome] | None:
        """Begin or break off what is due.

        Returns:
            The run that began, if one did.

        Raises:
            SleepcycleError: The database or the settings cannot be read.
        """
        moment = self._clocks.now()
        with self._lock:
            self._log_state = self._nightlog.read()
            if self._closing or self._held:
                return None
            if self._executor.job is not None:
                self._supervise(self._executor.job, self._policy(moment))
                return None
            if self._log_state.paused or self._executor.is_waiting():
                return None
            if self._nightlog.has_open_run():  # its end could not be written down
                self._reloadable.open(CLOCK).recover()
            self._nightlog.settle()
            self._log_state = self._nightlog.read()
            return self._begin(self._policy(moment))

    def wake(self) -> Future[Outcome]:
        """Learn what is pending now, whatever the hour and however little it is.

        Raises:
            ServiceError: Something else is on, or the service is stopping.
            RunError: The disk has no room for a run.
        """
        return self._at_once(RunKind.WAKE)

    def sleep(self) -> Future[Outcome]:
        """Run a night now. It is an extra: the night of the date comes all the same.

        Where it leaves nothing to consolidate, that one is skipped.

        Raises:
            ServiceError: Something else is on, or the service is stopping.
            RunError: The disk has no room for a run.
        """
        return self._at_once(RunKind.SLEEP)

    def tune(self) -> None:
        """Learn at once what jobs of fine-tuning wait for, or once nothing is on."""
        now = datetime.now(UTC)
        with suppress(ServiceError):
            try:
                self.wake().add_done_callback(partial(self._tuning.take, now))
            except RunError as error:
                self._tuning.fail(str(error), now)

    def pause(self) -> None:
        """Begin nothing by itself until `resume`, also after a restart.

        A wake that is on breaks off at a checkpoint; a night comes to its end.
        """
        with self._lock:
            self._turn(paused=True)
            if self._executor.job is not None and self._executor.job.may_pause():
                self._executor.job.pause()

    def resume(self) -> None:
        """Go on after `pause`, and learn at once what may be learned now."""
        with self._lock:
            self._turn(paused=False)
            self._rest_until = None
            self.consider()

    def cancel(self, run: int) -> int | None:
        """Stop a run, and leave nothing of it.

        The service then leaves waking until its next window, and where there is no
        window, until the next night. A night that is cancelled is not tried again.

        Returns:
            How many examples are pending again; None for the run that is on, which
            was asked to stop.

        Raises:
            NotFoundError: There is no such run.
            RunError: It is over.
        """
        with self._lock:
            job = self._executor.job
            if job is not None and job.run == run:
                self._nightlog.note(USER, "cancel", run=run)
                job.cancel()
                return None
        with self._alone(f"the undoing of run {run}"):
            released = self._reloadable.open(USER).cancel(run)
            self._tuning.give_up(run)
            self._rest()
        return released

    def cancel_tuning(self, name: str) -> None:
        """Cancel a job of fine-tuning; soon, where a run has its batch for it alone.

        Raises:
            NotFoundError: There is none of that name.
            TuningError: It is over.
        """
        with self._lock:
            run = self._tuning.cancel(name)
            if run is not None:
                self.cancel(run)

    def rollback(self, name: str = "previous", *, requeue: bool = False) -> Switch:
        """Make an older version live again, as `Home.rollback` does.

        Raises:
            ServiceError: A run is on.
        """
        return self.alone(
            "a rollback", lambda home: home.rollback(name, requeue=requeue)
        )

    def promote(self, name: str) -> Switch:
        """Make a version live, as `Home.promote` does.

        Raises:
            ServiceError: A run is on.
        """
        return self.alone("a promotion", lambda home: home.promote(name))

    def import_adapter(
        self, source: Path, *, force: bool = False, given_up: Event | None = None
    ) -> tuple[Version, MadeFor]:
        """Take in an adapter made elsewhere, as `Home.import_adapter` does.

        Returns:
            The version, and which base it was made for.

        Raises:
            ServiceError: A run is on.
        """

        def take_in(home: Home) -> tuple[Version, MadeFor]:
            """Take it in, and read its card."""
            version = home.import_adapter(source, force=force, given_up=given_up)
            return version, home.versions.made_for(version)

        return self.alone("an import", take_in)

    def alone(self, what: str, act: Callable[[Home], R]) -> R:
        """Do one thing to the home for a user while no run is on.

        Args:
            what: It in words, for whoever is refused meanwhile.
            act: What to do.

        Raises:
            ServiceError: A run is on.
        """
        with self._alone(what):
            return act(self._reloadable.open(USER))

    def reload(self) -> None:
        """Read the settings again; where one is wrong, all stay as they are.

        Raises:
            ConfigError: One is wrong; an alert tells so until they are right.
        """
        with self._lock:  # a look at the home changes the alerts, too
            try:
                self._reloadable.reload()
            except ConfigError as error:
                said = f"the settings are not read again: {error}"
                self._alerts.show(CONFIG, said)
                raise
            self._alerts.show(CONFIG, None)
        with self._executor.guarded():
            self.consider()

    def state(self) -> DaemonState:
        """Return where the service stands; waits for no run and no rollback."""
        now, log_state = self._clocks.now(), self._log_state
        state = current_state(
            self._executor, log_state, self._alerts, self.settings, now
        )
        return replace(state, targets=self._targets())

    def progress_of(self, done: Future[Outcome]) -> tuple[int | None, Progress | None]:
        """Return how far what `wake` or `sleep` began is, as `state` has it."""
        return progress_of(self._executor, done)

    def fail(self, error: DiskError) -> None:
        """Record that the disk failed, wherever that was seen: the service ends."""
        self._on_disk_error(error)

    def close(self) -> Future[Outcome] | None:
        """Begin nothing any more; ask a wake to break off, and a night to stop.

        Returns:
            What is on, if anything is.
        """
        with self._lock:
            self._closing = True
            job = self._executor.job
            if job is None:
                return None
            if job.may_pause():
                job.pause()
            elif job.kind is RunKind.SLEEP:
                job.stop()
            return job.future

    def _at_once(self, kind: RunKind) -> Future[Outcome]:
        """Begin what a user asked for."""
        with self._lock:
            self._expect_free()
            expect_room(self._reloadable.paths, self.settings.engine)
            self._executor.backoff.end()
            self._rest_until = None
            return self._executor.start(kind, USER)

    def _begin(self, policy: SchedulePolicy) -> Future[Outcome] | None:
        """Begin the night that is due, or else what may be before it."""
        night = night_to_begin(self._nightlog, policy)
        self._log_state = self._nightlog.read()
        is_asked = self._tuning.waits() and night is None
        kind = self._by_day(policy, is_asked) if night is None else RunKind.SLEEP
        if kind is None:
            self._alerts.show(ROOM, None)
            return None
        if not self._alerts.has_room(self._reloadable.paths, self.settings.engine):
            return None
        if not is_asked:
            return self._executor.start(kind, CLOCK, night)
        now, done = datetime.now(UTC), self._executor.start(kind, USER)
        done.add_done_callback(partial(self._tuning.take, now))
        return done

    def _by_day(self, policy: SchedulePolicy, is_asked: bool) -> RunKind | None:
        """Return what may begin now: a wake, or the night that its phase asks for.

        A wake that was broken off goes on in its phase, whatever lies ahead. What a
        job asks for may begin at any hour, however little it is.
        """
        ahead = choose_run(self._reloadable.open(CLOCK), self._alerts)
        rested = self._rest_until is None or policy.now >= self._rest_until
        is_due = policy.in_window() and policy.has_lesson()
        if not (rested and (is_due or is_asked)):
            return None
        return RunKind.WAKE if policy.log_state.broken_off else ahead

    def _supervise(self, job: Job, policy: SchedulePolicy) -> None:
        """Let a wake break off if its time is over."""
        stop = policy.time_is_up(job, self._clocks.monotonic() - job.began)
        if stop is not None:
            job.pause(rest=stop.rest)
            logger.info(
                "asked {job} to break off: {why}", job=job.describe(), why=stop.reason
            )

    def _over(self, job: Job, failure: Exception | None) -> None:
        """Settle what a job leaves: a pause that was overtaken by a cancel, a rest."""
        if job.given_up and job.run is not None and self._nightlog.is_paused(job.run):
            self._reloadable.open(job.actor).cancel(job.run)
        if job.given_up and job.run is not None:
            self._tuning.give_up(job.run)
        if job.rest and isinstance(failure, Interrupted):
            self._rest()

    def _rest(self) -> None:
        """Leave waking until the next window."""
        self._rest_until = self._policy(self._clocks.now()).rest_until()

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """Hold off runs for a block, which is refused where one is on."""
        with self._lock:
            self._expect_free()
            self._held = what
        try:
            yield
        finally:
            self._held = None
        with self._executor.guarded():
            self.consider()

    def _expect_free(self) -> None:
        """Refuse where something is on already."""
        if self._closing:
            raise ServiceError("the service is stopping; ask again when it is back")
        if self._held:
            raise ServiceError(f"{self._held} is on; ask again when it is over")
        job = self._executor.job
        if job is not None:
            raise ServiceError(f"{job.describe()} is on; {job.advice()}")

    def _turn(self, *, paused: bool) -> None:
        """Write down that the user pauses the service, or lets it go on."""
        if self._nightlog.read().paused != paused:
            self._nightlog.pause(paused, USER)
            self._executor.since = self._clocks.now()
        self._log_state = self._nightlog.read()

    def _policy(self, moment: datetime) -> SchedulePolicy:
        """Return the policy at this moment."""
        snapshot = self._reloadable.open(CLOCK).status()
        return SchedulePolicy(moment, self.settings, self._log_state, snapshot)
