"""Bodies on their way in: none without room, and never too many at once."""

import asyncio
import errno
import json
import os
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest
from anyio import CapacityLimiter

from sleepcycle.errors import BusyError, DiskError, QuotaError
from sleepcycle.files import disk
from sleepcycle.files.arriving import PREFIX, arriving
from sleepcycle.home.uploads import UploadRegistry
from sleepcycle.server import server
from sleepcycle.server.arrival_desk import (
    AT_ONCE,
    MOST_WAITING,
    Arrival,
    ArrivalDesk,
)
from sleepcycle.settings.config import EngineSettings, ServeSettings
from tests.server.conftest import PATIENCE_S, TOKEN, ask
from tests.server.test_feed_routes import JSONL, LINES, begun, feed, left, until
from tests.server.test_file_routes import FORM, PURPOSE, form, names, upload

MB = 1_000_000
RESERVE = 256 * MB  # engine.reserve_mb
ROUTES = {"/api/feed": JSONL, "/v1/files": FORM}


class Room(disk.System):
    """A disk with so much room, of which what comes in takes some."""

    def __init__(self, free):
        self.free = free

    def free_bytes(self, path):
        coming = (path / "uploads").glob(f"{PREFIX}*")
        return self.free - sum(file.stat().st_size for file in coming)


class Full(disk.System):
    """A disk that is full once a body comes."""

    def open(self, path, flags):
        if not Path(path).name.startswith(PREFIX):
            return super().open(path, flags)
        path.touch()
        return super().open("/dev/full", flags & ~os.O_EXCL)


class SlowToName(disk.System):
    """A disk on which two files get their names at the same time, if they may."""

    def __init__(self):
        self.both = threading.Barrier(2)

    def rename(self, source, target):
        if Path(source).name.startswith(PREFIX):
            with suppress(threading.BrokenBarrierError):
                self.both.wait(0.5)
        super().rename(source, target)


@pytest.fixture
def through(monkeypatch):
    """Let the file layer call something else."""
    return lambda system: monkeypatch.setattr(disk, "system", system)


@pytest.fixture
def small(paths, scheduler):
    """A service that takes a megabyte at a time, and keeps four."""
    running = server.start(scheduler, TOKEN, paths, ServeSettings(max_feed_mb=1))
    yield running
    running.stop()


@pytest.fixture
def make_desk(paths):
    """Return a desk that keeps a thousand bytes, and has one turn."""

    def make(**more):
        return ArrivalDesk(UploadRegistry(paths, 1000), EngineSettings, **more)

    return make


def told(served, path, size):
    """Send the head of a body alone, and return status and JSON of the answer."""
    channel = HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_S)
    channel.putrequest("POST", path)
    channel.putheader("Authorization", f"Bearer {TOKEN}")
    channel.putheader("Content-Type", ROUTES[path]["Content_Type"])
    channel.putheader("Content-Length", str(size))
    channel.endheaders()
    with closing(channel):
        answer = channel.getresponse()
        return answer.status, json.loads(answer.read())


def chunked(data):
    """Return a body in chunks, and what tells so."""
    size = 50_000
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])
    return {"body": body, "Transfer_Encoding": "chunked"}


def code_of(told):
    """Return the name of an error, in whatever shape it has."""
    error = told["error"]
    return error if isinstance(error, str) else error["code"]


class TestRoom:
    @pytest.mark.parametrize(
        ("path", "code"),
        [("/api/feed", "DiskError"), ("/v1/files", "insufficient_storage")],
    )
    def test_what_the_disk_has_no_room_for_is_refused_before_it_comes(
        self, served, paths, through, path, code
    ):
        """
        A run has its room after it.
        """
        through(Room(RESERVE + 30 * MB))

        status, error = told(served, path, 31 * MB)

        assert (status, code_of(error)) == (507, code)
        assert left(paths) == []

    def test_what_is_on_its_way_has_its_room(self, served, paths, through):
        through(Room(RESERVE + 30 * MB))
        with begun(served, 20 * MB):
            until(lambda: left(paths))

            assert told(served, "/api/feed", 11 * MB)[0] == 507

        until(lambda: not left(paths))
        with begun(served, 11 * MB):
            until(lambda: left(paths))

    @pytest.mark.parametrize("path", ROUTES)
    def test_one_of_unknown_size_is_refused_on_its_way(
        self, served, paths, through, path
    ):
        through(Room(RESERVE + MB))
        data = form(PURPOSE, (b"file", b"a", bytes(2 * MB)))

        status, _ = ask(served, "POST", path, **chunked(data), **ROUTES[path])

        assert status == 507
        assert left(paths) == []

    @pytest.mark.parametrize(
        ("path", "code"),
        [("/api/feed", "DiskError"), ("/v1/files", "insufficient_storage")],
    )
    def test_a_disk_that_is_full_meanwhile_ends_nothing(
        self, served, paths, through, path, code
    ):
        """
        The fake scheduler cannot be told that the disk failed.
        """
        through(Full())
        data = form(PURPOSE, (b"file", b"a", bytes(MB)))

        status, error = ask(served, "POST", path, body=data, **ROUTES[path])

        assert (status, code_of(error)) == (507, code)
        assert left(paths) == []
        through(disk.System())
        assert feed(served)[0] == upload(served)[0] == 200


class TestQuota:
    def test_what_is_on_its_way_counts(self, small, paths):
        """
        Before a byte of the fifth has come.
        """
        with ExitStack() as stack:
            for count in range(1, 5):
                channel = socket.create_connection(("127.0.0.1", small.port))
                stack.enter_context(channel)
                head = (
                    f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1:{small.port}\r\n"
                    f"Authorization: Bearer {TOKEN}\r\nContent-Length: {MB}\r\n"
                    "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
                )
                channel.sendall(head.encode())
                until(lambda count=count: len(names(paths)) == count)

            status, error = told(small, "/v1/files", MB)

        assert (status, error["error"]["code"]) == (413, "quota_exceeded")
        until(lambda: not names(paths))

    def test_one_of_unknown_size_is_refused_on_its_way(self, small, paths):
        for _ in range(3):
            assert upload(small, bytes(MB))[0] == 200
        data = form(PURPOSE, (b"file", b"a", bytes(MB + 50_000)))

        status, error = ask(small, "POST", "/v1/files", **chunked(data), **FORM)

        assert (status, error["error"]["code"]) == (413, "quota_exceeded")
        assert len(names(paths)) == 6

    def test_what_is_fed_does_not_count(self, small):
        for _ in range(4):
            assert upload(small, bytes(MB))[0] == 200

        assert feed(small)[0] == 200

    def test_two_that_are_kept_at_once_do_not_go_beyond_it(self, make_desk, through):
        desk, found = make_desk(), []
        through(SlowToName())

        def keep():
            """Keep a file that the quota has room for once."""
            file = arriving(desk.uploads.paths.uploads)
            one = Arrival(file, 600, True, lambda one, size: None)
            one.write(bytes(600))
            try:
                found.append(desk.keep(one, "a", "fine-tune").size_bytes)
            except QuotaError as error:
                found.append(type(error))
            file.close()

        threads = [threading.Thread(target=keep) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert set(found) == {600, QuotaError}
        assert [one.size_bytes for one in desk.uploads.listing()] == [600]


class TestTurns:
    def test_one_more_waits_and_the_service_answers(self, served, paths):
        with ExitStack() as stack:
            channels = [
                stack.enter_context(begun(served, len(LINES))) for _ in range(AT_ONCE)
            ]
            until(lambda: len(left(paths)) == AT_ONCE)
            found = []
            thread = threading.Thread(target=lambda: found.append(feed(served)))
            thread.start()

            at = time.monotonic()
            assert ask(served, "GET", "/livez")[0] == 200
            assert time.monotonic() - at < 1
            assert (found, len(left(paths))) == ([], AT_ONCE)
            channels[0].sendall(LINES)
            thread.join()

        assert found[0][0] == 200

    @pytest.mark.parametrize(
        ("waiting", "wait_s"), [(0, 0.01), (MOST_WAITING, PATIENCE_S)]
    )
    def test_who_waits_for_long_or_behind_many_is_told_when_to_ask(
        self, make_desk, waiting, wait_s
    ):
        async def come(desk):
            """Let a body come."""
            async with desk.arriving((0, 10)):
                pass

        async def come_behind():
            """Let a body come while another has the one turn, and others wait."""
            desk = make_desk(wait_s=wait_s, turns=CapacityLimiter(1))
            desk.turns.acquire_on_behalf_of_nowait("another")
            others = [asyncio.create_task(come(desk)) for _ in range(waiting)]
            await asyncio.sleep(0)
            try:
                await come(desk)
            finally:
                for other in others:
                    other.cancel()

        at = time.monotonic()
        with pytest.raises(BusyError, match="to come in at once"):
            asyncio.run(come_behind())

        assert time.monotonic() - at < PATIENCE_S / 2


def test_what_is_refused_leaves_room_for_the_next(make_desk):
    desk = make_desk()

    async def come(size):
        """Let a body come that is to be kept."""
        async with desk.arriving((size, size), is_kept=True) as one:
            one.write(bytes(size))

    with pytest.raises(QuotaError, match="expected at most 1000 bytes of files, got"):
        asyncio.run(come(1001))
    for _ in range(3):
        asyncio.run(come(900))

    assert list(desk.uploads.paths.uploads.iterdir()) == []


def test_a_disk_that_failed_ends_the_service(served, scheduler, through):
    class Failed(disk.System):
        def fsync(self, handle):
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    failed = []
    scheduler.fail = failed.append
    through(Failed())

    status, _ = upload(served)

    assert status == 503
    assert [type(error) for error in failed] == [DiskError]
