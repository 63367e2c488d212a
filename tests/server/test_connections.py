"""Who only connects, or sends no whole request, keeps nobody from being answered."""

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import pytest
from loguru import logger

from sleepcycle.server import connections, server
from sleepcycle.server.connections import LEAST_BODY, Wait, most_at_once
from sleepcycle.settings.config import ServeSettings
from tests.server.conftest import PATIENCE_S, TOKEN, ask

MANY = most_at_once() + 64  # connections, more than there may be
SHORT_S = 0.3
HOST = "Host: 127.0.0.1:{port}\r\n"
KNOWN = f"Authorization: Bearer {TOKEN}\r\n"
LIVEZ = "GET /livez HTTP/1.1\r\n" + HOST
ROLLBACK = "POST /api/rollback HTTP/1.1\r\n" + HOST + "Content-Length: 100\r\n"
UNFINISHED = {
    "nothing": "",
    "half a head": LIVEZ,
    "half a body without the token": ROLLBACK + "\r\nx",
    "half a body": ROLLBACK + KNOWN + "\r\nx",
    "half a body that nobody reads": LIVEZ + "Content-Length: 100\r\n\r\nx",
    "an answer, and nothing more": LIVEZ + "\r\n",
}
TOLD = [
    "half a head",
    "half a body",
]
"""Those whose request has begun, and no answer."""


@pytest.fixture
def short(monkeypatch):
    """Deadlines for which a test can wait."""
    for wait in connections.LIMIT_S:
        monkeypatch.setitem(connections.LIMIT_S, wait, SHORT_S)


@pytest.fixture
def lines():
    """What is logged."""
    found = []
    logger.remove()  # whatever a test before has left, over a stream that is closed
    number = logger.add(found.append, level="WARNING", format="{message}")
    yield found
    logger.remove(number)


@contextmanager
def connected(running, text=""):
    """Yield a connection on which some text was sent."""
    with socket.create_connection(("127.0.0.1", running.port), PATIENCE_S) as channel:
        channel.sendall(text.format(port=running.port).encode())
        yield channel


def is_ended(channel):
    """Read until the other side ends a connection, and tell that it did."""
    try:
        while channel.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def all_of(channel):
    """Return what comes until the other side ends a connection."""
    found = b""
    with suppress(ConnectionError):
        while came := channel.recv(65536):
            found += came
    return found


def drip(channel):
    """Send a byte now and then until the other side ends the connection."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            channel.sendall(b"x")
        except ConnectionError:
            return True
        time.sleep(SHORT_S / 10)
    return False


class TestDeadline:
    @pytest.mark.parametrize("text", UNFINISHED.values(), ids=UNFINISHED)
    def test_who_sends_no_whole_request_is_let_go(self, short, served, text):
        with connected(served, text) as channel:
            assert is_ended(channel)

    @pytest.mark.parametrize("name", TOLD)
    def test_whose_request_has_begun_is_told_why(self, short, served, name):
        with connected(served, UNFINISHED[name]) as channel:
            head, _, rest = all_of(channel).partition(b"\r\n\r\n")

        status, *fields = head.split(b"\r\n")
        assert status == b"HTTP/1.1 408 Request Timeout"
        assert sorted(fields) == [b"Connection: close", b"Content-Length: 0"]
        assert rest == b""

    def test_who_has_said_nothing_is_told_nothing(self, short, served):
        """
        A client that keeps a connection would take it for the next answer.
        """
        with connected(served) as channel:
            assert all_of(channel) == b""
        with connected(served, UNFINISHED["an answer, and nothing more"]) as channel:
            assert b" 408 " not in all_of(channel)

    def test_a_body_of_which_too_little_comes_is_told_so(self, short, served, lines):
        """
        Also where the client waited to be asked for it; nothing else is answered.
        """
        head = ROLLBACK.replace("100", str(2 * LEAST_BODY)) + KNOWN
        with connected(served, head + "Expect: 100-continue\r\n\r\n") as channel:
            assert channel.recv(65536).startswith(b"HTTP/1.1 100 ")
            channel.sendall(b"x" * LEAST_BODY)

            assert all_of(channel).startswith(b"HTTP/1.1 408 ")
        assert ask(served, "GET", "/livez")[0] == 200
        assert lines == []

    def test_who_reads_no_answer_is_not_waited_for(self, short, served):
        """
        Of answers that nobody took, with half a request behind them.
        """
        large = f"GET /{'x' * 8000} HTTP/1.1\r\n{HOST}{KNOWN}\r\n"
        asked = (large * 500 + LIVEZ).format(port=served.port).encode()
        with socket.socket() as channel:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            channel.connect(("127.0.0.1", served.port))
            channel.setblocking(False)
            with suppress(BlockingIOError):
                channel.send(asked)

            deadline = time.monotonic() + PATIENCE_S
            while served.http.server_state.connections:
                assert time.monotonic() < deadline
                time.sleep(SHORT_S / 10)

    @pytest.mark.parametrize("text", UNFINISHED.values(), ids=UNFINISHED)
    def test_dripping_puts_it_off_for_nobody(self, short, served, text):
        with connected(served, text) as channel:
            assert drip(channel)

    def test_who_takes_no_answers_is_let_go(self, short, served):
        large = f"GET /{'x' * 8000} HTTP/1.1\r\n{HOST}{KNOWN}\r\n"  # as its answer is
        asked = large.format(port=served.port).encode() * 2000
        with socket.socket() as channel:
            channel.settimeout(PATIENCE_S)
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            channel.connect(("127.0.0.1", served.port))

            with pytest.raises(ConnectionError, match=r"Broken pipe|reset"):
                channel.sendall(asked)

    def test_an_answer_takes_as_long_as_it_takes(self, short, served, scheduler):
        def reload():
            time.sleep(4 * SHORT_S)
            scheduler.asked.append("reload")

        scheduler.reload = reload

        assert ask(served, "POST", "/api/reload") == (200, {"reloaded": True})
        assert scheduler.asked == ["reload"]

    def test_a_body_that_arrives_in_pieces_is_taken(self, served, scheduler):
        """
        Also where it takes longer than a head may.
        """
        body = b'{"version": "v1"}'
        head = ROLLBACK.replace("100", str(len(body))) + KNOWN
        head += "Content-Type: application/json\r\n\r\n"
        with connected(served, head) as channel:
            for byte in body:
                channel.sendall(bytes([byte]))
                time.sleep(0.02)

            assert channel.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert scheduler.asked == [("rollback", "v1", False)]

    def test_a_long_body_may_take_as_long_as_enough_of_it_comes(self, short, served):
        """
        A large feed over a slow line; refused here for what it holds, once it is whole.
        """
        parts, part = 8, b"x" * LEAST_BODY
        head = ROLLBACK.replace("100", str(parts * len(part))) + KNOWN
        with connected(served, head + "\r\n") as channel:
            for _ in range(parts):
                channel.sendall(part)
                time.sleep(SHORT_S / 2)

            assert channel.recv(65536).startswith(b"HTTP/1.1 422 ")

    def test_a_long_body_of_which_no_more_comes_is_let_go(self, short, served):
        head = ROLLBACK.replace("100", str(2 * LEAST_BODY)) + KNOWN + "\r\n"
        with connected(served, head) as channel:
            channel.sendall(b"x" * LEAST_BODY)

            assert is_ended(channel)

    def test_one_connection_may_ask_again_and_again(self, short, served):
        """
        The deadline is of one request, not of all.
        """
        with connected(served) as channel:
            began = time.monotonic()
            while time.monotonic() - began < 3 * SHORT_S:
                channel.sendall((LIVEZ + "\r\n").format(port=served.port).encode())
                answer = b""
                while not answer.endswith(b"}"):
                    answer += channel.recv(65536) or pytest.fail("no answer")
                time.sleep(SHORT_S / 10)


class TestRoom:
    @pytest.mark.parametrize("text", ["", LIVEZ], ids=["nothing", "half a head"])
    def test_who_asks_is_answered_beside_many_who_do_not(self, served, text):
        with ExitStack() as stack:
            for _ in range(MANY):
                stack.enter_context(connected(served, text))

            assert ask(served, "GET", "/livez") == (200, {"status": "ok"})
            assert len(served.http.server_state.connections) <= most_at_once()

    def test_who_waits_longest_goes_first(self, served):
        with connected(served) as first, ExitStack() as stack:
            others = [
                stack.enter_context(connected(served))
                for _ in range(most_at_once() + 1)
            ]

            assert is_ended(first)
            others[-1].settimeout(SHORT_S)
            assert not is_ended(others[-1])

    def test_who_is_being_answered_is_left_alone(self, served, scheduler):
        go_on = threading.Event()
        scheduler.reload = lambda: go_on.wait(PATIENCE_S)
        text = "POST /api/reload HTTP/1.1\r\n" + HOST + KNOWN + "\r\n"
        with connected(served, text) as channel, ExitStack() as stack:
            for _ in range(MANY):
                stack.enter_context(connected(served))
            assert ask(served, "GET", "/livez")[0] == 200
            go_on.set()

            assert channel.recv(65536).startswith(b"HTTP/1.1 200 ")

    def test_handles_are_left_for_files(self):
        """
        Of 256, as macOS gives, and of fewer.
        """
        probe = (
            "import json, resource\n"
            "from sleepcycle.server.connections import most_at_once\n"
            "def of(limit):\n"
            "    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))\n"
            "    return most_at_once()\n"
            "print(json.dumps([of(1024), of(256), of(100), of(40)]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, text=True, check=True
        )

        assert json.loads(done.stdout) == [256, 64, 25, 10]


class TestLog:
    def test_what_is_no_http_is_logged_once(self, served, lines, capfd):
        for _ in range(20):
            with connected(served, "no http\r\n\r\n") as channel:
                assert channel.recv(65536).startswith(b"HTTP/1.1 400 ")

        [line] = lines
        assert line.startswith("uvicorn.error: Invalid HTTP request received.")
        said = capfd.readouterr().err.replace(line, "")
        assert "uvicorn" not in said, said[:3000]

    def test_each_kind_of_error_is_logged_for_itself(self, served, lines):
        source = logging.getLogger("asyncio")
        for fault in (OSError(24, "full"), OSError(24, "full"), ValueError("other")):
            source.error("no socket", exc_info=fault)

        assert [line.splitlines()[-1] for line in lines] == [
            "OSError: [Errno 24] full",
            "ValueError: other",
        ]


def test_each_wait_but_for_an_answer_has_an_end():
    assert set(connections.LIMIT_S) == set(Wait) - {Wait.ANSWER}


def test_silent_ones_hold_up_no_stop(scheduler, paths):
    running = server.start(scheduler, TOKEN, paths, ServeSettings())
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(connected(running))

        running.stop()

    assert not running.thread.is_alive()


def test_who_connects_in_the_moment_of_a_stop_holds_it_up_no_more_than_others(
    scheduler, paths
):
    """
    As where the loop is busy, then takes all who came and the word to stop at once.
    """
    running = server.start(scheduler, TOKEN, paths, ServeSettings())
    loop = running.http.servers[0].get_loop()
    busy = threading.Event()
    loop.call_soon_threadsafe(lambda: (busy.set(), time.sleep(SHORT_S)))
    assert busy.wait(PATIENCE_S)
    with ExitStack() as stack:
        channels = [stack.enter_context(connected(running)) for _ in range(20)]

        running.stop()

        for channel in channels:
            channel.setblocking(False)
            assert channel.recv(1) == b"", "left open"
