"""Eleven years of nights in the world's oddest time zones, with clocks that jump.

Five zones are simulated by default, all 25 with `SLEEPCYCLE_FAULTS=full`; `pytest -s
-n 0` shows the totals. What is right is found without the module under test: minute by
minute around each change of a clock.
"""

import itertools
import os
import random
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from sleepcycle.daemon.calendar import night_due
from sleepcycle.settings.config import SleepSettings

FULL = os.environ.get("SLEEPCYCLE_FAULTS") == "full"
ODD = {  # each with a time of day that hurts there
    "Africa/Cairo": "00:00",  # springs over 00:00, falls back over midnight
    "Africa/Casablanca": "02:30",  # changes for Ramadan too
    "America/Scoresbysund": "23:59",  # springs from 23:00 into the next date
    "America/Santiago": "00:00",  # falls back at midnight
    "Australia/Lord_Howe": "01:30",  # moves by half an hour
}
OTHERS = [
    "America/Havana",
    "America/New_York",
    "America/Nuuk",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",  # moves by two hours
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Europe/Dublin",  # its winter is the change
    "Europe/Helsinki",
    "Europe/London",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "UTC",
]
TIMES = ["02:30", "03:00", "00:00", "23:59", "01:30"]
CASES = list(itertools.product([*ODD, *OTHERS], TIMES)) if FULL else list(ODD.items())

FIRST, LAST = date(2026, 1, 1), date(2036, 12, 31)
START, END = datetime(2026, 1, 1, 20, tzinfo=UTC), datetime(2037, 1, 1, 20, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
CLOSE, FAR = 20 * MINUTE, (7 if FULL else 11) * HOUR  # between two ticks
JUMPS = [HOUR, -HOUR, DAY, -DAY]


@dataclass
class Totals:
    """What simulations saw."""

    lives: int = 0
    ticks: int = 0
    off: int = 0
    """Ticks that the service was off for."""

    jumps: int = 0
    nights: int = 0
    missed: int = 0
    """Dates without a night: the service was off, or its clock passed over them."""


@cache
def changes(zone: str) -> list[datetime]:
    """Return the days on which a clock changes, as the midnight before in UTC."""
    local = ZoneInfo(zone)
    days = [START + n * DAY for n in range(-3, (END - START).days + 3)]
    offsets = [day.astimezone(local).utcoffset() for day in days]
    return [days[n] for n in range(len(days) - 1) if offsets[n] != offsets[n + 1]]


@cache
def moments(zone: str, at: str) -> list[datetime]:
    """Return when each night from the first date on begins.

    On a day without a change it is plain arithmetic; else the first minute whose
    local clock shows the time, or more.
    """
    local, clock = ZoneInfo(zone), time.fromisoformat(at)
    found = []
    for n in range((LAST - FIRST).days + 6):  # a clock may be a day ahead
        wanted = datetime.combine(FIRST + n * DAY, clock)
        noon = wanted.replace(tzinfo=UTC)
        before, after = (
            (noon + sign * 16 * HOUR).astimezone(local).utcoffset() for sign in (-1, 1)
        )
        moment = noon - max(before, after)
        while before != after and shown(moment, local) < wanted:
            moment += MINUTE
        found.append(moment)
    return found


def shown(moment: datetime, local: ZoneInfo) -> datetime:
    """Return what a local clock shows."""
    return moment.astimezone(local).replace(tzinfo=None)


def newest(now: datetime, zone: str, at: str) -> date:
    """Return the newest date whose night's time has come."""
    return FIRST + (bisect_right(moments(zone, at), now) - 1) * DAY


def ticks(zone: str) -> Iterator[datetime]:
    """Yield moments: every 20 minutes near a change, else every few hours."""
    near = iter([*changes(zone), END + 9 * DAY])
    change = next(near)
    now = START
    while now < END:
        yield now
        while now > change + 2 * DAY:
            change = next(near)
        now += CLOSE if change - DAY - FAR < now else FAR


def jumps(seed: random.Random) -> Iterator[timedelta]:
    """Yield how wrong the clock is at each tick: mostly not, else for some time."""
    while True:
        yield from [timedelta()] * seed.randrange(2, 60)
        yield from [seed.choice(JUMPS)] * seed.randrange(1, 12)


def offs(seed: random.Random) -> Iterator[bool]:
    """Yield whether the service is off at each tick."""
    while True:
        yield from [False] * seed.randrange(1, 60)
        yield from [True] * seed.randrange(1, 40)


class Life:
    """Eleven years of one service; `nights` are the dates on which it slept."""

    def __init__(self, zone, at, totals, *, catch_up=True):
        self.zone, self.at, self.totals = zone, at, totals
        self.settings = SleepSettings(at=at, timezone=zone, catch_up=catch_up)
        self.first = newest(START, zone, at)
        self.last = None
        self.nights = []
        totals.lives += 1

    def due(self, now):
        return night_due(now, self.settings, self.last, self.first)

    def newest(self, now):
        return newest(now, self.zone, self.at)

    def begins(self, day):
        return moments(self.zone, self.at)[(day - FIRST).days]

    def seed(self, name):
        return random.Random(f"{name} {self.zone} {self.at}")

    def live(self, off=None, wrong=None):
        """Yield the clock, and the date of the night begun, for each tick when up."""
        for now in ticks(self.zone):
            error = next(wrong) if wrong else timedelta()
            self.totals.ticks += 1
            if off and next(off):
                self.totals.off += 1
                continue
            day = self.due(now + error)
            yield now + error, day
            if day is not None:
                self.nights.append(day)
                self.last = day
        self.totals.nights += len(self.nights)
        self.totals.missed += (self.last - self.first).days - len(self.nights)


@pytest.fixture(scope="module")
def ledger():
    """Totals by the name of a scenario, printed at the end."""
    found = defaultdict(Totals)
    yield found
    for name, totals in found.items():
        sys.stdout.write(f"\n{name}: {asdict(totals)}")


pytestmark = pytest.mark.parametrize(("zone", "at"), CASES)


def test_every_date_has_its_night_on_time(zone, at, ledger):
    """A service that is never off: 4,018 dates, each once, in order, within a tick."""
    life = Life(zone, at, ledger["always on"])
    before = START
    for now, day in life.live():
        if day is not None:
            assert before < life.begins(day) <= now
        before = now

    days = (life.newest(before) - life.first).days
    assert days >= (END - START).days - 1
    assert life.nights == [life.first + n * DAY for n in range(1, days + 1)]


def test_a_service_that_is_off_at_times_sleeps_once_for_each_date_it_was_up(
    zone, at, ledger
):
    """Caught up: exactly the dates in which, from night to night, it was up."""
    life = Life(zone, at, ledger["off at times"])
    up = {life.newest(now) for now, _ in life.live(offs(life.seed("off")))}

    assert life.nights == sorted(up - {life.first})
    assert len(life.nights) < (END - START).days


def test_no_jump_of_the_clock_repeats_a_night_or_loses_one(zone, at, ledger):
    """
    Off at times, and the clock wrong by an hour or a day at times: by its own clock
    no night is early, none comes twice, and after each tick none is owed.
    """
    totals = ledger["clock jumps"]
    life = Life(zone, at, totals)
    wrong, counted = itertools.tee(jumps(life.seed("jumps")))
    latest = life.first
    for now, day in life.live(offs(life.seed("off")), wrong):
        if day is not None:
            assert life.begins(day) <= now
            assert day > latest
            latest = day
        assert latest >= life.newest(now)

    steps = itertools.islice(counted, sum(1 for _ in ticks(zone)))
    went = sum(a != b for a, b in itertools.pairwise(steps))
    totals.jumps += went
    assert went > 100
    assert len(set(life.nights)) == len(life.nights)


def test_without_catch_up_no_night_begins_an_hour_late(zone, at, ledger):
    """A service that was up within the hour has its night; one that was not, none."""
    life = Life(zone, at, ledger["no catching up"], catch_up=False)
    on_time = {life.first}
    for now, _ in life.live(offs(life.seed("late"))):
        day = life.newest(now)
        if now - life.begins(day) < HOUR:
            on_time.add(day)

    assert life.nights == sorted(on_time - {life.first})
