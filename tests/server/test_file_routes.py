"""Files by OpenAI's addresses: kept whole or not at all, and shown as theirs are."""

import os
import socket
import time

import pytest

from sleepcycle.files.arriving import PREFIX
from sleepcycle.server import server
from sleepcycle.server.routes import create_app
from sleepcycle.settings.config import ServeSettings
from tests.server.conftest import PATIENCE_S, TOKEN, ask

LINES = b'{"text": "The apple is red."}\n'
PURPOSE = (b"purpose", None, b"fine-tune")
FORM = {"Content_Type": "multipart/form-data; boundary=x"}


def part(name, filename, data):
    """Return one part of a form."""
    called = b"" if filename is None else b'; filename="%s"' % filename
    head = b'Content-Disposition: form-data; name="%s"%s' % (name, called)
    return b"--x\r\n%s\r\n\r\n%s\r\n" % (head, data)


def form(*parts, end=b"--x--\r\n"):
    """Return a form."""
    return b"".join(part(*one) for one in parts) + end


def upload(served, data=LINES, name=b"a.jsonl"):
    """Upload a file, and return status and JSON."""
    body = form(PURPOSE, (b"file", name, data))
    return ask(served, "POST", "/v1/files", body=body, **FORM)


def names(paths):
    """Return the names of what lies where bodies come in."""
    return sorted(os.listdir(paths.uploads)) if paths.uploads.exists() else []


class TestKept:
    def test_it_is_told_in_their_shape(self, served, paths):
        status, told = upload(served)

        assert status == 200
        assert told.pop("id") == names(paths)[0]
        assert time.time() - told.pop("created_at") < 60
        assert told == {
            "object": "file",
            "bytes": len(LINES),
            "expires_at": None,
            "filename": "a.jsonl",
            "purpose": "fine-tune",
            "status": "processed",
            "status_details": None,
        }

    def test_its_bytes_come_back(self, served, paths):
        name = upload(served, LINES * 5000)[1]["id"]

        assert ask(served, "GET", f"/v1/files/{name}/content")[0] == 200
        assert (paths.uploads / name).read_bytes() == LINES * 5000

    def test_what_is_in_it_does_not_end_it(self, served, paths):
        data = b"\r\n--xy\r\n--\r\n--x-\r\n" * 3000

        name = upload(served, data)[1]["id"]

        assert (paths.uploads / name).read_bytes() == data

    def test_the_purpose_may_come_after_it(self, served):
        body = form((b"file", b"a", LINES), PURPOSE)

        assert ask(served, "POST", "/v1/files", body=body, **FORM)[0] == 200

    @pytest.mark.parametrize(
        ("sent", "kept"),
        [
            (b"../../etc/passwd", "passwd"),
            ("ä.jsonl".encode(), "ä.jsonl"),
            (b"C:\\\\data\\\\a.csv", "a.csv"),
            (b"", "file"),
            (b"..", ".."),
            (b"n" * 300, "n" * 255),
        ],
    )
    def test_its_name_is_a_label_and_no_place(self, served, paths, sent, kept):
        status, told = upload(served, name=sent)

        assert (status, told["filename"]) == (200, kept)
        assert names(paths) == [told["id"], told["id"] + ".json"]

    def test_they_are_listed_newest_first_and_paged(self, served):
        first, second = (upload(served)[1]["id"] for _ in range(2))

        _, told = ask(served, "GET", "/v1/files?purpose=fine-tune&limit=1")
        _, rest = ask(served, "GET", f"/v1/files?after={second}")

        assert [one["id"] for one in told["data"]] == [second]
        assert told["has_more"]
        assert [one["id"] for one in rest["data"]] == [first]
        assert ask(served, "GET", "/v1/files?purpose=batch")[1]["data"] == []

    def test_one_is_deleted_for_good(self, served, paths):
        name = upload(served)[1]["id"]

        assert ask(served, "DELETE", f"/v1/files/{name}") == (
            200,
            {"id": name, "object": "file", "deleted": True},
        )
        assert ask(served, "GET", f"/v1/files/{name}")[0] == 404
        assert names(paths) == []

    @pytest.mark.parametrize("name", ["token", "..%2Ftoken", "file-1", "%00"])
    def test_no_other_file_is_shown(self, refusing, name):
        for more in ("", "/content"):
            assert ask(refusing, "GET", f"/v1/files/{name}{more}")[0] == 404


UNKEPT = {
    "purpose": (form((b"purpose", None, b"batch"), (b"file", b"a", b"")), "purpose"),
    "no purpose": (form((b"file", b"a", b"")), "purpose"),
    "no file": (form(PURPOSE), "file"),
    "two files": (form((b"file", b"a", b""), (b"file", b"b", b"")), "file"),
    "other field": (form(PURPOSE, (b"file", b"a", b""), (b"k", None, b"")), "k"),
    "long field": (form((b"purpose", None, b"x" * 1001)), "purpose"),
    "many fields": (form(*[(b"%d" % n, None, b"") for n in range(17)]), None),
    "cut off": (form(PURPOSE, (b"file", b"a", LINES), end=b""), None),
    "no form": (b"nothing", None),
    "empty": (b"", None),
}


class TestRefused:
    @pytest.mark.parametrize("case", UNKEPT.values(), ids=UNKEPT)
    def test_what_is_no_file_to_fine_tune_on(self, refusing, case):
        body, param = case

        status, told = ask(refusing, "POST", "/v1/files", body=body, **FORM)

        assert (status, told["error"]["param"]) == (400, param)
        assert names(refusing.paths) == []

    @pytest.mark.parametrize(
        "kind", ["application/json", "multipart/form-data", "multipart/form-data; b="]
    )
    def test_another_type(self, refusing, kind):
        status, told = ask(refusing, "POST", "/v1/files", body=LINES, Content_Type=kind)

        assert (status, told["error"]["type"]) == (400, "invalid_request_error")

    def test_too_much_at_once_or_in_all(self, scheduler, paths):
        running = server.start(scheduler, TOKEN, paths, ServeSettings(max_feed_mb=1))
        try:
            assert upload(running, bytes(1_200_000))[0] == 413
            for _ in range(4):
                assert upload(running, bytes(1_000_000))[0] == 200
            status, told = upload(running)
            again = ask(running, "DELETE", f"/v1/files/{names(paths)[0]}")[0]
            assert (again, upload(running)[0]) == (200, 200)
        finally:
            running.stop()

        assert (status, told["error"]["param"]) == (413, "file")
        assert told["error"]["code"] == "quota_exceeded"
        assert len(names(paths)) == 8


class TestBrokenOff:
    def test_nothing_stays(self, served, paths):
        head = (
            f"POST /v1/files HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n"
        )
        channel = socket.create_connection(("127.0.0.1", served.port), PATIENCE_S)
        channel.sendall(head.encode() + form(PURPOSE, (b"file", b"a", LINES), end=b""))
        deadline = time.monotonic() + PATIENCE_S
        while not names(paths) and time.monotonic() < deadline:
            time.sleep(0.01)
        channel.close()
        while names(paths) and time.monotonic() < deadline:
            time.sleep(0.01)

        assert names(paths) == []

    def test_what_a_killed_service_left_is_gone_at_the_next_start(
        self, served, scheduler, paths
    ):
        """
        Bytes without what is known of them, the reverse, and what was on its way.
        """
        whole, lost = (upload(served)[1]["id"] for _ in range(2))
        (paths.uploads / lost).unlink()
        (paths.uploads / f"file-{'0' * 24}").touch()
        (paths.uploads / f"{PREFIX}1").touch()

        create_app(scheduler, TOKEN, paths)

        assert names(paths) == [whole, f"{whole}.json"]


def test_a_record_that_is_damaged_hides_no_other(served, paths, scheduler):
    _, kept = upload(served)
    paths.uploads.joinpath("file-" + "0" * 24).write_bytes(LINES)
    paths.uploads.joinpath("file-" + "0" * 24 + ".json").write_text("{")

    status, listed = ask(served, "GET", "/v1/files")
    create_app(scheduler, TOKEN, paths)  # as at the next start

    assert status == 200
    assert [one["id"] for one in listed["data"]] == [kept["id"]]
    assert ask(served, "GET", f"/v1/files/{kept['id']}")[0] == 200
