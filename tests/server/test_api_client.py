"""The typed client: the records of a home, its errors, and streams that go on."""

import json
import shutil
from dataclasses import replace
from http.client import HTTPSConnection
from itertools import islice

import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response

import sleepcycle
from sleepcycle.errors import (
    BusyError,
    ConfigError,
    FeedError,
    NotFoundError,
    ServiceError,
    SleepcycleError,
    VersionError,
)
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.home import Home
from sleepcycle.home.scoped_tokens import KnownTokens, TokenScope
from sleepcycle.home.versions import Switch
from sleepcycle.records.captured import Exchange
from sleepcycle.records.example import FeedReport
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.server import event_reader, server
from sleepcycle.server.access import needs
from sleepcycle.server.api_client import Client
from sleepcycle.server.responses import Refusal, answer, foreseen, refused
from sleepcycle.server.routes import guard
from sleepcycle.settings.config import ServeSettings, Settings
from sleepcycle.store import journal, run_table
from tests.server.conftest import IDLE, OUTCOME, TOKEN, FakeConductor

REPORT = FeedReport(3, 2, 1, 0, 1, 0, {"E_JSON": 1})


@pytest.fixture(scope="module")
def home(made_once, tmp_path_factory):
    """A home with two batches, a bad row and two runs."""
    root = tmp_path_factory.mktemp("asked") / "home"
    shutil.copytree(made_once, root)
    settings = Settings.model_validate(
        {"feed": {"max_bad_ratio": 0.9}, "capture": {"mode": "all"}}
    )
    home = Home(HomePaths(root), settings, "me")
    for number, text in enumerate(['{"text": "a"}\n{"nope": 1}\n', '{"text": "b"}\n']):
        file = root / f"{number}.jsonl"
        file.write_text(text)
        home.feed(str(file))
    with home.store.write() as session:
        for _ in range(2):
            run = run_table.start(session, RunKind.WAKE, 1, "x")
            run_table.finish(session, run, RunState.FAILED, None, "no room")
    home.paths.run(1).mkdir(parents=True)
    (home.paths.run(1) / "worker.log").write_text("one\ntwo\n")
    return home


@pytest.fixture(scope="module")
def conductor():
    return FakeConductor()


@pytest.fixture(scope="module")
def running(home, conductor):
    running = server.start(conductor, TOKEN, home.paths, ServeSettings())
    yield running
    running.stop()


@pytest.fixture
def scheduler(conductor):
    conductor.now, conductor.error = IDLE, None
    conductor.asked.clear()
    return conductor


@pytest.fixture
def client(running, scheduler):
    return Client(running.url, TOKEN)


def test_it_is_what_the_package_offers():
    assert sleepcycle.Client is Client


class TestRecords:
    """What comes back is what `sleepcycle.open` returns."""

    def test_versions_are_told_but_for_their_folders(self, client, home):
        found = client.versions.listing()

        expected = home.versions.listing()
        assert [replace(one, version=None) for one in found] == [
            replace(one, version=None) for one in expected
        ]
        assert [replace(one.version, folder=None) for one in expected] == [
            one.version for one in found
        ]

    def test_batches_are_the_same(self, client, home):
        assert client.batches.listing() == home.batches.listing()
        assert client.batches.get(1) == home.batches.get(1)

    def test_runs_are_the_same(self, client, home):
        assert client.runs.listing() == home.runs.listing()
        assert client.runs.get(2) == home.runs.get(2)
        assert client.runs.log(1) == home.runs.log(1)

    def test_bad_rows_are_told_by_place_and_reason(self, client):
        [row] = client.batches.bad_rows()

        assert (row["line"], row["code"]) == (2, "E_SHAPE")
        assert list(client.batches.bad_rows(2)) == []

    def test_long_lists_come_page_by_page(self, client, home, monkeypatch):
        monkeypatch.setattr("sleepcycle.server.client_parts.PAGE", 1)

        assert client.batches.listing() == home.batches.listing()
        assert client.runs.listing() == home.runs.listing()
        assert len(list(client.batches.bad_rows())) == 1

    def test_a_batch_goes_out_and_comes_back(self, client, home):
        assert client.batches.exclude(2) == 1
        client.batches.requeue(2)

        assert home.batches.get(2)[1]["excluded"] == 0

    def test_a_name_points_at_a_version(self, client):
        assert client.versions.alias("mine", "v0") == "v0"
        assert client.versions.card("mine")["number"] == 0
        client.versions.drop_alias("mine")

        with pytest.raises(VersionError, match="no version or alias 'mine'"):
            client.versions.card("mine")

    def test_what_nothing_needs_is_told_before_it_is_removed(self, client):
        assert client.versions.clear(dry_run=True, keep=0).removed == ()
        assert client.versions.verify() == {"checked": 0, "failed": []}

    def test_what_is_kept_is_reviewed(self, client, home, monkeypatch):
        monkeypatch.setattr("sleepcycle.server.client_parts.INBOX_PAGE", 2)
        names = [keep(home, number) for number in range(3)]

        assert [one.id for one in client.inbox.listing()] == names
        assert client.inbox.reject(names[0]).state == "rejected"
        assert client.inbox.edit(names[1], "Seven.").state == "accepted"
        assert client.inbox.accept(names[2]) == home.captured.get(names[2])
        assert [one.id for one in client.inbox.listing("rejected")] == names[:1]
        assert client.inbox.delete(names[1]).erased

        with pytest.raises(NotFoundError, match=names[1]):
            client.inbox.get(names[1])

    def test_tokens_are_made_and_revoked(self, client, running):
        token, kept = client.tokens.new("read", "tv")
        assert Client(running.url, token).status()["live"] == "v0"

        assert client.tokens.revoke(kept["id"])["name"] == "tv"

        assert client.tokens.listing() == []

    def test_a_backup_is_told(self, client, home, tmp_path):
        done = client.backup(tmp_path / "one.tar")

        assert done.file == tmp_path / "one.tar"
        assert done.examples == home.status().counts.accepted

    def test_what_moves_versions_tells_what_it_did(self, client, scheduler):
        assert client.rollback("v1", requeue=True) == Switch("v0", "v1", 4, 0, 0)
        assert client.promote("v1") == Switch("v1", "v0", 0, 0, 4)
        version, made_for = client.import_adapter("/a/b", force=True)
        assert client.cancel(3) == 7

        assert (version, made_for.base) == (OUTCOME.version, "nano")
        assert [asked[0] for asked in scheduler.asked] == [
            "rollback",
            "promote",
            "import",
            "cancel",
        ]

    def test_a_run_is_waited_for(self, client, scheduler):
        scheduler.job.set_result(OUTCOME)

        found = client.wake()

        assert (found.run, found.version) == (OUTCOME.run, OUTCOME.version)
        assert found.report.verdict == OUTCOME.report.verdict

    def test_the_service_is_paused_and_goes_on(self, client, scheduler):
        client.pause()
        client.resume()

        assert scheduler.asked == ["pause", "resume"]


def keep(home, number):
    """Let a home keep a completion, and return its name."""
    asked = {"role": "user", "content": f"What is number {number}?"}
    said = {"role": "assistant", "content": f"It is {number}."}
    exchange = Exchange(f"chatcmpl-{number}", 0, "live", [asked], said)
    return home.captured.capture(exchange, asked=True).id


class TestErrors:
    @pytest.mark.parametrize(
        ("ask", "kind", "words"),
        [
            (lambda c: c.batches.get(99), NotFoundError, "no batch 99"),
            (lambda c: c.versions.diff("v0", "v9"), VersionError, "alias 'v9'"),
            (lambda c: c.backup("here"), ConfigError, "expected the whole path"),
            (lambda c: c.evaluate(["v9"]), VersionError, "alias 'v9'"),
        ],
    )
    def test_each_has_its_own_class(self, client, ask, kind, words):
        with pytest.raises(kind, match=words):
            ask(client)

    def test_one_that_passes_says_when(self, client, scheduler):
        scheduler.error = BusyError("not now", retry_s=7)

        with pytest.raises(BusyError, match="not now") as caught:
            client.promote("v1")
        assert caught.value.retry_s == 7

    def test_a_token_that_lacks_is_told(self, running, client):
        token, kept = client.tokens.new("talk")

        with pytest.raises(ServiceError, match="with the scope read, got one with tal"):
            Client(running.url, token).status()
        client.tokens.revoke(kept["id"])

    @pytest.mark.parametrize(
        "url",
        ["", "127.0.0.1:80", "ftp://host", "http://", "http://me@host", "file:///etc"],
    )
    def test_what_is_no_url_of_a_service_is_refused(self, url):
        with pytest.raises(ConfigError, match="expected the URL of a service as"):
            Client(url, TOKEN).status()

    @pytest.mark.parametrize("token", ["", "se cret", "se\ncret", "gehe\u00efm"])
    def test_what_is_no_token_is_refused_and_never_shown(self, running, token):
        with pytest.raises(ConfigError, match="expected a token as") as caught:
            Client(running.url, token).status()
        assert not token or token not in str(caught.value)

    def test_the_token_is_not_in_what_is_printed(self, client):
        assert TOKEN not in repr(client)

    def test_a_service_that_is_not_there_is_named(self):
        with pytest.raises(ServiceError, match=r"at http://.*:1 does not answer"):
            Client("http://127.0.0.1:1", TOKEN).status()


def test_another_machine_is_asked_by_tls_below_its_path():
    client = Client("https://model.example/home/", TOKEN)

    connection = client.connected(1.0)

    assert isinstance(connection, HTTPSConnection)
    assert (connection.host, connection.port) == ("model.example", 443)
    assert client._path("/api/status") == "/home/api/status"


class TestEvents:
    def test_they_go_on_where_a_service_ended(self, home, conductor, monkeypatch):
        monkeypatch.setattr(event_reader, "PAUSE_S", 0.05)
        first = server.start(conductor, TOKEN, home.paths, ServeSettings())
        heard = Client(first.url, TOKEN).events()
        begun = next(heard)
        first.stop()
        write(home, "between")
        again = ServeSettings(port=first.port)
        second = server.start(conductor, TOKEN, home.paths, again)

        found = [next(one for one in heard if one.name == "journal")]
        write(home, "after")
        found += [next(one for one in heard if one.name == "journal")]
        heard.close()
        second.stop()

        assert (begun.name, begun.data) == ("position", {"after": begun.entry})
        assert [one.data["action"] for one in found] == ["between", "after"]
        assert [one.entry for one in found] == [begun.entry + 1, begun.entry + 2]

    def test_what_was_missed_is_told_first(self, client, home):
        write(home, "one", "two")
        with home.store.read() as session:
            newest = journal.newest(session)

        heard = client.events(after=newest - 2)
        found = list(islice((e for e in heard if e.name == "journal"), 2))

        assert [one.data["action"] for one in found] == ["one", "two"]

    def test_an_entry_that_is_not_there_is_refused(self, client):
        with pytest.raises(NotFoundError, match="expected an entry of the journal"):
            next(client.events(after=10**6))

    def test_a_service_that_stays_away_is_told(self):
        heard = Client("http://127.0.0.1:1", TOKEN).events(patience_s=0.0)

        with pytest.raises(ServiceError, match="does not answer"):
            next(heard)


def write(home, *names):
    """Write entries of some actions."""
    with home.store.write() as session:
        for name in names:
            journal.append(session, "me", name)


@pytest.fixture(scope="module")
def desk(home):
    """A service that only notes what it is fed."""
    app, noted = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), []
    app.add_exception_handler(SleepcycleError, foreseen)

    @app.post("/api/feed")
    @needs(TokenScope.FEED, max_body_bytes=None, chunked=True)
    async def feed(request: Request) -> Response:
        if request.query_params["name"] == "large.jsonl":
            return refused("/api/feed", Refusal(413, "FeedError", "too large"))
        key = request.headers["Idempotency-Key"]
        noted.append((dict(request.query_params), key, await request.body()))
        return answer({"batch": 3, **REPORT_JSON})

    guard(app, KnownTokens(home.paths, TOKEN), ServeSettings())
    running = server.serve_app(app, ServeSettings())
    yield Client(running.url, TOKEN), noted
    running.stop()


class TestFeed:
    def test_rows_are_sent_as_they_come(self, desk):
        client, noted = desk
        rows = ({"text": f"row {number}"} for number in range(3))

        assert client.feed(rows, source="chat").accepted == 2

        asked, _, body = noted[-1]
        assert asked == {"name": "rows.jsonl", "source": "chat"}
        assert [json.loads(line)["text"] for line in body.splitlines()] == [
            "row 0",
            "row 1",
            "row 2",
        ]

    def test_a_file_is_sent_as_it_is(self, desk, tmp_path):
        client, noted = desk
        file = tmp_path / "a.csv.gz"
        file.write_bytes(bytes(range(256)) * 1000)

        client.feed(file, key="mine")

        assert noted[-1] == ({"name": "a.csv.gz"}, "mine", file.read_bytes())

    def test_each_feed_has_a_key_of_its_own(self, desk):
        client, noted = desk
        for _ in range(2):
            client.feed([{"text": "a"}])

        assert noted[-1][1] != noted[-2][1]

    def test_the_service_answers_as_the_home_does(self, client, home, tmp_path):
        file = tmp_path / "rows.csv"
        file.write_text("prompt,completion\na,b\nc,d\n")

        report = client.feed(file, source="chat")

        assert (report.accepted, report.quarantined) == (2, 0)
        assert home.batches.get(report.batch)[0].source == "chat"

    def test_what_is_sent_again_under_a_key_is_fed_once(self, client):
        rows = [{"text": "once and no more"}]

        first, second = (client.feed(rows, key="order 7") for _ in range(2))

        assert second == first
        with pytest.raises(FeedError, match="order 7"):
            client.feed([{"text": "another"}], key="order 7")

    def test_what_cannot_be_fed_has_its_own_class(self, client):
        with pytest.raises(FeedError, match=r"expected at most .* bad rows, got"):
            client.feed([{"nope": 1}])

    def test_why_a_body_is_not_taken_is_told(self, desk):
        client, _ = desk
        rows = [{"text": "x" * 1000}] * 20_000

        with pytest.raises(FeedError, match="too large"):
            client.feed(rows, name="large.jsonl")

    def test_a_file_that_is_not_there_is_refused(self, desk, tmp_path):
        client, _ = desk

        with pytest.raises(FeedError, match=r"expected to read .*none\.jsonl, got: "):
            client.feed(tmp_path / "none.jsonl")


REPORT_JSON = {
    "lines": 3,
    "accepted": 2,
    "duplicate": 0,
    "quarantined": 1,
    "held_out": 0,
    "reasons": {"E_JSON": 1},
}
