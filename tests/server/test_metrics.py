"""What is counted and measured, and the alerts and pictures that are drawn of it."""

import dataclasses
import json
import os
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from sleepcycle.files import process_identity
from sleepcycle.home.opening import open_home
from sleepcycle.records.codec import to_json
from sleepcycle.records.reports import SleepReport
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.target_state import TargetCondition, TargetState
from sleepcycle.records.verdict import Drift, Kept, Loss, Verdict
from sleepcycle.server.home_metrics import HomeMetrics
from sleepcycle.store import run_table
from tests.server.conftest import IDLE, REPORT, Talking, ask

DEPLOY = Path(__file__).parents[2] / "deploy"
CHAT = "/v1/chat/completions"
SECRET = "a-word-that-nobody-else-says"
ASKED = {
    "model": "v0",
    "messages": [{"role": "user", "content": f"What is {SECRET}?"}],
    "temperature": 0,
    "max_tokens": 3,
}
NAME = re.compile(r"\b(?:sleepcycle|process)_[a-z0-9_]+")
VERDICT = Verdict(
    accepted=True,
    reason="",
    retention=Loss(1.0, 1.25, 4, 40),
    acquisition=None,
    finite=True,
    drift=Drift(0.0, 0.05, 100),
    agreement=Kept(1.0, 0.75, 16),
)


def samples(text):
    """Return each sample of a text by its name and the values of its labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(talking):
    """Return what the service shows now."""
    status, _, raw = talking.answer("GET", "/metrics")
    assert status == 200
    return samples(raw.decode())


def measured(paths):
    """Return what is measured of a home."""
    registry = CollectorRegistry()
    targets = tuple(map(target, TargetCondition))
    state = dataclasses.replace(IDLE, targets=targets)
    registry.register(HomeMetrics(paths, "1.0", lambda: state, lambda: False))
    return samples(generate_latest(registry).decode())


def target(condition):
    """Return how a target stands, called by that."""
    return TargetState(str(condition), "vllm", "v4", None, condition, None, None)


def have_run(home, kind, report):
    """Write down that a run has ended with this report, which is JSON."""
    with home.store.write() as session:
        run = run_table.start(
            session, kind, os.getpid(), process_identity.started(os.getpid())
        )
        run_table.finish(session, run, RunState.DONE, report, None)


@pytest.fixture
def slept(paths):
    """The home, after a wake and a night."""
    home = open_home(paths.root)
    have_run(home, RunKind.WAKE, to_json(REPORT))
    have_run(home, RunKind.SLEEP, to_json(SleepReport(1.0, 16, 0.99, VERDICT)))
    return paths


def test_an_answer_is_counted_with_its_tokens_and_how_it_ended(talking):
    before = scraped(talking)

    _, body = talking.ask("POST", CHAT, ASKED)

    after = scraped(talking)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    usage = body["usage"]
    assert grown["sleepcycle_prompt_tokens_total",] == usage["prompt_tokens"]
    assert grown["sleepcycle_generation_tokens_total",] == usage["completion_tokens"]
    reason = body["choices"][0]["finish_reason"]
    assert grown["sleepcycle_request_success_total", reason] == 1
    assert grown["sleepcycle_time_to_first_token_seconds_count",] == 1
    assert after["sleepcycle_num_requests_running",] == 0
    assert after["sleepcycle_num_requests_waiting",] == 0


def test_an_answer_that_is_refused_is_counted_as_an_error(talking):
    before = scraped(talking)

    status, _ = talking.ask("POST", CHAT, {**ASKED, "max_tokens": 10**6})

    after = scraped(talking)
    name = ("sleepcycle_request_success_total", "error")
    assert status == 400
    assert after[name] - before[name] == 1
    assert after["sleepcycle_num_requests_waiting",] == 0


def test_nothing_that_was_said_is_shown(talking):
    talking.ask("POST", CHAT, ASKED)
    talking.answer("GET", f"/v1/models/{SECRET}")
    talking.answer("GET", f"/{SECRET}")

    _, _, raw = talking.answer("GET", "/metrics")

    assert SECRET.encode() not in raw


def test_requests_are_counted_by_their_route_and_the_refused_too(talking):
    before = scraped(talking)

    talking.answer("GET", "/v1/models/v0")
    talking.answer("GET", "/api/status", token="wrong")
    talking.answer("BREW", "/api/status")

    after = scraped(talking)
    name = "sleepcycle_http_requests_total"
    for labels in (
        ("GET", "/v1/models/{name}", "200"),
        ("GET", "none", "401"),
        ("other", "none", "405"),
    ):
        assert after[name, *labels] - before.get((name, *labels), 0) == 1, labels


def test_the_last_wake_and_night_are_measured(slept):
    found = measured(slept)

    assert found["sleepcycle_runs_total", "sleep", "done"] == 1
    assert found["sleepcycle_runs_total", "sleep", "failed"] == 0
    assert found["sleepcycle_last_run_timestamp_seconds", "wake", "done"] > 1e9
    assert found["sleepcycle_wake_loss_nats", "last"] == REPORT.loss_last
    assert found["sleepcycle_night_rank",] == 16
    assert found["sleepcycle_night_accepted",] == 1
    assert found["sleepcycle_night_loss_rise_nats", "retention"] == 0.25
    assert ("sleepcycle_night_loss_rise_nats", "acquisition") not in found
    assert found["sleepcycle_night_general_kl_nats",] == 0.05
    assert found["sleepcycle_night_agreement_ratio",] == 0.75


def test_what_a_service_does_is_1_and_all_else_0(paths):
    found = measured(paths)

    words = {name[1]: on for name, on in found.items() if "activity" in name[0]}
    assert words.pop("idle") == 1
    assert set(words.values()) == {0}


def test_a_target_that_has_its_version_is_1_and_one_that_is_behind_0(paths):
    """
    One whose alias points at nothing is neither.
    """
    found = measured(paths)

    name = "sleepcycle_target_in_sync"
    assert {key[1:]: on for key, on in found.items() if key[0] == name} == {
        ("vllm", "in_sync"): 1.0,
        ("vllm", "behind"): 0.0,
    }


def test_a_database_that_does_not_answer_is_measured_as_down(paths):
    paths.database.write_bytes(b"no database")

    found = measured(paths)

    assert found["sleepcycle_database_up",] == 0
    assert ("sleepcycle_versions",) not in found
    assert found["sleepcycle_disk_free_bytes",] > 0


@pytest.mark.parametrize("file", ["prometheus-alerts.yml", "grafana-dashboard.json"])
def test_alerts_and_pictures_are_of_what_is_measured(file, talking, slept):
    shown = {name for name, *_ in (scraped(talking) | measured(slept))}

    asked = NAME.findall("\n".join(expressions(file)))

    assert asked
    assert set(asked) <= shown


def test_each_alert_says_how_bad_it_is_and_what_to_do():
    for rule in alerts():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}, rule
        assert set(rule["annotations"]) == {"summary", "action"}, rule


def alerts():
    """Return the alert rules."""
    document = yaml.safe_load((DEPLOY / "prometheus-alerts.yml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def expressions(file):
    """Yield what is asked of Prometheus."""
    if file.endswith(".yml"):
        yield from (rule["expr"] for rule in alerts())
        return
    board = json.loads((DEPLOY / file).read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def test_a_report_that_cannot_be_read_is_left_out(slept):
    have_run(open_home(slept.root), RunKind.WAKE, '{"of": "another time"}')

    found = measured(slept)

    assert ("sleepcycle_wake_loss_nats", "last") not in found
    assert found["sleepcycle_night_rank",] == 16


def test_what_fails_in_a_route_is_counted(served, scheduler, paths):
    scheduler.error = ZeroDivisionError("a fault of ours")
    assert ask(served, "POST", "/api/pause")[0] == 500

    port = served.port
    raw = Talking(port, scheduler, paths).answer("GET", "/metrics")[2]

    name = ("sleepcycle_http_requests_total", "POST", "/api/pause", "500")
    assert samples(raw.decode())[name] == 1
