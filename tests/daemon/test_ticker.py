"""Ticks come, one at a time, whatever they raise or the system's clock does."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from loguru import logger

from sleepcycle.daemon.ticker import TICK, Ticker

LONG = 3600.0
SOON_S = 5.0  # more than any tick takes on a busy machine


class Ticks:
    """Counts ticks, and waits for them."""

    def __init__(self, then=None):
        self.count = 0
        self._then = then
        self._changed = threading.Condition()

    def __call__(self):
        with self._changed:
            self.count += 1
            self._changed.notify_all()
        if self._then:
            self._then()

    def expect(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, SOON_S)


@pytest.fixture
def started():
    """Start a clock; it is stopped after the test."""
    clocks = []

    def act(tick, every_s):
        clock = Ticker(tick, every_s)
        clocks.append(clock)
        clock.start()
        return clock

    yield act
    for clock in clocks:
        clock.stop()


@pytest.fixture
def records():
    """Everything that is logged, with its traceback."""
    kept = []
    handler = logger.add(kept.append, format="{message}\n{exception}", diagnose=False)
    yield kept
    logger.remove(handler)


def test_the_first_tick_comes_at_once_and_more_follow(started):
    ticks = Ticks()

    started(ticks, 0.02)

    ticks.expect(3)


def test_what_a_tick_raises_is_logged_and_the_clock_goes_on(started, records):
    def fail():
        raise RuntimeError("no such thing")

    ticks = Ticks(fail)

    started(ticks, 0.02)
    ticks.expect(3)

    assert "a tick of the service failed" in records[0]
    assert "RuntimeError: no such thing" in records[0]


def test_two_ticks_never_run_at_once(started):
    """The interval's next comes while the last one runs."""
    lock, overlaps = threading.Lock(), []

    def work():
        overlaps.append(not lock.acquire(blocking=False))
        time.sleep(0.03)
        lock.release()

    ticks = Ticks(work)

    clock = started(ticks, 0.01)
    ticks.expect(8)
    clock.stop()

    assert not any(overlaps)


def test_stopping_does_not_wait_for_a_tick(started):
    release = threading.Event()
    ticks = Ticks(lambda: release.wait(SOON_S))
    clock = started(ticks, 0.01)
    ticks.expect(1)
    time.sleep(0.1)  # the next ones wait behind the one that runs, and never come

    begun = time.monotonic()
    clock.stop()
    took = time.monotonic() - begun
    release.set()
    time.sleep(0.1)

    assert took < 1
    assert ticks.count == 1


def test_stopping_twice_or_before_the_start_is_no_error():
    clock = Ticker(Ticks(), LONG)

    clock.stop()
    clock.stop()


def test_a_system_clock_that_went_back_does_not_stop_the_ticks(started):
    """To the scheduler it is as if its next tick were a day away, so that is set."""
    ticks = Ticks()
    clock = started(ticks, 0.05)
    ticks.expect(1)

    tomorrow = datetime.now(UTC) + timedelta(days=1)
    clock._scheduler.modify_job(TICK, next_run_time=tomorrow)
    count = ticks.count

    ticks.expect(count + 3)
