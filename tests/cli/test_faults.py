"""What stops a run, from the outside and the inside, and what stands afterwards."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from sleepcycle.files.runfolder import RunFolder
from tests.cli.conftest import PATIENCE_S, end, kill, run_folder, wait_for_step

LONG = {
    "SLEEPCYCLE__WAKE__EPOCHS": "1000",
    "SLEEPCYCLE__WAKE__PATIENCE": "0",
    "SLEEPCYCLE__WAKE__CHECKPOINT_EVERY": "1000000",
}
KEPT = LONG | {
    "SLEEPCYCLE__WAKE__MAX_STEPS": "40",
    "SLEEPCYCLE__WAKE__CHECKPOINT_EVERY": "5",
}
HEARD = """
import json, signal, sys
for number in (signal.SIGINT, signal.SIGTERM):
    ignored = number in {ignored}
    signal.signal(number, signal.SIG_IGN if ignored else signal.SIG_DFL)
from sleepcycle.cli import main
from sleepcycle.store.interrupt import stop
sys.argv[1:] = ["--help"]
try:
    main()
except SystemExit:
    pass
asked = signal.SIGINT, signal.SIGTERM
print(json.dumps([number for number in asked if signal.getsignal(number) is stop]))
"""


def worker_of(process):
    """Return the worker that a command has started."""
    [worker] = psutil.Process(process.pid).children()
    return worker


def is_over(worker):
    """Return whether a process is gone, or would be if somebody asked after it."""
    return not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def wait_for_the_end(worker):
    """Wait until a worker whose parent is gone has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_over(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def steps_told(cli):
    """Return the steps of training that run 1 told of, again where it went back."""
    lines = (run_folder(cli, 1) / "progress.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    return [progress["step"] for progress in told if progress["loss"] is not None]


@pytest.fixture
def waking(fed, request):
    """A home whose wake is on, and would be for a long time; `alone` for a real one."""
    fed.settings = LONG
    fed.alone = getattr(request, "param", None) == "alone"
    process = fed.start("wake")
    wait_for_step(fed, run=1)
    fed.settings = {"SLEEPCYCLE__WAKE__MAX_STEPS": "2"}
    fed.alone = False
    return fed, process, worker_of(process)


@pytest.fixture
def kept(fed):
    """A home whose wake is on, and has a checkpoint."""
    fed.settings = KEPT
    process = fed.start("wake")
    deadline = time.monotonic() + PATIENCE_S
    while not RunFolder(run_folder(fed, 1)).checkpoint():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return fed, process, worker_of(process)


@pytest.mark.parametrize(
    ("waking", "number"),
    [("alone", signal.SIGINT), ("forked", signal.SIGTERM)],
    indirect=["waking"],
)
def test_a_wake_can_be_stopped(waking, number):
    cli, process, worker = waking

    exit_code, words = end(process, number)

    assert exit_code == 1
    assert "v0 is still live, and 384 examples are pending again" in words
    assert cli.json("status")["pending"] == 384
    assert cli.json("runs", "list")[0]["state"] == "cancelled"
    assert is_over(worker)
    assert cli.json("wake")["examples"] == 384


@pytest.mark.parametrize("waking", ["alone"], indirect=True)
def test_a_killed_wake_is_undone_by_the_next(waking):
    """
    The worker ends with its parent, and nothing needs a human hand.
    """
    cli, process, worker = waking
    kill(process)
    wait_for_the_end(worker)
    assert cli.json("status")["claimed"] == 384

    assert cli.json("wake")["examples"] == 384
    assert [run["state"] for run in cli.json("runs", "list")] == ["done", "failed"]


def test_a_killed_wake_goes_on_from_its_checkpoint(kept):
    cli, process, worker = kept
    kill(process)
    wait_for_the_end(worker)

    wake = cli.json("wake")

    assert (wake["run"], wake["examples"]) == (1, 384)
    assert [run["state"] for run in cli.json("runs", "list")] == ["done"]
    told = steps_told(cli)
    assert (told[0], told[-1], told.count(1)) == (1, 40, 1)


def test_so_does_one_whose_worker_was_killed(kept):
    cli, process, worker = kept
    os.kill(worker.pid, signal.SIGKILL)
    _, words = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 1
    assert "SIGKILL" in words
    assert "run 1 was paused at step" in words
    status = cli.json("status")
    assert (status["pending"], status["claimed"]) == (0, 384)
    assert cli.json("wake")["run"] == 1


def test_a_killed_worker_fails_its_run(waking):
    """
    Where it had no checkpoint yet.
    """
    cli, process, worker = waking
    os.kill(worker.pid, signal.SIGKILL)
    _, words = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 1
    assert "SIGKILL" in words
    assert cli.json("status")["pending"] == 384


def test_only_one_run_at_a_time(waking):
    cli, process, _ = waking

    assert "is in use" in cli.error("wake")
    assert "is in use" in cli.error("rollback", "v0")
    assert cli.json("status")["state"] == "wake"
    end(process, signal.SIGINT)


def test_a_night_can_be_stopped(lived):
    lived.run("feed", "-", stdin='{"text": "a b c d"}\n{"text": "e f g h"}\n')
    lived.settings = {"SLEEPCYCLE__WAKE__MAX_STEPS": "2"}
    lived.run("wake")
    process = lived.start("sleep")
    deadline = time.monotonic() + PATIENCE_S
    while not run_folder(lived, 4).exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)

    exit_code, words = end(process, signal.SIGINT)

    assert exit_code == 1
    assert "v2 is still live" in words
    assert lived.json("sleep")["version"] == "v4"


@pytest.mark.parametrize("ignored", [set(), {signal.SIGINT}])
def test_a_command_in_the_background_goes_on_ignoring_ctrl_c(ignored):
    """
    As the shell of a script wants it, which is also at the terminal.
    """
    done = subprocess.run(
        [sys.executable, "-c", HEARD.format(ignored=[int(n) for n in ignored])],
        capture_output=True,
        text=True,
        check=True,
    )

    heard = {signal.SIGINT, signal.SIGTERM} - ignored
    assert json.loads(done.stdout.splitlines()[-1]) == sorted(heard)


def test_a_wake_that_diverges_makes_no_version(fed):
    fed.settings = {"SLEEPCYCLE__WAKE__LR": "1e9"}

    line = fed.error("wake")

    assert "training diverged at step" in line
    assert "try a lower wake.lr" in line
    assert fed.json("status")["pending"] == 384
    assert len(fed.json("versions", "list")) == 1


def test_a_night_that_forgets_too_much_is_rejected(lived):
    """
    The day teaches noise, and a gate that allows no rise says which number it was.
    """
    lived.run("feed", "-", stdin="".join(f'{{"text": "x{i}"}}\n' for i in range(60)))
    lived.run("wake")
    lived.settings = {
        "SLEEPCYCLE__SLEEP__SVD__RANK": "1",
        "SLEEPCYCLE__GATE__MAX_RISE": "0",
        "SLEEPCYCLE__GATE__MEND": "false",
    }

    night = lived.json("sleep")

    assert not night["accepted"]
    assert "held-out loss of known batches rose" in night["verdict"]["reason"]
    status = lived.json("status")
    assert (status["live"], status["day"]) == ("v2", "v3")

    lived.settings = {
        "SLEEPCYCLE__GATE__MAX_RISE": "100",
        "SLEEPCYCLE__GATE__MAX_GENERAL_RISE": "100",
        "SLEEPCYCLE__GATE__MAX_AGREEMENT_LOSS": "1",
    }
    assert lived.json("sleep")["accepted"]
