"""The stream of events: nothing lost or doubled, bounded, and over in time."""

import json
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection

import pytest

from sleepcycle.daemon.state import Activity
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.home import Home
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.server import connections, event_routes, events, server
from sleepcycle.server.connections import Wait
from sleepcycle.settings.config import ServeSettings, Settings
from sleepcycle.store import journal
from tests.server.conftest import IDLE, PATIENCE_S, TOKEN, FakeConductor, ask


@pytest.fixture(scope="module")
def paths(made_once, tmp_path_factory):
    """A home of its own, one for all tests here."""
    root = tmp_path_factory.mktemp("told") / "home"
    shutil.copytree(made_once, root)
    return HomePaths(root)


@pytest.fixture(scope="module")
def home(paths):
    return Home(paths, Settings(), "me")


@pytest.fixture(scope="module")
def conductor():
    return FakeConductor()


@pytest.fixture(scope="module")
def served(conductor, paths):
    running = server.start(conductor, TOKEN, paths, ServeSettings())
    yield running
    running.stop()


@pytest.fixture
def scheduler(conductor):
    """What all services here ask, with nothing on."""
    conductor.now = IDLE
    return conductor


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(events, "POLL_S", 0.01)


def write(home, *names, **details):
    """Write entries of some actions."""
    with home.store.write() as session:
        for name in names:
            journal.append(session, "me", name, **details)


class Listener:
    """One who listens, on a connection of its own."""

    def __init__(self, port, query="", **headers):
        self.connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["Authorization"] = f"Bearer {TOKEN}"
        self.connection.request("GET", f"/api/events{query}", headers=headers)
        self.answer = self.connection.getresponse()

    def close(self):
        self.answer.close()
        self.connection.close()

    def next(self):
        """Return the next event as its fields; None at the end."""
        found = {}
        while line := self.answer.readline().decode():
            if line == "\n":
                return found
            name, _, value = line.rstrip("\n").partition(": ")
            found[name] = json.loads(value) if name == "data" else value
        return None

    def next_of(self, name):
        """Return the next event of some name."""
        while found := self.next():
            if found.get("event") == name:
                return found
        return None

    def actions(self, count):
        """Return what so many entries of the journal did."""
        return [self.next_of("journal")["data"]["action"] for _ in range(count)]


@contextmanager
def listening(served, query="", **headers):
    with closing(Listener(served.port, query, **headers)) as listener:
        yield listener


def wait_until(found):
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestJournal:
    def test_an_entry_comes_with_its_number(self, served, home):
        with listening(served) as listener:
            first = listener.next()
            write(home, "one", batch=3)
            found = listener.next_of("journal")

        assert listener.answer.headers.get_content_type() == "text/event-stream"
        assert (first["event"], first["data"]) == (
            "position",
            {"after": int(first["id"])},
        )
        assert int(found["id"]) == int(first["id"]) + 1 == found["data"]["entry"]
        assert found["data"]["actor"] == "me"
        assert found["data"]["details"] == {"batch": 3}

    @pytest.mark.parametrize("way", ["header", "query"])
    def test_who_comes_back_gets_what_was_missed_and_no_more(self, served, home, way):
        with listening(served) as listener:
            listener.next()
            write(home, "one")
            seen = listener.next_of("journal")["id"]
        write(home, "two", "three")
        named = {"Last_Event_ID": seen} if way == "header" else {}
        query = f"?after={seen}" if way == "query" else ""

        with listening(served, query, **named) as listener:
            found = listener.actions(2)
            write(home, "four")
            found += listener.actions(1)

        assert found == ["two", "three", "four"]

    def test_another_service_of_the_home_goes_on_where_one_ended(
        self, paths, home, scheduler
    ):
        first = server.start(scheduler, TOKEN, paths, ServeSettings())
        with listening(first) as listener:
            seen = listener.next()["id"]
            first.stop()
        write(home, "between")
        second = server.start(scheduler, TOKEN, paths, ServeSettings())

        with listening(second, Last_Event_ID=seen) as listener:
            assert listener.actions(1) == ["between"]
        second.stop()

    def test_what_is_older_than_memory_holds_is_read_in_pages(
        self, served, home, monkeypatch
    ):
        monkeypatch.setattr(events, "PAGE", 3)
        names = [str(number) for number in range(10)]
        with listening(served) as listener:
            begun = listener.next()["id"]
        write(home, *names)

        with listening(served, f"?after={begun}") as listener:
            assert listener.actions(10) == names

    def test_none_is_lost_or_doubled_while_others_write(self, served, home):
        def write_some(number):
            for turn in range(10):
                write(home, f"{number}-{turn}")

        with listening(served) as early, ThreadPoolExecutor(3) as writers:
            begun = early.next()["id"]
            work = list(writers.map(write_some, range(3)))
            with listening(served, f"?after={begun}") as late:
                found = [
                    [one.next_of("journal")["id"] for _ in range(30)]
                    for one in (early, late)
                ]

        assert len(work) == 3
        numbers = [str(int(begun) + step) for step in range(1, 31)]
        assert found == [numbers, numbers]

    def test_an_entry_that_is_not_there_is_refused(self, served, home):
        status, told = ask(served, "GET", "/api/events?after=999")

        assert (status, told["error"]) == (404, "NotFoundError")
        assert "which ends at" in told["message"]

    @pytest.mark.parametrize("after", ["x", "-1", str(2**63), ""])
    def test_what_is_no_entry_is_refused(self, served, after):
        assert ask(served, "GET", f"/api/events?after={after}")[0] == 422

    def test_no_event_holds_what_was_fed(self, served, home):
        with listening(served) as listener:
            listener.next()
            home.feed(str(_fed(home.paths.root)))
            found = listener.next_of("journal")

        assert found["data"]["action"] == "feed"
        assert "xyzzy" not in json.dumps(found)


def _fed(folder):
    """Return a file whose rows have a word that is told by nothing else."""
    file = folder / "rows.jsonl"
    rows = [{"text": f"xyzzy {number}"} for number in range(9)] + [{"xyzzy": 1}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


class TestProgress:
    def test_it_comes_at_once_and_when_it_changes(self, served, scheduler):
        with listening(served) as listener:
            first = listener.next_of("progress")
            step = Progress("train", 3, 40, loss=float("nan"))
            scheduler.become(
                word=Activity.AWAKE, run=1, kind=RunKind.WAKE, progress=step
            )
            second = listener.next_of("progress")

        assert first["data"]["word"] == "idle"
        assert (second["data"]["run"], second["data"]["progress"]["step"]) == (1, 3)
        assert "id" not in second

    def test_an_error_is_not_quoted(self, served, scheduler):
        scheduler.become(banner="expected xyzzy", word=Activity.WAITING)

        with listening(served) as listener:
            assert "xyzzy" not in json.dumps(listener.next_of("progress"))


class TestBounds:
    def test_one_stream_too_many_is_told_when_to_try_again(
        self, paths, scheduler, monkeypatch
    ):
        monkeypatch.setattr(event_routes, "most_at_once", lambda: 2)
        served = server.start(scheduler, TOKEN, paths, ServeSettings())
        with listening(served) as listener:
            listener.next()
            status, told = ask(served, "GET", "/api/events")
            assert _feed_of(served).open == 1
        served.stop()

        assert (status, told["error"]) == (503, "BusyError")

    def test_many_who_come_and_go_leave_room(self, served, home):
        """
        And the service answers others meanwhile.
        """

        def come_and_go(number):
            with listening(served) as listener:
                return listener.answer.status in {200, 503} and listener.next()

        with ThreadPoolExecutor(16) as many:
            found = list(many.map(come_and_go, range(200)))
            began = time.monotonic()
            assert ask(served, "GET", "/livez", token=None)[0] == 200
            took = time.monotonic() - began

        assert all(one is not None for one in found)
        assert took < 5.0
        wait_until(lambda: _feed_of(served).open == 0)

    def test_one_that_takes_nothing_is_let_go(self, served, home, monkeypatch):
        """
        It keeps nothing in memory, and nobody from hearing.
        """
        monkeypatch.setitem(connections.LIMIT_S, Wait.TAKING, 0.2)
        with listening(served) as slow, listening(served) as other:
            slow.next()
            begun = other.next()["id"]
            write(home, *["big"] * 200, text="x" * 100_000)
            write(home, "last")
            found = [other.next_of("journal") for _ in range(201)]
            wait_until(lambda: _feed_of(served).open == 1)

        assert int(found[-1]["id"]) == int(begun) + 201

    def test_a_stream_ends_after_a_while_to_be_resumed(self, served, monkeypatch):
        """
        So that a token that was revoked opens nothing for long.
        """
        monkeypatch.setattr(events, "LONGEST_S", 0.0)

        with listening(served) as listener:
            assert listener.next()["event"] == "position"
            assert listener.next_of("journal") is None

    def test_a_silent_stream_shows_that_it_lives(self, served, monkeypatch):
        monkeypatch.setattr(events, "HEARTBEAT_S", 0.02)

        with listening(served) as listener:
            listener.next_of("progress")
            assert listener.next() == {"": "ping"}

    def test_it_ends_with_the_service_at_once(self, paths, scheduler):
        served = server.start(scheduler, TOKEN, paths, ServeSettings())
        with listening(served) as listener:
            listener.next_of("progress")
            began = time.monotonic()

            served.stop()

            assert listener.next() is None
            assert time.monotonic() - began < server.DRAIN_S

    def test_nobody_looks_where_nobody_listens(self, served, scheduler, monkeypatch):
        looked = threading.Event()

        def state():
            looked.set()
            return IDLE

        monkeypatch.setattr(scheduler, "state", state)
        with listening(served) as listener:
            listener.next_of("progress")
        wait_until(lambda: not _is_looked(looked))


def _feed_of(served):
    """Return what counts the streams of a service."""
    return served.end_streams.__self__


def _is_looked(looked):
    """Return whether somebody has looked within a moment."""
    looked.clear()
    return looked.wait(0.2)
