"""The ticker: calls the scheduler at an interval, and keeps no state."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from loguru import logger

TICK = "tick"


class Ticker:
    """Calls a tick at an interval, one at a time.

    It keeps no state that matters: whoever is ticked asks anew what is due, so a tick
    may be late, come twice or be lost in a suspended machine. What a tick raises is
    logged, and the next one comes all the same.
    """

    def __init__(self, tick: Callable[[], None], every_s: float) -> None:
        """Make a ticker; it stands still until `start`.

        Args:
            tick: Called in a thread of the clock's own. It should return soon: while
                it runs, no other tick comes.
            every_s: Seconds between two ticks; the first comes at once.
        """
        self._tick = tick
        self._every = timedelta(seconds=every_s)
        self._stopped = threading.Event()
        self._guard = threading.Thread(target=self._watch, name="clock", daemon=True)
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={
                "coalesce": True,
                "max_instances": 1,
                "misfire_grace_time": None,  # late is as good as never late
            },
        )

    def start(self) -> None:
        """Begin to tick."""
        # A tick that is left out since the last one still runs is no news.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler.add_job(
            self._run,
            "interval",
            seconds=self._every.total_seconds(),
            id=TICK,
            next_run_time=datetime.now(UTC),
        )
        self._scheduler.start()
        self._guard.start()

    def stop(self) -> None:
        """Tick no more; a tick that runs is not waited for."""
        self._stopped.set()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _run(self) -> None:
        """Tick, whatever comes of it."""
        if self._stopped.is_set():
            return
        try:
            self._tick()
        except Exception:  # noqa: BLE001 - a clock must go on
            logger.exception("a tick of the service failed")

    def _watch(self) -> None:
        """Bring the next tick near again when the system's clock went back.

        The scheduler knows moments only: set back by a day, it would stand still for
        one. This looks by the monotonic clock.
        """
        while not self._stopped.wait(self._every.total_seconds()):
            job = self._scheduler.get_job(TICK)
            now = datetime.now(UTC)
            if job and job.next_run_time and job.next_run_time > now + 2 * self._every:
                logger.warning("the system's clock went back; the service goes on")
                job.modify(next_run_time=now)
