"""The command line as a person uses it: one process a command, or a call like it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import nullcontext, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from unittest.mock import patch

import pytest
from filelock import FileLock
from loguru import logger

from sleepcycle.cli import main
from tests.forked import forked_workers

LESSONS = Path(__file__).parents[2] / "examples" / "lessons"
PATIENCE_S = 120.0
COMMAND = [sys.executable, "-c", "from sleepcycle.cli import main; main()"]


def plain_environment():
    """Return the environment without settings, colours and GPUs."""
    colours = {"FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS"}
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SLEEPCYCLE") and name not in colours
    } | {"NO_COLOR": "1", "TERM": "dumb", "CUDA_VISIBLE_DEVICES": ""}


@dataclass
class Cli:
    """Runs commands on one home."""

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    """Environment variables, such as `SLEEPCYCLE__WAKE__RANK`."""

    alone: bool = False
    """Run each command in a process of its own, and not in this one."""

    def run(self, *words, exit_code=0, stdin=None):
        """Run one command; its exit code must be the expected one."""
        run = self._process if self.alone else self._call
        done = run([*map(str, words)], stdin)
        assert done.returncode == exit_code, (done.stdout, done.stderr)
        return done

    def _process(self, words, stdin):
        """Run one command as a shell does."""
        return subprocess.run(
            [*COMMAND, *words],
            env=self._env(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def _call(self, words, stdin):
        """Run one command in this process, which has torch already."""
        out, err, rows = StringIO(), StringIO(), BytesIO((stdin or "").encode())
        heeded = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            with (
                patch.dict(os.environ, self._env(), clear=True),
                patch.object(sys, "argv", ["sleepcycle", *words]),
                patch.object(sys, "stdin", TextIOWrapper(rows)),
                redirect_stdout(out),
                redirect_stderr(err),
                forked_workers(),
                pytest.raises(SystemExit, match=r"^\w*$") as end,
            ):
                main()
        finally:
            logger.remove()
            for number, handler in heeded.items():
                signal.signal(number, handler)
        return subprocess.CompletedProcess(
            words, end.value.code or 0, out.getvalue(), err.getvalue()
        )

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

    def start(self, *words, command=COMMAND):
        """Start a command in a process group of its own, as a terminal does.

        It is forked, as its workers are, but where it shall be alone.
        """
        with nullcontext() if self.alone else forked_workers():
            return subprocess.Popen(
                [*command, *map(str, words)],
                env=self._env(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )

    def _env(self):
        ours = {"SLEEPCYCLE_HOME": str(self.home), "COLUMNS": "200"}
        return plain_environment() | ours | self.settings


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


def copied(once, tmp_path):
    """Return a copy of a home, to do with as a test likes."""
    shutil.copytree(once.home, tmp_path / "home")
    return Cli(tmp_path / "home")


@pytest.fixture(scope="session")
def new_once(tmp_path_factory):
    """A home that has nothing in it, made once for all tests."""
    made = Cli(tmp_path_factory.mktemp("new") / "home", alone=True)
    made.run("init")
    return made


@pytest.fixture
def cli(new_once, tmp_path):
    """A new home that has nothing in it."""
    return copied(new_once, tmp_path)


@pytest.fixture(scope="session")
def fed_once(new_once, tmp_path_factory):
    """A home with one lesson pending, made once for all tests."""
    made = copied(new_once, tmp_path_factory.mktemp("fed"))
    made.run("feed", LESSONS / "capitals.jsonl")
    return made


@pytest.fixture
def fed(fed_once, tmp_path):
    """A home with one lesson pending."""
    return copied(fed_once, tmp_path)


@dataclass(frozen=True)
class Diary:
    """What the commands of one day and one night printed, by their names."""

    home: Path
    fed: dict
    asked: dict
    """What was answered before anything was learned."""

    woken: dict
    status: dict
    """How things stood between the wake and the night."""

    slept: dict


def live_once(home):
    """Make a home that has lived one day and one night, and keep what was printed."""
    made = Cli(home)
    made.run("init")
    prompt, _ = first_question()
    return Diary(
        home=home,
        fed=made.json("feed", LESSONS / "capitals.jsonl"),
        asked=made.json("ask", prompt),
        woken=made.json("wake"),
        status=made.json("status"),
        slept=made.json("sleep"),
    )


@pytest.fixture(scope="session")
def lived_once(tmp_path_factory):
    """A home that has lived one day and one night, made once for all processes."""
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    told = place / "lived.json"
    with FileLock(place / "lived.lock"):
        if not told.exists():
            diary = asdict(live_once(place / "lived-once"))
            told.write_text(json.dumps(diary | {"home": str(diary["home"])}))
    kept = json.loads(told.read_text())
    return Diary(**kept | {"home": Path(kept["home"])})


@pytest.fixture
def lived(lived_once, tmp_path):
    """A copy of that home, to do with as a test likes."""
    return copied(lived_once, tmp_path)


def first_question():
    """Return one question of the first lesson, and its answer."""
    with (LESSONS / "capitals.questions.jsonl").open() as file:
        row = json.loads(file.readline())
    return row["prompt"], row["answer"]


@pytest.fixture
def quiz():
    """One question of the first lesson that is in no training row, and its answer."""
    return first_question()
