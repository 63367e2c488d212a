"""The routes: what they ask of the conductor, and what they answer."""

import json
import math
import time
from http.client import HTTPConnection
from pathlib import Path
from threading import Event

import pytest

from sleepcycle.daemon.state import Activity
from sleepcycle.errors import (
    AdapterError,
    Interrupted,
    NotFoundError,
    RunError,
    ServiceError,
    VersionError,
)
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.codec import from_json
from sleepcycle.records.progress import Progress
from sleepcycle.records.run_order import RunKind
from sleepcycle.runs.context import Outcome
from sleepcycle.server import readiness
from sleepcycle.settings.config import EngineSettings, Settings
from tests.server.conftest import IDLE, OUTCOME, PATIENCE_S, TOKEN, ask


class TestProbes:
    def test_a_service_that_turns_is_live(self, served):
        assert ask(served, "GET", "/livez", token=None) == (200, {"status": "ok"})

    def test_it_is_ready_where_runs_can_begin(self, served):
        assert ask(served, "GET", "/readyz", token=None) == (200, {"status": "ok"})

    def test_it_waits_after_a_failed_run(self, served, scheduler):
        """
        Whoever asks is told that it waits, and not what it met.
        """
        scheduler.become(word=Activity.WAITING, banner="a run failed: /secret is gone")

        status, answer = ask(served, "GET", "/readyz", token=None)

        assert status == 503
        assert answer["reason"].endswith("waited for; see: sleepcycle status")
        assert "secret" not in answer["reason"]
        assert ask(served, "GET", "/livez", token=None)[0] == 200

    def test_it_is_not_ready_on_a_full_disk(self, served, scheduler):
        scheduler.settings = Settings(engine=EngineSettings(reserve_mb=10**9))

        status, answer = ask(served, "GET", "/readyz", token=None)

        assert status == 503
        assert answer["reason"] == (
            "the disk has no room for a run; see: sleepcycle status"
        )

    def test_it_is_not_ready_without_its_books(self, served, paths):
        paths.database.unlink()

        status, answer = ask(served, "GET", "/readyz", token=None)

        assert status == 503
        assert answer["reason"] == (
            "the database cannot be used; see: sleepcycle doctor"
        )
        assert ask(served, "GET", "/livez", token=None)[0] == 200

    def test_it_is_not_ready_in_a_home_that_it_does_not_own(self, tmp_path):
        paths = HomePaths(tmp_path)

        assert "is not held" in readiness.not_ready_reason(paths, Settings(), IDLE)


class TestStatus:
    def test_it_says_what_the_service_does(self, served, scheduler):
        step = Progress("train", 3, 40, loss=float("nan"))
        scheduler.become(word=Activity.AWAKE, run=1, kind=RunKind.WAKE, progress=step)
        scheduler.become(banner="look at this", paused=True)

        status, answer = ask(served, "GET", "/api/status")

        assert status == 200
        assert (answer["state"], answer["live"], answer["pending"]) == (
            "ready",
            "v0",
            0,
        )
        assert answer["daemon"]["url"] == served.url
        assert answer["next_night"] == "2026-03-04T02:00:00+00:00"
        assert answer["banner"] == "look at this"
        assert answer["service"]["word"] == "awake"
        assert answer["service"]["progress"]["step"] == 3
        assert answer["service"]["progress"]["loss"] is None


class TestRuns:
    @pytest.mark.parametrize("kind", ["wake", "sleep"])
    def test_a_run_is_followed_to_its_outcome(self, served, scheduler, kind):
        status, answer = ask(served, "POST", f"/api/{kind}")
        job = f"/api/job/{answer['job']}"
        scheduler.become(run=1, progress=Progress("train", 1, 3))
        assert (status, scheduler.asked) == (202, [kind])
        running = ask(served, "GET", job)[1]
        assert (running["state"], running["run"]) == ("running", 1)
        assert running["progress"]["steps"] == 3

        scheduler.job.set_result(OUTCOME)

        done = ask(served, "GET", job)[1]
        assert done["state"] == "done"
        assert done["outcome"]["report"]["loss_first"] is None

    def test_an_outcome_is_the_same_on_the_other_side(self, served, scheduler):
        job = ask(served, "POST", "/api/wake")[1]["job"]
        scheduler.job.set_result(OUTCOME)

        text = json.dumps(ask(served, "GET", f"/api/job/{job}")[1]["outcome"])

        found = from_json(text, Outcome)
        assert math.isnan(found.report.loss_first)
        assert found.version == OUTCOME.version
        assert found.report.held_out == OUTCOME.report.held_out
        assert found.report.verdict == OUTCOME.report.verdict

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (RunError("nothing to learn"), ("RunError", "nothing to learn")),
            (Interrupted("run 1 was stopped"), ("Interrupted", "run 1 was stopped")),
            (ZeroDivisionError("a secret"), ("ServiceError", "ZeroDivisionError")),
        ],
    )
    def test_a_run_that_failed_says_why(self, served, scheduler, error, told):
        job = ask(served, "POST", "/api/wake")[1]["job"]
        scheduler.job.set_exception(error)

        status, answer = ask(served, "GET", f"/api/job/{job}")

        assert (status, answer["state"], answer["error"]) == (200, "failed", told[0])
        assert told[1] in answer["message"]
        assert "secret" not in answer["message"]

    @pytest.mark.parametrize("run", ["0", "-1", str(2**63), "1.5", "x"])
    def test_a_number_that_no_run_has_is_refused(self, served, scheduler, run):
        status, answer = ask(served, "POST", f"/api/runs/{run}/cancel")

        assert (status, answer["error"]) == (422, "BadRequest")
        assert scheduler.asked == []

    def test_an_unknown_job_is_not_found(self, served):
        assert ask(served, "GET", "/api/job/1")[0] == 404

    def test_a_run_can_be_cancelled(self, served, scheduler):
        status, answer = ask(served, "POST", "/api/runs/3/cancel")

        assert (status, answer) == (200, {"run": 3, "released": 7})
        assert scheduler.asked == [("cancel", 3)]
        assert ask(served, "POST", "/api/runs/x/cancel")[0] == 422


class TestVersions:
    def test_a_rollback_goes_to_the_previous_unless_told(self, served, scheduler):
        status, answer = ask(served, "POST", "/api/rollback", body={})
        asked = {"version": "v1", "requeue": True}
        ask(served, "POST", "/api/rollback", body=asked)

        assert (status, answer["live"], answer["orphaned"]) == (200, "v0", 4)
        assert scheduler.asked == [
            ("rollback", "previous", False),
            ("rollback", "v1", True),
        ]

    def test_a_version_is_promoted_by_its_name(self, served, scheduler):
        assert ask(served, "POST", "/api/versions/v1/promote")[1]["regained"] == 4
        assert scheduler.asked == [("promote", "v1")]

    def test_an_adapter_is_taken_in_by_its_whole_path(self, served, scheduler):
        status, answer = ask(
            served, "POST", "/api/versions/import", body={"path": "/a/b"}
        )

        assert (status, answer["number"], answer["kind"]) == (200, 1, "wake")
        assert scheduler.asked == [("import", Path("/a/b"), False)]
        refused = ask(served, "POST", "/api/versions/import", body={"path": "a/b"})
        assert refused[0] == 422
        assert "whole path" in refused[1]["message"]

    def test_one_of_another_base_is_taken_where_that_is_forced(self, served, scheduler):
        body = {"path": "/a/b", "force": True}
        _, answer = ask(served, "POST", "/api/versions/import", body=body)

        assert (answer["made_for"], answer["warning"]) == ("nano", None)
        assert scheduler.asked == [("import", Path("/a/b"), True)]

    def test_a_path_of_a_megabyte_is_refused_in_few_words(self, served, scheduler):
        body = {"path": "/" + "a" * 900_000}
        status, answer = ask(served, "POST", "/api/versions/import", body=body)

        assert (status, scheduler.asked) == (422, [])
        assert len(answer["message"]) < 200

    def test_an_import_is_given_up_where_who_asked_has_gone(self, served, scheduler):
        """
        And the service answers others meanwhile.
        """
        begun, gone = Event(), []

        def import_adapter(source, *, force, given_up):
            begun.set()
            gone.append(given_up.wait(PATIENCE_S))
            begun.clear()
            raise Interrupted("given up")

        scheduler.import_adapter = import_adapter
        connection = HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_S)
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Content-Type": "application/json",
        }
        path = "/api/versions/import"
        connection.request("POST", path, json.dumps({"path": "/a/b"}), headers)
        assert begun.wait(PATIENCE_S)
        assert ask(served, "GET", "/livez", token=None)[0] == 200
        assert gone == []

        connection.close()

        while begun.is_set():
            time.sleep(0.01)
        assert gone == [True]


@pytest.mark.parametrize("word", ["pause", "resume", "reload"])
def test_the_owner_switches_what_begins_by_itself(served, scheduler, word):
    assert ask(served, "POST", f"/api/{word}")[0] == 200
    assert scheduler.asked == [word]


@pytest.mark.parametrize(
    "body", [{"version": 1}, {"requeue": "yes"}, {"nope": 1}, [], "v1"]
)
def test_a_body_of_another_shape_is_refused(served, scheduler, body):
    status, answer = ask(served, "POST", "/api/rollback", body=body)

    assert (status, answer["error"]) == (422, "BadRequest")
    assert scheduler.asked == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"[" * 5000 + b"]" * 5000, "that nests too deep"),
        (b'{"version":' * 5000, "that nests too deep"),
        (b'{"version": "\xff"}', "that is not in UTF-8"),
        (b'{"version": ' + b"9" * 5000 + b"}", "with a number of too many digits"),
    ],
    ids=["lists", "objects", "bytes", "digits"],
)
def test_a_body_that_no_reader_takes_is_told_so(served, scheduler, body, found):
    told = {"error": "BadRequest", "message": f"expected JSON, got a body {found}"}

    assert ask(served, "POST", "/api/rollback", body=body) == (422, told)
    assert scheduler.asked == []


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"NaN", b"9" * 4000])
def test_a_huge_number_is_refused_as_any_other(served, scheduler, number):
    body = b'{"version": ' + number + b"}"

    status, answer = ask(served, "POST", "/api/rollback", body=body)

    assert (status, answer["error"]) == (422, "BadRequest")
    assert "body.version: Input should be a valid string" in answer["message"]


def test_of_a_long_unknown_key_the_beginning_is_told(served):
    status, answer = ask(served, "POST", "/api/rollback", body={"x" * 500_000: 1})

    assert status == 422
    assert len(answer["message"]) < 200


def test_a_path_that_no_text_can_hold_is_answered(served, scheduler):
    """
    A name of odd bytes has surrogates in Python; JSON can escape them.
    """
    body = b'{"path": "/\\udc80"}'
    scheduler.error = AdapterError("expected an adapter in /\udc80, got none")

    status, answer = ask(served, "POST", "/api/versions/import", body=body)

    assert (status, answer["message"]) == (422, str(scheduler.error))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("no run 9"), 404),
        (VersionError("no version v9"), 404),
        (AdapterError("not finite"), 422),
        (ServiceError("wake 3 is on"), 409),
        (RunError("no room"), 409),
    ],
)
@pytest.mark.parametrize("path", ["/api/wake", "/api/versions/v9/promote"])
def test_a_foreseen_error_is_told_by_name(served, scheduler, path, error, status):
    scheduler.error = error

    assert ask(served, "POST", path) == (
        status,
        {"error": type(error).__name__, "message": str(error)},
    )


def test_an_error_that_nobody_foresaw_is_told_without_its_words(served, scheduler):
    scheduler.error = ZeroDivisionError("a secret")

    status, answer = ask(served, "POST", "/api/pause")

    assert (status, answer["error"]) == (500, "ServiceError")
    assert "secret" not in answer["message"]
    scheduler.error = None
    assert ask(served, "POST", "/api/pause")[0] == 200
