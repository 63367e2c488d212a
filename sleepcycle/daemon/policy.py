"""The policy: whether a night, a wake or neither begins, by clock and database."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sleepcycle.daemon import calendar
from sleepcycle.daemon.job import Job
from sleepcycle.daemon.nightlog import NightLogState
from sleepcycle.settings.config import Settings
from sleepcycle.store.values import NightState, Snapshot

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WakeInterruption:
    """A wake that is to break off, and why."""

    reason: str
    rest: bool = False
    """Whether it may go on in its next window alone."""


@dataclass(frozen=True)
class SchedulePolicy:
    """What is due in a home at one moment."""

    now: datetime
    settings: Settings
    log_state: NightLogState
    """What the night log holds."""

    snapshot: Snapshot

    def due(self) -> date | None:
        """Return the date of the night that is due; None where none is.

        A night that was begun and broken off is due again until its date is over.
        """
        sleep, last = self.settings.sleep, self.log_state.last
        newest = calendar.night_date(self.now, sleep)
        if last is not None and last.state is NightState.BEGUN and last.date == newest:
            return newest
        created_at = self.snapshot.versions[0].created_at
        since = calendar.night_date(created_at, sleep)
        return calendar.night_due(self.now, sleep, settled(self.log_state), since)

    def left_open(self) -> date | None:
        """Return the date of a begun night that is over without an end."""
        last = self.log_state.last
        if last is None or last.state is not NightState.BEGUN:
            return None
        over = last.date < calendar.night_date(self.now, self.settings.sleep)
        return last.date if over else None

    def has_day(self) -> bool:
        """Return whether anything was learned since the last night."""
        return self.snapshot.day is not None

    def in_window(self) -> bool:
        """Return whether the service may learn at this hour."""
        return self._window_end() is not None

    def has_lesson(self) -> bool:
        """Return whether enough is pending, or a wake was broken off."""
        enough = self.snapshot.counts.pending >= self.settings.wake.min_pending
        return enough or self.log_state.broken_off

    def time_is_up(self, job: Job, taken_s: float) -> WakeInterruption | None:
        """Return why a wake is to break off; None where it may go on.

        Args:
            job: What is on.
            taken_s: How long it has been, in seconds.
        """
        if not job.may_pause():
            return None
        if self.due() and self.has_day() and not self.log_state.paused:
            return WakeInterruption("the night is due")
        if not job.is_scheduled:
            return None
        if not self.in_window():
            return WakeInterruption("the window is over")
        most_s = self.settings.wake.max_duration_s
        return (
            WakeInterruption(f"it took {most_s:g} s", True)
            if 0 < most_s <= taken_s
            else None
        )

    def rest_until(self) -> datetime:
        """Return when waking may go on that was to stop: not in this window.

        Without windows that is the next night.
        """
        end = self._window_end() or self.now
        if end < self.now + calendar.FOREVER:
            return end
        return calendar.next_night(
            self.now, self.settings.sleep, settled(self.log_state)
        )

    def _window_end(self) -> datetime | None:
        """Return when the window ends that is open now."""
        zone = calendar.zone(self.settings.sleep)
        return calendar.window_end(self.now, self.settings.wake, zone)


def settled(log_state: NightLogState) -> date | None:
    """Return the newest date whose night needs nothing more."""
    if log_state.last is None:
        return None
    is_open = log_state.last.state is NightState.BEGUN
    return log_state.last.date - DAY if is_open else log_state.last.date
