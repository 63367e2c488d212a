"""A served home whose conductor is a fake, and what asks it."""

import dataclasses
import json
import os
import shutil
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection

import psutil
import pytest

from sleepcycle.daemon.state import Activity, DaemonState
from sleepcycle.files import process_identity
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.lock import owned
from sleepcycle.home.opening import create_home
from sleepcycle.home.versions import Switch
from sleepcycle.records.reports import WakeReport
from sleepcycle.records.verdict import Verdict
from sleepcycle.records.version import MadeFor, Version, VersionKind
from sleepcycle.runs.context import Outcome
from sleepcycle.server import server
from sleepcycle.server.client import LocalClient
from sleepcycle.settings.config import ServeSettings, Settings

TOKEN = "s3cret-that-nobody-guesses-0123456789"
PATIENCE_S = 10.0
NOW = datetime(2026, 3, 3, 20, 48, tzinfo=UTC)
VERSION = Version(1, VersionKind.WAKE, "v0001-abc", (0,), 8, True, NOW, run=1)
REPORT = WakeReport(
    examples=4,
    cut=0,
    replayed=2,
    steps=3,
    tokens=120,
    seconds=0.5,
    tokens_per_second=240.0,
    loss_first=float("nan"),
    loss_last=1.5,
    best_step=3,
    stopped_early=False,
    verdict=Verdict(True, "finite", None, None, True),
    held_out=((0, 2.5), (3, 1.5)),
    live_rank=0,
    day_rank=8,
)
OUTCOME = Outcome(1, VERSION, 4, 1.25, REPORT)
IDLE = DaemonState(
    word=Activity.IDLE,
    run=None,
    kind=None,
    progress=None,
    next_night=datetime(2026, 3, 4, 2, tzinfo=UTC),
    next_window=NOW,
    banner=None,
    since=NOW,
    paused=False,
)


class FakeConductor:
    """Does nothing, and remembers what was asked of it."""

    def __init__(self):
        self.settings = Settings()
        self.asked = []
        self.now = IDLE
        self.job = Future()
        self.error = None

    def state(self):
        return self.now

    def progress_of(self, done):
        return (self.now.run, self.now.progress) if done is self.job else (None, None)

    def become(self, **changes):
        """Change what it says that it does."""
        self.now = dataclasses.replace(self.now, **changes)

    def wake(self):
        return self._do("wake", self.job)

    def sleep(self):
        return self._do("sleep", self.job)

    def consider(self):
        self._do("consider")

    def tune(self):
        self._do("tune")

    def pause(self):
        self._do("pause")

    def resume(self):
        self._do("resume")

    def reload(self):
        self._do("reload")

    def cancel(self, run):
        return self._do(("cancel", run), 7)

    def rollback(self, name="previous", *, requeue=False):
        return self._do(("rollback", name, requeue), Switch("v0", "v1", 4, 0, 0))

    def promote(self, name):
        return self._do(("promote", name), Switch("v1", "v0", 0, 0, 4))

    def import_adapter(self, source, *, force=False, given_up=None):
        return self._do(("import", source, force), (VERSION, MadeFor("nano")))

    def _do(self, what, result=None):
        if self.error is not None:
            raise self.error
        self.asked.append(what)
        return result


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A new home, made once for all tests."""
    root = tmp_path_factory.mktemp("made") / "home"
    create_home(root)
    return root


@pytest.fixture
def paths(made_once, tmp_path):
    """A new home, which this process owns."""
    shutil.copytree(made_once, tmp_path / "home")
    paths = HomePaths(tmp_path / "home")
    with owned(paths):
        yield paths


@pytest.fixture
def scheduler():
    return FakeConductor()


@pytest.fixture
def served(paths, scheduler):
    running = server.start(scheduler, TOKEN, paths, ServeSettings())
    yield running
    running.stop()
    assert not running.thread.is_alive()


@pytest.fixture
def announced(paths, served):
    """The home's files say how its service is reached."""
    announce(paths, served.url)
    return served


def announce(paths, url, pid=None, started=None):
    """Write what a service says about itself."""
    pid = pid or os.getpid()
    started = started or process_identity.started(pid)
    said = {"pid": pid, "started": started, "url": url}
    paths.daemon.write_text(json.dumps(said))
    paths.token.write_text(TOKEN + "\n")


def ask(served, method, path, **more):
    """Send one request, byte for byte as given, and return status and JSON.

    There is none where h11 itself refused what it got.
    """
    status, _, text = _send(served, method, path, **more)
    return status, text


def ask_for_headers(served, method, path, **more):
    """Send one request, and return status and headers."""
    return _send(served, method, path, **more)[:2]


def _send(served, method, path, *, body=None, token=TOKEN, **headers):
    """Send one request, and return status, headers and JSON."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers.setdefault("Host", f"127.0.0.1:{served.port}")
    if token is not None:
        headers.setdefault("Authorization", f"Bearer {token}")
    data = (
        body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    )
    if data is not None:
        headers.setdefault("Content-Type", "application/json")
        if "Transfer-Encoding" not in headers:
            headers.setdefault("Content-Length", str(len(data)))
    connection = HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_S)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            for one in [value] if isinstance(value, str) else value:
                connection.putheader(name, one)
        connection.endheaders(data)
        answer = connection.getresponse()
        text = answer.read()
        ours = answer.headers.get_content_type() == "application/json" and text
        return answer.status, answer.headers, json.loads(text) if ours else None
    finally:
        connection.close()


def client_of(served):
    """Return a client of a server."""
    return LocalClient(served.url, TOKEN, 1)


@dataclass
class Talking:
    """A service that runs, and what it decides by."""

    port: int
    scheduler: FakeConductor
    paths: HomePaths

    def answer(self, method, path, body=None, token=TOKEN):
        """Send one request; return status, headers and body as bytes."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {token}"}
        headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ask(self, method, path, body=None):
        """Send one request; return status and JSON."""
        status, _, raw = self.answer(method, path, body)
        return status, json.loads(raw)


@pytest.fixture(scope="module")
def talking_once(tmp_path_factory):
    """A service of a new home, one for all tests here."""
    root = tmp_path_factory.mktemp("served") / "home"
    create_home(root)
    scheduler = FakeConductor()
    http = server.start(scheduler, TOKEN, HomePaths(root), ServeSettings())
    yield Talking(http.port, scheduler, HomePaths(root))
    http.stop()
    assert not serving()


@pytest.fixture(scope="module")
def refusing(made_once, tmp_path_factory):
    """A service that is asked for nothing it does, one for all tests of a module."""
    root = tmp_path_factory.mktemp("refusing") / "home"
    shutil.copytree(made_once, root)
    scheduler = FakeConductor()
    http = server.start(scheduler, TOKEN, HomePaths(root), ServeSettings())
    yield Talking(http.port, scheduler, HomePaths(root))
    http.stop()


@pytest.fixture
def talking(talking_once):
    """The service, with nothing on."""
    talking_once.scheduler.settings, talking_once.scheduler.now = Settings(), IDLE
    return talking_once


def serving():
    """Return the serving processes of this process."""
    return [
        child
        for child in psutil.Process().children()
        if "sleepcycle.serving.serving_worker" in " ".join(child.cmdline())
    ]
