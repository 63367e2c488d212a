"""Heavy work has its turn until it has ended, and is given up where nobody waits."""

import asyncio
import threading

import pytest

from sleepcycle.errors import BusyError, Interrupted, ServiceError, VersionError
from sleepcycle.server.heavy_work import HeavyWork
from sleepcycle.server.unless_gone import unless_gone
from tests.server.conftest import PATIENCE_S
from tests.server.test_feed_routes import until


class Asking:
    """Who asks, and goes when a test says so."""

    def __init__(self):
        self.gone = False

    async def is_disconnected(self):
        return self.gone


def is_free(work):
    """Return whether other work can begin."""
    try:
        return work.begin(lambda _: True).result(PATIENCE_S)
    except BusyError:
        return False


class TestHeavyWork:
    def test_a_second_is_refused_until_the_first_is_over(self):
        work, over = HeavyWork(), threading.Event()
        first = work.begin(lambda _: over.wait(PATIENCE_S))
        with pytest.raises(BusyError, match="expected no other heavy work, got some"):
            work.begin(lambda _: 2)

        over.set()

        assert first.result(PATIENCE_S)
        assert work.begin(lambda _: 2).result(PATIENCE_S) == 2

    def test_it_is_free_again_where_one_failed(self):
        work = HeavyWork()

        def fail(given_up):
            raise VersionError("no version v9")

        for _ in range(2):
            with pytest.raises(VersionError, match="no version v9"):
                work.begin(fail).result(PATIENCE_S)

    def test_what_has_begun_is_given_up_at_the_end_of_the_service(self):
        work = HeavyWork()
        begun = work.begin(lambda given_up: given_up.wait(PATIENCE_S))

        work.close()

        assert begun.result(PATIENCE_S)
        with pytest.raises(BusyError, match="expected no other heavy work, got some"):
            work.begin(lambda _: 2)

    def test_where_nobody_waits_another_waits_for_its_end(self):
        """
        As where the server ends, and its loop drops all requests.
        """
        work, told, over = HeavyWork(), threading.Event(), threading.Event()

        def end_slowly(given_up):
            if given_up.wait(PATIENCE_S):
                told.set()
            over.wait(PATIENCE_S)

        async def drop():
            """Ask for something, and drop the request."""
            asking = asyncio.create_task(work.do(Asking(), end_slowly))
            await asyncio.sleep(0.05)
            asking.cancel()
            await asyncio.wait([asking])

        asyncio.run(drop())
        assert told.wait(PATIENCE_S)
        with pytest.raises(BusyError, match="expected no other heavy work, got some"):
            work.begin(lambda _: 2)

        over.set()
        until(lambda: is_free(work))

    def test_who_has_gone_gets_nothing_and_the_work_ends(self):
        work, who = HeavyWork(), Asking()

        def give_up(given_up):
            assert given_up.wait(PATIENCE_S)
            raise Interrupted("given up")

        async def go():
            """Ask for something, and go."""
            asking = asyncio.create_task(work.do(who, give_up))
            await asyncio.sleep(0.05)
            who.gone = True
            await asking

        with pytest.raises(Interrupted, match="given up"):
            asyncio.run(go())


def test_an_answer_is_cancelled_where_who_asked_has_gone():
    ended = []

    async def answer():
        """Take as long as it takes."""
        try:
            await asyncio.sleep(PATIENCE_S)
        finally:
            await asyncio.sleep(0)  # such as to tell others
            ended.append(True)

    async def go():
        """Ask, and go."""
        who = Asking()
        who.gone = True
        task = asyncio.create_task(answer())
        await unless_gone(who, task, task.cancel)

    with pytest.raises(ServiceError, match="who asked has gone"):
        asyncio.run(go())

    assert ended == [True]
