"""The command line as a person uses it: one process a command."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

LESSONS = Path(__file__).parents[2] / "examples" / "lessons"
PATIENCE_S = 120.0
COMMAND = [sys.executable, "-c", "from sleepcycle.cli import main; main()"]


@dataclass
class Cli:
    """Runs commands on one home."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    """Environment variables, such as `SLEEPCYCLE__WAKE__RANK`."""

    def run(self, *words, exit_code=0, stdin=None):
        """Run one command; its exit code must be the expected one."""
        done = subprocess.run(
            [*COMMAND, *map(str, words)],
            env=self._env(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == exit_code, (done.stdout, done.stderr)
        return done

    def json(self, *words, exit_code=0, stdin=None):
        """Run one command with `--json` and return what it printed."""
        return json.loads(
            self.run(*words, "--json", exit_code=exit_code, stdin=stdin).stdout
        )

    def error(self, *words):
        """Run a command that must fail as foreseen, and return its one line."""
        done = self.run(*words, exit_code=1)
        line = done.stderr.strip()
        assert line.startswith("sleepcycle: ")
        assert "Traceback" not in line
        return line

    def start(self, *words):
        """Start a command in a process group of its own, as a terminal does."""
        return subprocess.Popen(
            [*COMMAND, *map(str, words)],
            env=self._env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def _env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("SLEEPCYCLE")}
        return (
            env | {"SLEEPCYCLE_HOME": str(self.home), "COLUMNS": "200"} | self.settings
        )


def run_folder(cli, run):
    """Return the folder of one run."""
    return cli.home / "runs" / f"{run:06d}"


def wait_for_step(cli, run):
    """Wait until a run's worker has reported a step."""
    progress = run_folder(cli, run) / "progress.jsonl"
    deadline = time.monotonic() + PATIENCE_S
    while not (progress.exists() and progress.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def end(process, number):
    """Send a signal to a whole process group, and return exit code and last words."""
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out + err


def kill(process):
    """Kill one process outright; its children are left alone."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE_S)


@pytest.fixture
def cli(tmp_path):
    """A new home that has nothing in it."""
    made = Cli(tmp_path / "home")
    made.run("init")
    return made


@pytest.fixture
def fed(cli):
    """A home with one lesson pending."""
    cli.run("feed", LESSONS / "capitals.jsonl")
    return cli


@pytest.fixture(scope="session")
def lived_once(tmp_path_factory):
    """A home that has lived one day and one night, made once for all tests."""
    made = Cli(tmp_path_factory.mktemp("lived") / "home")
    made.run("init")
    made.run("feed", LESSONS / "capitals.jsonl")
    made.run("wake")
    made.run("sleep")
    return made


@pytest.fixture
def lived(lived_once, tmp_path):
    """A copy of that home, to do with as a test likes."""
    shutil.copytree(lived_once.home, tmp_path / "home")
    return Cli(tmp_path / "home")


@pytest.fixture
def quiz():
    """One question of the first lesson that is in no training row, and its answer."""
    with (LESSONS / "capitals.questions.jsonl").open() as file:
        row = json.loads(file.readline())
    return row["prompt"], row["answer"]
