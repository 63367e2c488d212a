"""The command line beside a running service: the same words, the same answers."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sleepcycle.files.paths import HomePaths
from sleepcycle.server.client import reach
from tests.cli.conftest import LESSONS, PATIENCE_S, Cli, end
from tests.cli.test_light import HEAVY, PROBE

QUICK = {
    "SLEEPCYCLE__WAKE__MAX_STEPS": "3",
    "SLEEPCYCLE__WAKE__MIN_STEPS": "1",
    "SLEEPCYCLE__WAKE__MIN_PENDING": "100000",  # nothing begins by itself
    "SLEEPCYCLE__ENGINE__THREADS": "1",
}
LONG = QUICK | {
    "SLEEPCYCLE__WAKE__MAX_STEPS": "0",
    "SLEEPCYCLE__WAKE__EPOCHS": "10000",
    "SLEEPCYCLE__WAKE__PATIENCE": "0",
}
ROWS = 24


def start(cli):
    """Start the service of a home, and return it once it is ready."""
    service = cli.start("run")
    line = service.stdout.readline()
    assert line.startswith("ready at http://127.0.0.1:"), service.communicate()
    return service


def stop(service):
    """End the service as systemd does."""
    code, words = end(service, signal.SIGTERM)
    assert code == 0, words


def feed(cli):
    """Feed a few examples."""
    with (LESSONS / "capitals.jsonl").open() as file:
        rows = "".join(next(file) for _ in range(ROWS))
    cli.json("feed", "-", stdin=rows)


def pid_of(cli):
    """Return the service's process."""
    return json.loads((cli.home / "daemon.json").read_text())["pid"]


def wait_for_run(cli):
    """Wait until the service's run has reported a step, and return its number."""
    deadline = time.monotonic() + PATIENCE_S
    for number in iter(lambda: _on(cli), None):
        if number:
            return number
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _on(cli):
    """Return the number of the run that has reported a step, or 0."""
    for folder in sorted((cli.home / "runs").iterdir()):
        progress = folder / "progress.jsonl"
        if progress.exists() and '"loss": ' in progress.read_text():
            return int(folder.name)
    return 0


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """A service that has nothing to do, for tests that only look."""
    cli = Cli(tmp_path_factory.mktemp("idle") / "home", dict(QUICK))
    cli.run("init")
    service = start(cli)
    yield cli
    stop(service)


@pytest.fixture
def quick(cli):
    """A service whose wakes are short, with a few examples pending."""
    cli.settings = dict(QUICK)
    feed(cli)
    service = start(cli)
    yield cli
    stop(service)


@pytest.fixture
def waking(cli):
    """A home whose service wakes, and would for a long time; and who asked for it."""
    cli.settings = dict(LONG)
    feed(cli)
    service = start(cli)
    asked = cli.start("wake", "--json")
    yield cli, asked, wait_for_run(cli)
    if asked.poll() is None:
        end(asked, signal.SIGKILL)
    stop(service)


class TestStatus:
    def test_it_names_the_service_and_the_next_night(self, idle):
        status = idle.json("status")

        assert status["daemon"]["pid"] == pid_of(idle)
        assert status["daemon"]["url"].startswith("http://127.0.0.1:")
        assert status["next_night"] > "20"
        assert (status["paused"], status["banner"]) == (False, None)
        assert "service" not in status
        assert idle.run("status").stdout.startswith("IDLE · next sleep ")

    def test_it_loads_nothing_heavy_for_it(self, idle):
        words = ["--home", str(idle.home), "status"]
        done = subprocess.run(
            [sys.executable, "-c", PROBE.format(words=words)],
            capture_output=True,
            text=True,
            check=True,
        )

        heavy = HEAVY | {"fastapi", "uvicorn", "apscheduler"}
        modules = set(json.loads(done.stdout.splitlines()[-1]))
        assert "sleepcycle.server.client" in modules
        assert sorted(modules & heavy) == []

    def test_it_is_watched_until_ctrl_c(self, idle):
        watching = idle.start("status", "--watch")
        time.sleep(1.5)

        code, words = end(watching, signal.SIGINT)

        assert code == 0
        assert "IDLE · next sleep" in words
        assert "Traceback" not in words

    def test_watching_prints_no_json(self, idle):
        assert "got both" in idle.run("status", "--watch", "--json", exit_code=2).stderr

    def test_a_service_that_hangs_is_named_and_the_books_are_read(self, idle):
        os.kill(pid_of(idle), signal.SIGSTOP)
        try:
            status = idle.json("status")
            refused = idle.error("wake")
        finally:
            os.kill(pid_of(idle), signal.SIGCONT)

        assert f"the service (pid {pid_of(idle)}) at http" in status["banner"]
        assert "does not answer" in status["banner"]
        assert (status["daemon"], status["live"]) == (None, "v0")
        assert f"stop it: kill {pid_of(idle)}" in refused


class TestOwner:
    def test_the_database_is_not_upgraded_under_a_service(self, idle):
        line = idle.error("db", "upgrade")

        assert f"the service (pid {pid_of(idle)}) owns it" in line
        assert f"stop it: kill {pid_of(idle)}" in line

    def test_what_a_killed_service_left_stops_nobody(self, cli):
        cli.settings = dict(QUICK)
        service = start(cli)
        service.kill()
        service.communicate(timeout=PATIENCE_S)
        assert (cli.home / "daemon.json").exists()

        assert cli.json("status")["daemon"] is None
        assert "nothing to learn" in cli.error("wake")

    def test_events_go_on_behind_the_last_one_that_came_before_it_was_killed(self, cli):
        cli.settings = dict(QUICK)
        service = start(cli)
        heard = reach(HomePaths(cli.home)).events(after=0)
        cli.run("pause")
        first = next(one for one in heard if one.name == "journal")
        service.kill()
        service.communicate(timeout=PATIENCE_S)
        heard.close()
        cli.run("resume")
        service = start(cli)

        second = next(
            one
            for one in reach(HomePaths(cli.home)).events(after=first.entry)
            if one.name == "journal"
        )

        stop(service)
        assert [one.data["action"] for one in (first, second)] == ["pause", "resume"]


class TestPause:
    def test_the_service_is_paused_and_goes_on(self, idle):
        assert idle.run("pause").stdout == "paused until: sleepcycle resume\n"
        assert idle.json("status")["paused"] is True
        assert idle.run("status").stdout.startswith("PAUSED · 0 pending")
        assert idle.run("resume").stdout == "resumed\n"
        assert idle.json("status")["paused"] is False

    def test_a_home_without_a_service_is_paused_for_the_next(self, cli):
        assert "no service is running" in cli.run("pause").stdout
        assert cli.json("status")["paused"] is True
        cli.settings = dict(QUICK)
        service = start(cli)
        assert cli.run("status").stdout.startswith("PAUSED")
        stop(service)

        assert "no service is running" in cli.run("resume").stdout
        assert cli.json("status")["paused"] is False


class TestThroughTheService:
    def test_a_day_is_told_as_without_one(self, quick, tmp_path):
        """
        The service computes, and the same keys come out.
        """
        wake = quick.json("wake")
        assert (wake["run"], wake["version"]) == (1, "v1")
        assert wake["examples"] == quick.json("status")["known"] > 0
        assert wake.keys() >= {"tokens", "loss_first", "loss_last", "verdict"}
        assert quick.json("runs", "list")[0]["pid"] == pid_of(quick)

        assert quick.json("versions", "promote", "v1")["live"] == "v1"
        back = quick.json("rollback", "--requeue")
        assert (back["live"], back["previous"]) == ("v0", "v1")
        assert back["requeued"] == wake["examples"]
        assert "v9" in quick.error("rollback", "v9")

        [sealed] = (quick.home / "versions").glob("v0001-*")
        found = quick.json("versions", "import", sealed)
        assert found == {
            "version": "v2",
            "rank": 16,
            "made_for": "builtin:nano",
            "warning": None,
        }
        assert "adapter_config.json" in quick.error("versions", "import", tmp_path)

    def test_a_run_that_is_refused_says_why_in_one_line(self, idle):
        assert "nothing to learn" in idle.error("wake")
        assert "nothing to consolidate" in idle.error("sleep")


class TestRuns:
    def test_a_run_is_cancelled_by_its_number(self, waking):
        """
        Who asked for it is told, and who follows its log sees the end.
        """
        cli, asked, run = waking
        following = cli.start("runs", "logs", str(run), "-f")
        assert following.stdout.readline().startswith("wake 1/")
        assert "is on; wait for it" in cli.error("rollback", "v0")

        assert "was asked to stop" in cli.run("runs", "cancel", str(run)).stdout

        _, words = asked.communicate(timeout=PATIENCE_S)
        assert asked.returncode == 1
        assert "v0 is still live" in words
        following.communicate(timeout=PATIENCE_S)
        assert following.returncode == 0
        assert cli.json("runs", "show", str(run))["run"]["state"] == "cancelled"
        assert cli.json("status")["claimed"] == 0

    def test_ctrl_c_cancels_it_as_without_a_service(self, waking):
        cli, asked, run = waking

        code, words = end(asked, signal.SIGINT)

        assert code == 1
        assert "v0 is still live" in words
        assert cli.json("runs", "show", str(run))["run"]["state"] == "cancelled"

    def test_a_run_that_is_over_cannot_be_cancelled(self, idle):
        assert "no run 9" in idle.error("runs", "cancel", "9")
