"""The rate limit: a bucket for each token."""

import pytest

from sleepcycle.server.rate_limit import RateLimit


class Clock:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_minutes_worth_may_come_at_once(clock):
    rate = RateLimit(3, clock)

    assert [rate.wait_s("a") for _ in range(4)] == [0, 0, 0, 20]


def test_who_waits_as_told_is_let_in_once(clock):
    rate = RateLimit(3, clock)
    for _ in range(3):
        rate.wait_s("a")
    clock.now += rate.wait_s("a")

    assert rate.wait_s("a") == 0
    assert rate.wait_s("a") == 20


def test_a_bucket_holds_no_more_than_a_minute(clock):
    rate = RateLimit(2, clock)
    rate.wait_s("a")
    clock.now += 3600

    assert [rate.wait_s("a") > 0 for _ in range(3)] == [False, False, True]


def test_one_token_takes_nothing_from_another(clock):
    rate = RateLimit(1, clock)
    rate.wait_s("a")

    assert rate.wait_s("a") > 0
    assert rate.wait_s("b") == 0


def test_none_is_no_limit(clock):
    rate = RateLimit(0, clock)

    assert {rate.wait_s("a") for _ in range(10_000)} == {0}
