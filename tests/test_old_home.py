"""A home that version 0.1.0 made still opens, answers, learns, sleeps and goes back.

`tests/fixtures/README.md` says what is in it and how it was made. All goes through the
command line, and through files that a home of that version has.
"""

import json
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import plain_environment
from tests.forked import forked_workers

ARCHIVE = Path(__file__).parent / "fixtures" / "home_0_1_0.tar.xz"
CHECKPOINT = 30  # the step of the broken wake's checkpoint
STEPS = 60
PATIENCE_S = 120.0
SHORT_NIGHT = {
    "SLEEPCYCLE__GATE__MAX_ASKED": "0",
    "SLEEPCYCLE__GATE__PROBE_DREAMS": "0",
}


@dataclass(frozen=True)
class Home:
    """Runs commands on one home."""

    path: Path
    said: dict | None = None
    """What the command printed that brought it where it is."""

    def json(self, *words, settings=None):
        """Run one command with `--json` and return what it printed."""
        return json.loads(self.run(*words, "--json", settings=settings))

    def run(self, *words, settings=None):
        """Run one command, which must succeed, and return what it printed."""
        env = plain_environment()
        with forked_workers():
            done = subprocess.run(
                [sys.executable, "-m", "sleepcycle", "--home", str(self.path), *words],
                env=env | (settings or {}),
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
            )
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout

    def copy(self, path):
        """Return a copy at another place."""
        shutil.copytree(self.path, path)
        return Home(path)

    def steps(self):
        """Return the steps of the broken wake so far, without mere heartbeats."""
        lines = (self.path / "runs" / "000003" / "progress.jsonl").read_text()
        steps = [json.loads(line)["step"] for line in lines.splitlines()]
        return [step for step in steps if step]


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The home as version 0.1.0 left it, at this version's schema; only looked at."""
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="tar")
    home = Home(folder / "home")
    home.run("db", "upgrade")
    return home


@pytest.fixture(scope="module")
def woken(old, tmp_path_factory):
    """The home after the wake that was broken off has gone on; only looked at."""
    home = old.copy(tmp_path_factory.mktemp("woken") / "home")
    return Home(home.path, home.json("wake"))


@pytest.fixture(scope="module")
def slept(woken, tmp_path_factory):
    """The home after the night that followed; only looked at."""
    home = woken.copy(tmp_path_factory.mktemp("slept") / "home")
    return Home(home.path, home.json("sleep", settings=SHORT_NIGHT))


def test_it_opens_with_what_was_recorded(old):
    status = old.json("status")

    recorded = {
        "state": "interrupted",
        "base": "builtin:nano",
        "live": "v2",
        "previous": "v0",
        "accepted": 180,
        "claimed": 75,
        "known": 89,
        "held_out": 16,
        "quarantined": 3,
        "versions": 3,
    }
    assert {name: status[name] for name in recorded} == recorded


def test_quarantined_rows_are_kept_with_their_reasons(old):
    rows = old.json("batches", "quarantine")

    found = [(row["line"], row["code"]) for row in rows]
    assert found == [(101, "E_JSON"), (102, "E_SHAPE"), (103, "E_SHAPE")]


def test_the_doctor_finds_the_lost_run_and_nothing_else(old):
    """
    What is said of SQLite and of memory is about the machine.
    """
    report = old.json("doctor")

    levels = {check["check"]: check["level"] for check in report["checks"]}
    assert report["healthy"]
    assert levels["runs"] == "warn"
    for check in ("settings", "schema", "integrity", "journal", "versions", "aliases"):
        assert levels[check] == "ok", check


def test_every_version_and_the_journal_hold(old):
    assert old.json("versions", "verify") == {"checked": 2, "failed": []}


def test_live_answers_as_it_did(old):
    """
    Letter by letter what it said under 0.1.0.
    """
    said = old.json("ask", "Tell me the capital city of Riravia.")

    assert said == {"version": "v2", "text": "Lapedord"}


def test_the_broken_wake_goes_on_from_its_checkpoint(old, woken):
    """
    It keeps its number, and no step before the checkpoint is made again.
    """
    again = woken.steps()[len(old.steps()) :]

    assert woken.said["run"] == 3
    assert woken.said["version"] == "v3"
    assert woken.said["steps"] == STEPS
    assert again == list(range(CHECKPOINT + 1, STEPS + 1))


def test_nothing_stays_claimed_after_it(woken):
    status = woken.json("status")

    assert (status["day"], status["claimed"], status["known"]) == ("v3", 0, 89 + 75)


def test_a_night_is_accepted_over_its_versions(slept):
    assert slept.said["accepted"]
    assert slept.json("status")["live"] == slept.said["version"] == "v4"


def test_new_versions_and_entries_hold_beside_the_old_ones(slept):
    assert slept.json("versions", "verify") == {"checked": 4, "failed": []}


def test_a_rollback_makes_the_old_night_live_again(slept, tmp_path):
    home = slept.copy(tmp_path / "home")

    home.run("rollback")

    status = home.json("status")
    assert (status["live"], status["previous"]) == ("v2", "v4")
