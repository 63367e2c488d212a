"""Examples come in over HTTP: what a feed answers, and that nothing stays behind."""

import gzip
import json
import socket
import threading
import time

import pytest

from sleepcycle.files.arriving import PREFIX
from sleepcycle.home.opening import open_home
from sleepcycle.home.scoped_tokens import TokenScope, new_token
from sleepcycle.server import server
from sleepcycle.server.routes import create_app
from sleepcycle.settings.config import ServeSettings, Settings
from sleepcycle.store import feed_key_table
from tests.server.conftest import PATIENCE_S, TOKEN, ask, ask_for_headers

ROWS = [{"text": f"The {word} is red."} for word in ("apple", "rose", "car", "door")]
LINES = "".join(f"{json.dumps(row)}\n" for row in ROWS).encode()
OTHERS = LINES.replace(b"red", b"blue")
JSONL = {"Content_Type": "application/x-ndjson"}
KEY = {"Idempotency_Key": "order 7"}
REPORT = {
    "batch": 1,
    "lines": 4,
    "accepted": 4,
    "duplicate": 0,
    "quarantined": 0,
    "held_out": 0,
    "reasons": {},
    "provenance": {},
    "refusals": {},
}


@pytest.fixture
def home(paths):
    return open_home(paths.root)


def feed(served, body=LINES, query="", **headers):
    """Feed a body, and return status and JSON."""
    headers = JSONL | headers
    return ask(served, "POST", f"/api/feed{query}", body=body, **headers)


def left(paths):
    """Return what lies where bodies come in."""
    return list(paths.uploads.iterdir()) if paths.uploads.exists() else []


def begun(served, size, *headers):
    """Send the head of a feed of some size, and return the connection."""
    lines = [
        "POST /api/feed HTTP/1.1",
        f"Host: 127.0.0.1:{served.port}",
        f"Authorization: Bearer {TOKEN}",
        "Content-Type: application/x-ndjson",
        f"Content-Length: {size}",
        *headers,
    ]
    channel = socket.create_connection(("127.0.0.1", served.port), PATIENCE_S)
    channel.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
    return channel


def until(condition):
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class TestBody:
    def test_lines_are_a_batch(self, served, home, paths):
        assert feed(served) == (200, REPORT)

        assert home.status().counts.pending == 4
        assert home.batches.get(1)[0].source == "body.jsonl"
        assert left(paths) == []

    @pytest.mark.parametrize(
        ("kind", "query", "body"),
        [
            ("application/json", "", json.dumps(ROWS).encode()),
            ("text/csv; charset=utf-8", "", b"prompt,completion\nA,1\nB,2\nC,3\nD,4\n"),
            ("application/octet-stream", "", gzip.compress(LINES)),
            ("application/x-www-form-urlencoded", "?name=../a/b.jsonl", LINES),
        ],
        ids=["json", "csv", "gzip", "by its name"],
    )
    def test_every_container_is_read(self, served, kind, query, body):
        assert feed(served, body, query, Content_Type=kind) == (200, REPORT)

    def test_it_may_come_in_chunks(self, served):
        parts = (LINES[:50], LINES[50:], b"")
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)

        assert feed(served, body, Transfer_Encoding="chunked") == (200, REPORT)

    def test_options_are_those_of_the_command(self, served, home):
        body = b'{"q": "A", "a": "1", "note": "x"}\n'
        query = "?source=mine&format=question&map=question=q,answer=a&ignore=note"

        status, told = feed(served, body, query)

        assert (status, told["accepted"], told["provenance"]) == (200, 1, {})
        assert home.batches.get(1)[0].source == "mine"

    def test_a_bad_row_is_in_the_report(self, served):
        status, told = feed(served, LINES * 2 + b'{"neither": 1}\n')

        assert (status, told["accepted"], told["duplicate"]) == (200, 4, 4)
        assert told["reasons"] == {"E_SHAPE": 1}
        assert sum(told["refusals"].values()) == 1

    def test_a_line_that_is_too_long_is_quarantined(self, served):
        row = json.dumps({"text": "x" * 1_000_001}).encode()

        assert feed(served, LINES + row)[1]["reasons"] == {"E_TOO_BIG": 1}

    def test_a_dry_run_shows_how_rows_are_learned(self, served, home, workers_forked):
        status, told = feed(served, query="?dry_run=true", **KEY)

        assert (status, told["batch"], told["accepted"]) == (200, None, 4)
        assert "The apple is red." in json.dumps(told["shown"])
        assert home.status().counts.pending == 0
        assert feed(served, **KEY) == (200, REPORT)  # nothing is kept under the key

    def test_the_scheduler_looks_whether_to_wake(self, served, scheduler):
        feed(served)

        assert scheduler.asked == ["consider"]


UNFED = {
    "empty": (b"", "", {}, "422 expected rows, got none from body.jsonl"),
    "no rows": (b'{"neither": 1}\n', "", {}, "422 expected at most 20.0% bad rows"),
    "type": (LINES, "", {"Content_Type": "image/png"}, "415 expected a Content-Type"),
    "option": (LINES, "?nope=1", {}, "422 query.nope: "),
    "format": (LINES, "?format=nope", {}, "422 query.format: "),
    "map": (LINES, "?map=nope", {}, "422 expected --map as"),
    "key": (LINES, "", {"Idempotency_Key": "k" * 256}, "422 header.Idempotency-Key"),
}


class TestRefused:
    @pytest.mark.parametrize("case", UNFED.values(), ids=UNFED)
    def test_what_cannot_be_fed_is(self, refusing, case):
        body, query, headers, expected = case

        status, told = feed(refusing, body, query, **headers)

        assert f"{status} {told['message']}".startswith(expected)
        assert open_home(refusing.paths.root).batches.listing() == []
        assert left(refusing.paths) == []

    def test_another_scope_is(self, refusing):
        token, _ = new_token(refusing.paths, (TokenScope.TALK,))

        assert feed(refusing, token=token)[0] == 403

    @pytest.mark.parametrize("chunked", [False, True])
    def test_what_is_larger_than_may_be_is(self, paths, scheduler, chunked):
        running = server.start(scheduler, TOKEN, paths, ServeSettings(max_feed_mb=1))
        body = b"x" * 1_000_001
        head = {}
        if chunked:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            head = {"Transfer_Encoding": "chunked"}
        try:
            status, told = feed(running, body, **head)
        finally:
            running.stop()

        assert (status, told["error"]) == (413, "TooLarge")
        assert left(paths) == []


class TestBrokenOff:
    def test_a_body_that_breaks_off_feeds_nothing(self, served, home, paths, scheduler):
        channel = begun(served, len(LINES) + 1)
        channel.sendall(LINES)
        until(lambda: left(paths))
        channel.close()

        until(lambda: not left(paths))
        assert (home.status().counts.pending, scheduler.asked) == (0, [])

    def test_what_a_killed_service_had_begun_is_gone_at_the_next_start(
        self, paths, scheduler
    ):
        paths.uploads.mkdir(exist_ok=True)
        (paths.uploads / f"{PREFIX}1").write_bytes(LINES)

        create_app(scheduler, TOKEN, paths)

        assert left(paths) == []


class TestKey:
    def test_the_same_bytes_get_the_same_answer(self, served, home, scheduler):
        first = feed(served, **KEY)

        again = feed(served, **KEY)

        assert first == again == (200, REPORT)
        assert len(home.batches.listing()) == 1
        assert scheduler.asked == ["consider"]

    def test_that_it_is_an_earlier_answer_is_in_a_header(self, served):
        send = ("POST", "/api/feed")
        told = [
            ask_for_headers(served, *send, body=LINES, **JSONL, **KEY)[1]
            for _ in range(2)
        ]

        assert [head.get("Idempotent-Replayed") for head in told] == [None, "true"]

    def test_it_outlives_the_service(self, served, paths, scheduler):
        feed(served, **KEY)
        other = server.start(scheduler, TOKEN, paths, ServeSettings())
        try:
            assert feed(other, **KEY) == (200, REPORT)
        finally:
            other.stop()

    @pytest.mark.parametrize(
        ("body", "query"), [(OTHERS, ""), (LINES, "?source=other")]
    )
    def test_other_bytes_or_options_are_refused(self, served, home, body, query):
        feed(served, **KEY)

        status, told = feed(served, body, query, **KEY)

        assert (status, told["error"]) == (422, "FeedKeyError")
        assert home.status().counts.pending == 4

    def test_a_second_while_the_first_is_on_is_refused(self, served, paths):
        channel = begun(served, len(LINES), "Idempotency-Key: order 7")
        until(lambda: left(paths))

        status, told = feed(served, **KEY)

        assert (status, told["error"]) == (409, "ServiceError")
        with channel:
            channel.sendall(LINES)
            assert channel.recv(65536).startswith(b"HTTP/1.1 200 ")

    def test_many_at_once_are_one_batch(self, served, home):
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(feed(served, **KEY)))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert {status for status, _ in found} <= {200, 409}
        assert all(told == REPORT for status, told in found if status == 200)
        assert len(home.batches.listing()) == 1

    @pytest.mark.parametrize("refused", [b"", b'{"neither": 1}\n'])
    def test_one_of_a_feed_that_was_refused_is_free(self, served, refused):
        feed(served, refused, **KEY)

        assert feed(served, **KEY) == (200, REPORT)

    def test_after_some_days_it_is_forgotten(self, served, home):
        feed(served, **KEY)
        with home.store.write() as session:
            session.connection().exec_driver_sql(
                "UPDATE feed_key SET at = '2020-01-01T00:00:00.000000+00:00'"
            )
        feed(served, OTHERS, Idempotency_Key="other")

        status, told = feed(served, **KEY)

        assert (status, told["batch"], told["duplicate"]) == (200, 3, 4)


def test_settings_apply_from_the_next_feed_on(served, scheduler):
    settings = Settings()
    feed_settings = settings.feed.model_copy(update={"max_row_bytes": 10})
    scheduler.settings = settings.model_copy(update={"feed": feed_settings})

    assert feed(served)[0] == 422


def test_keys_are_kept_for_days():
    assert feed_key_table.KEPT.days >= 3
