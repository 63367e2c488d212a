"""The calendar: wake windows and night times of local clocks as moments in UTC.

All functions are pure, on aware datetimes; what they return is UTC. A local time that
does not exist stands for the first moment after the gap, one that exists twice for the
first of the two. Dates are those of the local calendar, so that a night has one name
whatever the clocks did.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tzlocal

from sleepcycle.errors import ConfigError
from sleepcycle.settings.choices import Weekday
from sleepcycle.settings.config import SleepSettings, WakeSettings
from sleepcycle.settings.section import clock

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)  # no zone moves its clocks between two of them
FOREVER = timedelta(days=36_525)  # a hundred years stand for "no bound"

ON_TIME = timedelta(hours=1)
"""How late a night may begin where none is caught up with: longer than it takes to
restart the machine or to bring a wake to a checkpoint, and still the same night."""

AHEAD = 22  # days; of three windows of one weekday, a gap can swallow at most two
MIDNIGHT = time()


def zone(sleep: SleepSettings) -> ZoneInfo:
    """Return the time zone of nights and wake windows.

    The system's zone is read once for a process.

    Raises:
        ConfigError: None is set, and the system's cannot be told.
    """
    if sleep.timezone:
        return ZoneInfo(sleep.timezone)
    try:
        return tzlocal.get_localzone()
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(
            f"expected the system to tell its time zone, got: {error}; set "
            "sleep.timezone"
        ) from error


def night_date(now: datetime, sleep: SleepSettings) -> date:
    """Return the date of the newest night whose time has come."""
    local = zone(sleep)
    at = clock(sleep.at)
    today = now.astimezone(local).date()
    later = today + DAY  # has come where the clock went back over midnight
    return next(day for day in _back(later, local) if _moment(day, at, local) <= now)


def next_night(now: datetime, sleep: SleepSettings, last: date | None) -> datetime:
    """Return when the next night begins that is neither done nor due.

    Args:
        now: The present.
        sleep: The settings of nights.
        last: Date of the last night that was done or skipped; None for none yet.
    """
    local = zone(sleep)
    newest = night_date(now, sleep)
    day = max(newest, last or newest) + DAY
    while not _exists(day, local):
        day += DAY
    return _moment(day, clock(sleep.at), local)


def night_due(
    now: datetime, sleep: SleepSettings, last: date | None, since: date | None
) -> date | None:
    """Return the date of the night to begin now; None where none is due.

    Only the newest date is ever due, so a service that was off for days sleeps once.
    A date that is not later than `last` and `since` is never due, whatever the clock
    was set to since: nights never repeat.

    Args:
        now: The present.
        sleep: The settings of nights; without `catch_up` a night is due for an hour.
        last: Date of the last night that was done or skipped; None for none yet.
        since: Newest date that was over when the home began, best found as
            `night_date(created_at, sleep)`: only later nights are owed. None where
            that is not known; with no `last` either, nothing is owed, and a night is
            due for an hour even with `catch_up`.
    """
    day = night_date(now, sleep)
    over = [known for known in (last, since) if known is not None]
    if over and day <= max(over):
        return None
    late = now - _moment(day, clock(sleep.at), zone(sleep))
    if late >= ON_TIME and not (sleep.catch_up and over):
        return None
    return day


def window_end(now: datetime, wake: WakeSettings, zone: ZoneInfo) -> datetime | None:
    """Return when the window ends that is open now; None where none is.

    Windows that meet are one. Without bounds it is a hundred years from now.
    """
    if _is_always(wake):
        return now.astimezone(UTC) + FOREVER
    end = None
    for opens, closes in _windows(now, wake, zone):
        if (end is None and opens <= now < closes) or end == opens:
            end = closes
    return end


def next_window(now: datetime, wake: WakeSettings, zone: ZoneInfo) -> datetime:
    """Return when the next window begins; now, where one is open.

    Where no day has a window it is a hundred years from now.
    """
    if window_end(now, wake, zone):
        return now.astimezone(UTC)
    windows = _windows(now, wake, zone)
    return next(
        (opens for opens, _ in windows if opens > now), now.astimezone(UTC) + FOREVER
    )


def _is_always(wake: WakeSettings) -> bool:
    """Return whether the service may learn at any time."""
    return not wake.window and set(wake.days) == set(Weekday)


def _windows(
    now: datetime, wake: WakeSettings, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    """Yield begin and end of the windows around now and after it, in order.

    A window that lies in a gap of the clock is left out. Without hours, a window is
    a whole date.
    """
    start, end = (clock(text) for text in (wake.window or "00:00-00:00").split("-"))
    allowed = [list(Weekday).index(day) for day in wake.days]
    first = now.astimezone(zone).date() - 2 * DAY
    for ahead in range(AHEAD):
        day = first + ahead * DAY
        if day.weekday() not in allowed or not _exists(day, zone):
            continue
        opens = _moment(day, start, zone)
        closes = _moment(day if start < end else day + DAY, end, zone)
        if opens < closes:
            yield opens, closes


def _back(day: date, zone: ZoneInfo) -> Iterator[date]:
    """Yield a date and those before it, but for what the zone left out."""
    while True:
        if _exists(day, zone):
            yield day
        day -= DAY


def _exists(day: date, zone: ZoneInfo) -> bool:
    """Return whether a zone has a date: one that moves over the date line skips one."""
    return _moment(day, MIDNIGHT, zone) < _moment(day + DAY, MIDNIGHT, zone)


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Return the first moment at which a local clock shows a time, or is past it."""
    wanted = datetime.combine(day, at)
    late = wanted.replace(tzinfo=zone).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) == wanted:
        return late
    early = wanted.replace(tzinfo=zone, fold=1).astimezone(UTC)  # before the gap
    while late - early > SECOND:
        middle = early + (late - early) // 2 // SECOND * SECOND
        if middle.astimezone(zone).replace(tzinfo=None) < wanted:
            early = middle
        else:
            late = middle
    return late
