"""Figures as a person reads them: with their unit, in the clock of this machine."""

import re
from datetime import UTC, datetime

NONE = "—"
MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86_400
SIZES = ("B", "kB", "MB", "GB", "TB")


def count(number: float | None) -> str:
    """Return a number with its thousands divided, or a dash for none."""
    return NONE if number is None else f"{number:,.0f}"


def counted(number: int, thing: str) -> str:
    """Return how many of a thing there are, such as `3 examples`."""
    plural = re.sub(r"([^aeiou])y$", r"\1ie", re.sub(r"ch$", "che", thing)) + "s"
    return f"{number:,} {thing if number == 1 else plural}"


def share(value: float | None) -> str:
    """Return a share in [0, 1] as percent, or a dash for none."""
    return NONE if value is None else f"{value:.0%}"


def points(value: float) -> str:
    """Return a difference of two shares in points of a hundred."""
    return f"{value * 100:.0f}"


def decimal(value: float | None, digits: int = 3) -> str:
    """Return a number with some decimals, or a dash for none."""
    return NONE if value is None else f"{value:.{digits}f}"


def duration(seconds: float | None) -> str:
    """Return how long something takes, such as `5 h 12 min`."""
    if seconds is None:
        return NONE
    if seconds < MINUTE_S:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    hours, rest = divmod(round(seconds / MINUTE_S), 60)
    if hours < 24:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def size(number: float | None) -> str:
    """Return bytes in the unit that suits them, or a dash for none."""
    if number is None:
        return NONE
    value, unit = float(number), SIZES[0]
    for unit in SIZES:
        if value < 1000 or unit == SIZES[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == SIZES[0] else f"{value:.1f} {unit}"


def clock(moment: datetime, now: datetime | None = None) -> str:
    """Return a moment as one says it today: `14:05`, `Tue 14:05`, `3 Mar 2026`."""
    here = moment.astimezone()
    days = abs((here.date() - (now or datetime.now(UTC)).astimezone().date()).days)
    if days == 0:
        return f"{here:%H:%M}"
    if days < 7:
        return f"{here:%a %H:%M}"
    return f"{here.day} {here:%b %Y}"


def since(moment: datetime, now: datetime | None = None) -> str:
    """Return how far away a moment is: `5 min ago`, `in 3 h`, `now`."""
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if abs(seconds) < 10:
        return "now"
    far = duration(abs(seconds))
    return f"{far} ago" if seconds > 0 else f"in {far}"


def clipped(text: str, most: int = 200) -> str:
    """Return the beginning of a text, with a sign where it goes on."""
    return text if len(text) <= most else f"{text[:most].rstrip()} …"
