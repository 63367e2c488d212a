"""Put the state of the service together for `status` and the HTTP control."""

from concurrent.futures import Future
from datetime import datetime

from sleepcycle.daemon import calendar
from sleepcycle.daemon.alerts import CURRICULUM, ROOM, Alerts
from sleepcycle.daemon.executor import Executor
from sleepcycle.daemon.job import Job
from sleepcycle.daemon.nightlog import NightLogState
from sleepcycle.daemon.policy import settled
from sleepcycle.daemon.state import Activity, DaemonState
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.runs.context import Outcome
from sleepcycle.settings.config import Settings

WORDS = {RunKind.WAKE: Activity.AWAKE, RunKind.SLEEP: Activity.ASLEEP}


def current_state(
    executor: Executor,
    log_state: NightLogState,
    alerts: Alerts,
    settings: Settings,
    now: datetime,
) -> DaemonState:
    """Return where the service stands; no lock is taken, so that nobody waits.

    Args:
        executor: What is on, and what is waited for.
        log_state: What the night log held last.
        alerts: What needs a look.
        settings: When it may learn and sleep.
        now: The moment.
    """
    job, zone = executor.job, calendar.zone(settings.sleep)
    return DaemonState(
        word=_word(job, executor, log_state, alerts),
        run=None if job is None else job.run,
        kind=None if job is None else job.kind,
        progress=None if job is None else job.progress,
        next_night=calendar.next_night(now, settings.sleep, settled(log_state)),
        next_window=calendar.next_window(now, settings.wake, zone),
        banner=alerts.text(executor.waits_for(now)),
        since=executor.since if job is None else job.since,
        paused=log_state.paused,
    )


def progress_of(
    executor: Executor, done: Future[Outcome]
) -> tuple[int | None, Progress | None]:
    """Return the run and the last heartbeat of a job, by what will come of it.

    Both are None where it is over, or has none yet.
    """
    job = executor.job
    if job is None or job.future is not done:
        return None, None
    return job.run, job.progress


def _word(
    job: Job | None, executor: Executor, log_state: NightLogState, alerts: Alerts
) -> Activity:
    """Return in one word what the service is doing."""
    if job is not None:
        return WORDS[job.kind]
    if log_state.paused:
        return Activity.PAUSED
    blocked = any(alerts.shows(what) for what in (CURRICULUM, ROOM))
    return Activity.WAITING if executor.is_waiting() or blocked else Activity.IDLE
