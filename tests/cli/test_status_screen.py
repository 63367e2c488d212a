"""The status screen, at a moment that the test chooses."""

import dataclasses
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from sleepcycle.cli.status_screen import headline, screen
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.target_state import TargetCondition, TargetState
from sleepcycle.server.status import status_of, status_with_service
from tests.server.conftest import IDLE, NOW

NIGHT = datetime(2026, 3, 3, 2, 0).astimezone()  # by this machine's clock, a Tuesday


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "home"
    create_home(root)
    return open_home(root).status()


@pytest.fixture
def fields(snapshot):
    """What a home says without a service."""
    return status_of(snapshot)


def served(fields, **service):
    """Return what a home says whose service does something."""
    words = {"word": "idle", "progress": None} | service
    return {**fields, "next_night": NIGHT.isoformat(), "service": words}


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (timedelta(hours=5, minutes=12), "in 5 h 12 m"),
        (timedelta(hours=24), "in 1 d 0 h"),
        (timedelta(minutes=59, seconds=20), "in 59 m"),
        (timedelta(seconds=10), "in 0 m"),
        (timedelta(seconds=-10), "in 0 m"),
    ],
)
def test_the_first_line_says_when_the_next_night_is(fields, left, words):
    line = headline(served(fields, word="awake"), NIGHT - left)

    assert line == f"AWAKE · next sleep Tue 02:00 ({words}) · 0 pending"


def test_the_first_line_counts_what_waits(fields):
    many = served(fields) | {"pending": 1204, "quarantined": 3}

    assert headline(many, NIGHT).endswith(" · 1,204 pending · 3 quarantined")
    some = many | {"set_aside": 2}
    assert headline(some, NIGHT).endswith(" · 3 quarantined · 2 set aside")


@pytest.mark.parametrize(
    ("state", "has", "error", "line"),
    [
        ("in_sync", "v4", None, "target box (vllm) has v4"),
        ("behind", None, "no", "target box (vllm) has none, wants v4: no"),
        ("behind", "v2", None, "target box (vllm) has v2, wants v4"),
        ("idle", None, "no alias", "target box (vllm) is left as it is: no alias"),
    ],
)
def test_each_target_says_what_it_has_and_what_is_wrong(
    snapshot, state, has, error, line
):
    target = TargetState("box", "vllm", "v4", has, TargetCondition(state), error, NOW)
    service = dataclasses.replace(IDLE, targets=(target,))
    fields = status_with_service(snapshot, service, pid=1, url="http://127.0.0.1:7")

    console = Console(file=io.StringIO(), width=200)
    console.print(screen(json.loads(json.dumps(fields, default=str)), NOW))

    assert line == console.file.getvalue().splitlines()[-2].rstrip()
    assert "targets" not in fields["service"]
    assert fields["targets"][0].keys() == {
        "name",
        "kind",
        "wanted",
        "has",
        "state",
        "error",
        "checked_at",
    }


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "READY · no service · 0 pending"),
        ({"state": "wake"}, "WAKE · no service · 0 pending"),
        ({"paused": True}, "PAUSED · 0 pending"),
        ({"paused": True, "state": "interrupted"}, "INTERRUPTED · no service"),
    ],
)
def test_without_a_service_no_night_is_promised(fields, changes, line):
    assert headline({**fields, **changes}, NOW).startswith(line)


def test_the_screen_says_what_is_on_and_what_needs_a_look(fields):
    """
    Control characters in what a run said never reach the terminal.
    """
    shown = served(
        fields,
        word="awake",
        kind="wake",
        run=3,
        progress={"stage": "wake", "step": 2, "steps": 9, "loss": 1.5},
    )
    shown["banner"] = "a run failed: \x1b[2Jboo"
    shown["last_night"] = {"date": "2026-03-02", "state": "skipped", "reason": "none"}
    shown["daemon"] = {"pid": 7, "url": "http://127.0.0.1:1"}
    console = Console(record=True, width=100, file=io.StringIO())

    console.print(screen(shown, NOW))

    text = console.export_text()
    assert "now: wake 3, wake 2/9  loss 1.500" in text
    assert "a run failed: \\x1b[2Jboo" in text
    assert "last night: 2026-03-02, skipped: none" in text
    assert "service: http://127.0.0.1:1, process 7" in text


def test_what_is_in_brackets_is_no_markup(fields):
    console = Console(record=True, width=100, file=io.StringIO())

    console.print(screen({**fields, "banner": "set [red]engine[/red]"}, NOW))

    assert "set [red]engine[/red]" in console.export_text()


def test_a_service_adds_to_the_keys_and_renames_none(snapshot):
    alone = status_of(snapshot)
    with_service = status_with_service(snapshot, IDLE, pid=7, url="http://127.0.0.1:1")

    assert with_service.keys() - alone.keys() == {"service"}
    assert alone["daemon"] is None
    assert with_service["daemon"] == {"pid": 7, "url": "http://127.0.0.1:1"}
    assert datetime.fromisoformat("2026-03-04T02:00:00+00:00") == (
        with_service["next_night"].astimezone(UTC)
    )


def test_what_the_inbox_holds_and_is_not_fed_is_shown(fields):
    thing = {"name": "july", "why": "it is a folder", "fix": "move its files up"}
    out = Console(file=io.StringIO(), width=200)

    out.print(screen({**fields, "inbox": [thing] * 7}, NOW))

    text = out.file.getvalue()
    assert text.count("inbox: july is not fed: it is a folder; move its files up") == 5
    assert "inbox: 2 more are not fed" in text


@pytest.mark.parametrize(("packed", "base"), [("Q4_K_M", "nano (Q4_K_M)"), (None, "")])
def test_a_base_is_shown_with_how_it_is_packed(fields, packed, base):
    console = Console(file=io.StringIO(), width=100)

    console.print(screen({**fields, "quantization": packed}, NOW))

    shown = console.file.getvalue()
    assert base in shown
    assert ("(" in shown) == (packed is not None)
