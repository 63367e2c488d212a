"""The way to a service: found by its files, followed while a run is on."""

import _thread
import errno
import json
import os
import re
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection

import pytest

from sleepcycle.errors import (
    DiskError,
    Interrupted,
    NotFoundError,
    RunError,
    ServiceError,
    VersionError,
)
from sleepcycle.files import disk
from sleepcycle.home.access_token import prove
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.server import transport
from sleepcycle.server.client import CHALLENGE, PROOF, LocalClient, reach
from sleepcycle.server.transport import error_of
from tests.server.conftest import OUTCOME, TOKEN, announce, client_of


@pytest.fixture
def silent():
    """A port on which somebody listens who never answers."""
    with socket.socket() as channel:
        channel.bind(("127.0.0.1", 0))
        channel.listen()
        yield f"http://127.0.0.1:{channel.getsockname()[1]}"


class TestReach:
    def test_there_is_none_where_nothing_says_so(self, paths):
        assert reach(paths) is None

    def test_it_finds_the_service(self, paths, announced):
        assert reach(paths) == LocalClient(announced.url, TOKEN, os.getpid())

    def test_what_a_killed_service_left_is_nobodys(self, paths, announced):
        """
        Even if somebody answers there now: the token is not for them.
        """
        announce(paths, announced.url, started="another boot 17")

        assert reach(paths) is None

    def test_a_process_that_is_gone_is_none(self, paths):
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        announce(paths, "http://127.0.0.1:9", pid=ended.pid, started="x")

        assert reach(paths) is None

    def test_a_service_that_hangs_is_named(self, paths, silent):
        announce(paths, silent)

        with pytest.raises(ServiceError, match=r"pid \d+\) at .* not answer: .*: kill"):
            reach(paths)

    def test_a_token_that_is_gone_is_told(self, paths, announced):
        """
        The service still has it, so that nobody may take its place.
        """
        paths.token.unlink()

        with pytest.raises(ServiceError, match=r"got: No such file .*; delete it and"):
            reach(paths)

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x"}'])
    def test_a_file_that_says_nothing_is_refused(self, paths, text):
        paths.daemon.write_text(text)
        paths.token.write_text(TOKEN)

        with pytest.raises(ServiceError, match=r"expected daemon\.json in"):
            reach(paths)

    def test_a_token_that_cannot_be_read_is_refused(self, paths, announced):
        paths.token.write_bytes(b"\xff")

        with pytest.raises(ServiceError, match=r"expected token in .* hold the key"):
            reach(paths)


class TestCall:
    def test_it_returns_the_answer(self, served, scheduler):
        asked = {"version": "v1", "requeue": True}
        answer = client_of(served).call("POST", "/api/rollback", asked)

        assert answer["live"] == "v0"
        assert scheduler.asked == [("rollback", "v1", True)]

    def test_an_error_has_the_class_it_had(self, served, scheduler):
        scheduler.error = VersionError("no version v9")

        with pytest.raises(VersionError, match=r"^no version v9$"):
            client_of(served).call("POST", "/api/versions/v9/promote")

    def test_a_disk_that_is_full_is_no_failed_one(self, served, scheduler):
        scheduler.error = DiskError(errno.ENOSPC, "no room")

        with pytest.raises(DiskError, match="no room") as raised:
            client_of(served).call("POST", "/api/pause")

        assert disk.is_full(raised.value)
        assert not disk.is_failed(raised.value)

    def test_a_service_of_another_token_is_told_none(self, served):
        client = LocalClient(served.url, "wrong", 1)

        with pytest.raises(ServiceError, match="got no proof of it; start the service"):
            client.call("GET", "/api/status")

    def test_a_service_that_is_gone_is_named(self):
        with socket.socket() as channel:
            channel.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{channel.getsockname()[1]}"

        with pytest.raises(ServiceError, match="does not answer: ConnectionRefused"):
            LocalClient(url, TOKEN, 1).call("GET", "/livez")

    def test_what_only_looks_is_not_waited_for_long(self, silent, monkeypatch):
        monkeypatch.setattr(transport, "LOOK_S", 0.2)

        with pytest.raises(ServiceError, match="does not answer: TimeoutError"):
            LocalClient(silent, TOKEN, 1).call("GET", "/api/status")

    @pytest.mark.parametrize("name", ["RowError", "SleepcycleError.x", "os", "None"])
    def test_an_error_of_no_known_name_is_the_services(self, name):
        assert type(error_of({"error": name, "message": "m"})) is ServiceError


def events(*parts, ended=True):
    """Return an answer that comes in parts, as one proven service would give it."""
    lines = [f"data: {json.dumps(part)}\n\n" for part in parts]
    return "".join(lines) + ("data: [DONE]\n\n" if ended else "")


@pytest.fixture
def streaming():
    """Make a service that proves itself, and then answers with a text."""
    with ExitStack() as stack:
        yield lambda text, status="200 OK": stack.enter_context(
            proven_answer(text, status)
        )


@contextmanager
def proven_answer(text, status):
    """Yield a client of who proves to know the token, and answers with a text."""

    def serve():
        other, _ = channel.accept()
        with other:
            proof = proving(other.recv(65536), url).replace("Connection: close\r\n", "")
            length = "Content-Length: 2\r\n\r\n{}"
            head = proof.partition("\r\n\r\n")[0]
            other.sendall(f"HTTP/1.1 {head}\r\n{length}".encode())
            other.recv(65536)
            other.sendall(f"HTTP/1.1 {status}\r\n\r\n{text}".encode())
            other.shutdown(socket.SHUT_WR)
            while other.recv(65536):  # or what is unread resets the connection
                pass

    with socket.create_server(("127.0.0.1", 0)) as channel:
        url = f"http://127.0.0.1:{channel.getsockname()[1]}"
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield LocalClient(url, TOKEN, 1)
    thread.join(10)


class TestStream:
    def test_its_parts_come_one_after_another(self, streaming):
        client = streaming(events({"a": 1}, {"a": 2}))

        assert [*client.stream("/v1/completions", {})] == [{"a": 1}, {"a": 2}]

    def test_an_answer_that_breaks_off_is_told(self, streaming):
        parts = streaming(events({"a": 1}, ended=False)).stream("/v1/completions", {})

        assert next(parts) == {"a": 1}
        with pytest.raises(ServiceError, match="to its end, got a part of it; ask"):
            next(parts)

    def test_an_error_on_the_way_is_raised(self, streaming):
        told = {"error": {"message": "the serving process ended"}}

        with pytest.raises(ServiceError, match=r"^the serving process ended$"):
            list(streaming(events(told)).stream("/v1/completions", {}))

    def test_a_refusal_is_raised_in_its_words(self, streaming):
        told = json.dumps({"error": {"message": "no version v9"}})

        with pytest.raises(ServiceError, match=r"^no version v9$"):
            list(streaming(told, "404 Not Found").stream("/v1/completions", {}))


class TestSecret:
    """The token is told to the service alone."""

    @pytest.mark.parametrize(
        "url",
        [
            "http://evil.example:80",
            "http://10.0.0.1:80",
            "https://127.0.0.1:80",
            "http://127.0.0.1:80@evil.example:80",
            "http://127.0.0.1:80/path",
            "http://127.0.0.1.evil.example:80",
            "http://127.0.0.1",
            "http://127.0.0.1:0",
            "http://127.0.0.1:99999",
            "http://[::1]:80",
            "file:///etc/passwd",
            "",
        ],
    )
    def test_no_other_address_is_asked(self, url):
        with pytest.raises(ServiceError, match=r"expected daemon\.json to name the"):
            LocalClient(url, TOKEN, 1).call("GET", "/api/status")

    @pytest.mark.parametrize(
        "answer",
        [
            "200 OK\r\nContent-Length: 2\r\n\r\n{}",
            f"200 OK\r\n{PROOF}: 00\r\nContent-Length: 2\r\n\r\n{{}}",
            f"200 OK\r\n{PROOF}: {TOKEN}\r\nContent-Length: 2\r\n\r\n{{}}",
            "302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
        ],
        ids=["none", "wrong", "guessed", "redirection"],
    )
    def test_who_proves_nothing_hears_nothing(self, answer):
        with (
            listening(answer) as (url, heard),
            pytest.raises(ServiceError, match="got no proof of it; start the"),
        ):
            LocalClient(url, TOKEN, 1).call("GET", "/api/status")

        assert b"GET /livez " in heard[0]
        assert TOKEN.encode() not in b"".join(heard)

    def test_the_proof_is_of_no_use_at_another_port(self, served):
        """
        So nobody can ask the service for it and hand it on.
        """
        challenge = "any"
        connection = HTTPConnection("127.0.0.1", served.port, timeout=10)
        with closing(connection):
            connection.request("GET", "/livez", headers={CHALLENGE: challenge})
            proof = connection.getresponse().headers[PROOF]

        assert proof == prove(TOKEN, challenge, f"127.0.0.1:{served.port}")
        assert proof != prove(TOKEN, challenge, f"127.0.0.1:{served.port + 1}")

    def test_a_connection_that_ends_after_the_proof_is_not_made_anew(self):
        """
        Another process could have the port by then.
        """
        with (
            listening(proving) as (url, heard),
            pytest.raises(ServiceError, match="does not answer: "),
        ):
            LocalClient(url, TOKEN, 1).call("GET", "/api/status")

        assert TOKEN.encode() not in b"".join(heard)


@contextmanager
def listening(answer):
    """Yield the URL of who gives one answer to each who connects, and what it hears."""
    heard = []

    def serve():
        with suppress(OSError):
            while True:
                other, _ = channel.accept()
                with other:
                    heard.append(other.recv(65536))
                    text = answer if isinstance(answer, str) else answer(heard[-1], url)
                    other.sendall(f"HTTP/1.1 {text}".encode())

    with socket.create_server(("127.0.0.1", 0)) as channel:
        url = f"http://127.0.0.1:{channel.getsockname()[1]}"
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield url, heard
        channel.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def proving(request, url):
    """Answer as the service does, and end the connection."""
    challenge = re.search(rf"{CHALLENGE}: (\w+)", request.decode())[1]
    proof = prove(TOKEN, challenge, url.removeprefix("http://"))
    return f"200 OK\r\n{PROOF}: {proof}\r\nConnection: close\r\n\r\n{{}}"


class TestRun:
    def test_it_shows_progress_until_the_outcome(self, served, scheduler):
        steps = []

        def take(progress):
            steps.append(progress)
            scheduler.job.set_result(OUTCOME)

        scheduler.become(run=1, progress=Progress("train", 1, 3, loss=2.5))

        outcome = client_of(served).run(RunKind.WAKE, take)

        assert steps == [Progress("train", 1, 3, loss=2.5)]
        assert (outcome["run"], outcome["examples"]) == (1, 4)

    def test_a_run_that_fails_raises_what_it_met(self, served, scheduler):
        scheduler.job.set_exception(RunError("nothing to learn"))

        with pytest.raises(RunError, match=r"^nothing to learn$"):
            client_of(served).run(RunKind.SLEEP, print)

    def test_ctrl_c_cancels_the_run(self, served, scheduler):
        """
        As without a service; what then stands is in the run's own words.
        """
        scheduler.become(run=5, progress=Progress("train", 1, 3))

        def cancel(run):
            scheduler.asked.append(("cancel", run))
            scheduler.job.set_exception(Interrupted("run 5 was stopped"))

        scheduler.cancel = cancel
        presses = iter([_thread.interrupt_main])

        with pytest.raises(Interrupted, match="run 5 was stopped"):
            client_of(served).run(RunKind.WAKE, lambda _: next(presses, int)())
        assert scheduler.asked == ["wake", ("cancel", 5)]

    @pytest.mark.parametrize(
        "refusal", [NotFoundError("no"), RunError("no"), ServiceError("no")]
    )
    def test_a_cancel_that_comes_too_late_is_no_error(self, served, scheduler, refusal):
        """
        What came of the run is told by the next look.
        """
        scheduler.become(run=5, progress=Progress("train", 1, 3))

        def cancel(run):
            scheduler.job.set_result(OUTCOME)
            raise refusal

        scheduler.cancel = cancel
        presses = iter([_thread.interrupt_main])

        outcome = client_of(served).run(RunKind.WAKE, lambda _: next(presses, int)())

        assert outcome["run"] == 1

    def test_ctrl_c_before_it_is_known_to_be_on_says_that_it_may_be(
        self, served, scheduler
    ):
        asked = threading.Event()

        def wake():
            _thread.interrupt_main()
            asked.wait(5)
            return scheduler.job

        scheduler.wake = wake

        with pytest.raises(Interrupted, match="may have begun the run; see: sleepcyc"):
            client_of(served).run(RunKind.WAKE, print)
        asked.set()

    def test_ctrl_c_twice_leaves_the_run_to_the_service(self, served, scheduler):
        scheduler.become(progress=Progress("train", 1, 3))

        with pytest.raises(Interrupted, match="goes on with the run"):
            client_of(served).run(RunKind.WAKE, lambda _: _thread.interrupt_main())
        assert scheduler.asked == ["wake"]

    def test_a_service_that_ends_meanwhile_is_named(self, served, scheduler):
        scheduler.become(progress=Progress("train", 1, 3))

        with pytest.raises(ServiceError, match=r"does not answer.*runs list"):
            client_of(served).run(RunKind.WAKE, lambda _: served.stop())


def test_it_loads_the_standard_library_alone():
    """
    `status` asks it, and must answer at once.
    """
    probe = (
        "import json, sys, sleepcycle.server.client, sleepcycle.server.status;"
        "print(json.dumps([name for name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True
    )

    tops = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not tops & {"fastapi", "uvicorn", "pydantic", "sqlalchemy", "torch", "rich"}
