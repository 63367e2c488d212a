"""No command, and no process that one starts, runs a file of the current folder."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sleepcycle.files.child_process import Child
from sleepcycle.files.import_path import safe_environment
from tests.cli.conftest import LESSONS, PATIENCE_S, Cli, run_folder
from tests.cli.test_run import running, until
from tests.harnesses import FAKES, needs_none, write_task

MARK = "SHADOW_RAN"
SHADOWS = "random", "peft", "shelve", "statistics", "transformers", "uvicorn"
AS_MODULE = [sys.executable, "-m", "sleepcycle"]
SHORT = {"SLEEPCYCLE__WAKE__MAX_STEPS": "2", "SLEEPCYCLE__WAKE__MIN_STEPS": "1"}


@dataclass
class Beside(Cli):
    """Runs commands in the folder beside the home, where shadows lie."""

    @property
    def place(self):
        return self.home.parent

    def _process(self, words, stdin):
        return subprocess.run(
            [*AS_MODULE, *words],
            env=self._env(),
            cwd=self.place,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def start(self, *words, command=()):
        return subprocess.Popen(
            [*AS_MODULE, *map(str, words)],
            env=self._env(),
            cwd=self.place,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def shadow(place):
    """Write files that leave a mark where they are imported."""
    for name in SHADOWS:
        (place / f"{name}.py").write_text(f"open({MARK!r}, 'a').write({name!r})\n")


def last_run(cli):
    """Return the number of a home's last run, and its state."""
    run = cli.json("runs", "list")[0]
    return run["id"], run["state"]


@pytest.fixture
def beside(lived):
    """A home that has lived, with shadows beside it and an empty entry in the path."""
    shadow(lived.home.parent)
    settings = SHORT | {"PYTHONPATH": f":{FAKES}:"}
    return Beside(lived.home, settings=settings, alone=True)


def test_a_wake_runs_none(beside):
    beside.run("feed", LESSONS / "dates.jsonl")

    beside.run("wake")

    assert not (beside.place / MARK).exists()


@needs_none
def test_the_harness_runs_none(beside):
    write_task(beside.place / "tasks")

    beside.run("evaluate", "--harness", beside.place / "tasks")

    assert not (beside.place / MARK).exists()


def test_the_service_and_its_workers_run_none(beside):
    """
    Nor does the service load torch, whatever they do for it.
    """
    beside.run("feed", LESSONS / "dates.jsonl")
    beside.run("versions", "export", "v2", beside.place / "out")

    looking = Cli(beside.home)
    with running(beside) as service:  # enough is pending for a wake
        until(lambda: last_run(looking) == (3, "done"))
        beside.run("versions", "import", beside.place / "out")
        maps = Path(f"/proc/{service.pid}/maps")
        assert not maps.exists() or "libtorch" not in maps.read_text()

    assert run_folder(beside, 3).joinpath("report.json").exists()
    assert not (beside.place / MARK).exists()


@pytest.mark.parametrize("words", [["-c"], ["-m", "shown"]])
def test_a_child_has_not_the_current_folder_nor_what_it_starts(tmp_path, words):
    """
    Python's own `spawn` starts a process with `-c`, which looks there first of all.
    """
    code = "import os, sys; print(os.getcwd() in sys.path or '' in sys.path)"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "shown.py").write_text(code)
    words = words if words[0] == "-m" else [*words, code]
    again = f"import subprocess, sys; subprocess.run([sys.executable, *{words!r}])"
    environment = {"PYTHONPATH": f":{tmp_path / 'code'}:"}

    for started in (words, ["-c", again]):
        log = tmp_path / started[0] / "log"
        log.parent.mkdir(exist_ok=True)
        with Child(started, environment, log=log, folder=tmp_path) as child:
            child.wait(PATIENCE_S)
        assert log.read_text().split() == ["False"]
        log.unlink()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({"PYTHONPATH": ""}, {}),
        ({"PYTHONPATH": ":"}, {}),
        ({"PYTHONPATH": ":/a::/b:"}, {"PYTHONPATH": "/a:/b"}),
    ],
)
def test_empty_entries_of_the_path_are_left_out(before, after):
    assert safe_environment(before) == after | {"PYTHONSAFEPATH": "1"}


def test_the_command_is_the_module_which_leaves_the_folder_first():
    lines = Path("sleepcycle/__main__.py").read_text().splitlines()
    code = [line for line in lines if line and not line.startswith(('"""', "#"))]

    assert code[:2] == [
        "from sleepcycle.files.import_path import leave_current_folder",
        "leave_current_folder()  # before any other import may find a file of that "
        "folder",
    ]
    assert (
        'sleepcycle = "sleepcycle.__main__:main"' in Path("pyproject.toml").read_text()
    )
