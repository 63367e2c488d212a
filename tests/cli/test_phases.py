"""What commands say of a curriculum: the phase of a wake, and why none begins."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from sleepcycle.cli.batch_tables import show_run
from sleepcycle.cli.day_output import show_wake
from sleepcycle.cli.status_screen import screen
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.opening import create_home
from sleepcycle.server.status import status_of
from sleepcycle.settings.configfile import load_settings
from tests.cli.conftest import Cli
from tests.daemon.scheduler_home import FakeHome
from tests.server.conftest import NOW, OUTCOME

COURSE = """
name = "course"
[[phases]]
name = "first"
lr_scale = 0.5
"""


@pytest.fixture
def home(tmp_path):
    """A home under a curriculum, with one example; its engine computes nothing."""
    paths = HomePaths(tmp_path / "home")
    create_home(paths.root)
    text = paths.config.read_text()
    paths.config.write_text(
        text.replace('curriculum = ""', 'curriculum = "course.toml"')
    )
    (paths.root / "course.toml").write_text(COURSE)
    file = tmp_path / "rows.jsonl"
    file.write_text('{"prompt": "Say one.", "completion": "one"}\n')
    made = FakeHome(paths, load_settings(paths.config), "test")
    made.feed(file, options=FeedOptions(source="first"))
    return made


def json_of(capsys):
    return json.loads(capsys.readouterr().out)


def test_a_wake_says_its_phase(home, capsys):
    outcome = home.wake()
    show_wake(outcome, as_json=True)
    fields = json_of(capsys)
    show_wake(outcome, as_json=False)

    assert fields["phase"] == {
        "curriculum": "course",
        "name": "first",
        "source": "first",
        "epochs": 3.0,
        "lr": None,
        "lr_scale": 0.5,
    }
    assert "phase first of the curriculum course\n" in capsys.readouterr().out


def test_a_wake_without_one_says_none(capsys):
    show_wake(OUTCOME, as_json=True)
    fields = json_of(capsys)
    show_wake(OUTCOME, as_json=False)

    assert fields["phase"] is None
    assert "phase" not in capsys.readouterr().out


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("held_out_left_out", "2 examples held out that cannot be measured"),
        ("anchors_left_out", "2 examples among the anchors too long to be learned"),
    ],
)
def test_a_wake_says_what_it_could_not_use(capsys, count, key, words):
    """
    Only where there is some.
    """
    outcome = replace(OUTCOME, report=replace(OUTCOME.report, **{key: count}))

    show_wake(outcome, as_json=True)
    fields = json_of(capsys)
    show_wake(outcome, as_json=False)

    assert fields.get(key, 0) == count
    assert (key in fields) is bool(count)
    assert (words in capsys.readouterr().out) is bool(count)


@pytest.mark.parametrize("learned", [True, False])
def test_a_wake_says_that_it_ended_since_all_was_learned(capsys, learned):
    outcome = replace(OUTCOME, report=replace(OUTCOME.report, learned=learned))

    show_wake(outcome, as_json=True)
    fields = json_of(capsys)
    show_wake(outcome, as_json=False)

    assert fields["learned"] is learned
    assert ("every example was learned" in capsys.readouterr().out) is learned


def test_a_run_is_shown_with_its_phase(home, capsys):
    home.wake()
    run, phase = home.runs.get(1), home.runs.phase(1)
    show_run(run, phase, as_json=True)
    fields = json_of(capsys)
    show_run(run, phase, as_json=False)

    assert (fields["phase"], fields["report"]["phase"]["name"]) == ("first", "first")
    assert "phase: first\n" in capsys.readouterr().out


def test_the_status_has_the_phase_of_the_last_run(home):
    home.wake()
    woken = status_of(home.status())["last_run"]
    home.sleep()
    slept = status_of(home.status())["last_run"]

    assert (woken["phase"], slept["phase"]) == ("first", None)


@pytest.mark.parametrize(
    ("phase", "line"),
    [
        ({"phase": "first"}, "last run: wake 3 of the phase first, done"),
        ({"phase": None}, "last run: wake 3, done"),
        ({}, "last run: wake 3, done"),
        ({"phase": "a\x1b[2J"}, r"last run: wake 3 of the phase a\x1b[2J, done"),
    ],
    ids=["one", "none", "an older service", "control characters"],
)
def test_the_screen_names_the_phase_of_the_last_run(home, phase, line):
    run = {"run": 3, "kind": "wake", "state": "done", "error": None, **phase}
    console = Console(record=True, width=100, file=io.StringIO())

    console.print(screen(status_of(home.status()) | {"last_run": run}, NOW))

    assert line in console.export_text()


def test_a_curriculum_that_is_gone_is_named_in_one_line(home):
    file = home.paths.root / "course.toml"
    file.unlink()

    words = Cli(home.paths.root, {"SLEEPCYCLE__ENGINE__RESERVE_MB": "0"}).error("wake")

    assert words.startswith(
        f"sleepcycle: expected a curriculum in {file}, got: No such"
    )
    assert home.runs.listing() == []
