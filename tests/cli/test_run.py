"""The service as a process: how it starts, is told to stop, and is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.request import Request, urlopen

import psutil
import pytest

from tests.cli.conftest import COMMAND, LESSONS, PATIENCE_S, kill

READY = re.compile(
    r"ready at (http://127\.0\.0\.1:\d+), home (.+), next night "
    r"\d{4}-\d\d-\d\d \d\d:\d\d"
)
LONG_WAKE = {
    "SLEEPCYCLE__WAKE__MIN_PENDING": "1",
    "SLEEPCYCLE__WAKE__MIN_STEPS": "100000",
    "SLEEPCYCLE__WAKE__PATIENCE": "0",
    "SLEEPCYCLE__FEED__INBOX_QUIET_S": "0.1",
    "SLEEPCYCLE__ENGINE__THREADS": "1",
}


@contextmanager
def running(cli, command=COMMAND):
    """Yield a service that is ready; it is killed if the test leaves it."""
    process = cli.start("run", command=command)
    try:
        line = process.stdout.readline()
        found = READY.fullmatch(line.strip())
        assert found, (line, process.poll() is not None and process.stderr.read())
        assert found[2] == str(cli.home)
        yield process
    finally:
        if process.poll() is None:
            kill(process)
        process.stdout.close()
        process.stderr.close()


def ask(cli, path, method="GET"):
    """Ask the service of a home."""
    address = json.loads((cli.home / "daemon.json").read_text())
    token = (cli.home / "token").read_text()
    headers = {"Authorization": f"Bearer {token}"}
    request = Request(address["url"] + path, method=method, headers=headers)
    with urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def until(found):
    """Wait until a function finds something, and return it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def stop(process, number=signal.SIGTERM):
    """Send one signal, and return the exit code and how long it took."""
    begun = time.monotonic()
    process.send_signal(number)
    code = process.wait(PATIENCE_S)
    return code, time.monotonic() - begun


def worker_of(process):
    """Return the worker that a service has started, if there is one."""
    children = psutil.Process(process.pid).children()
    return next((child for child in children if child.is_running()), None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_that_it_is_ready_and_ends_when_asked(cli, number):
    cli.alone = True
    with running(cli) as process:
        address = json.loads((cli.home / "daemon.json").read_text())
        assert address["pid"] == process.pid
        assert (cli.home / "token").stat().st_mode & 0o777 == 0o600

        code, seconds = stop(process, number)

        assert code == 0
        assert seconds < 5
        assert process.stderr.read() == ""
    assert not (cli.home / "daemon.json").exists()


def test_an_idle_one_is_small_and_loads_no_torch(cli):
    cli.alone = True
    with running(cli) as process:
        ask(cli, "/api/status")

        with open(f"/proc/{process.pid}/maps") as maps:
            assert "libtorch" not in maps.read()
        assert psutil.Process(process.pid).memory_info().rss < 150e6


def test_a_second_one_names_the_first(cli):
    cli.alone = True
    with running(cli) as process:
        done = cli.run("run", exit_code=75)

        assert f"has a service already, process {process.pid}" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert stop(process)[0] == 0


def test_it_needs_a_home(cli):
    cli.home = cli.home / "none"

    assert "no home at" in cli.error("run")


@pytest.mark.parametrize("text", [b"", b"a", b"\xff\xfe"])
def test_it_needs_a_token_that_nobody_guesses(cli, text):
    (cli.home / "token").write_bytes(text)

    assert "; delete it and start the service again" in cli.error("run")
    (cli.home / "token").unlink()


def test_a_token_that_is_deleted_meanwhile_is_told(cli):
    with running(cli) as process:
        (cli.home / "token").unlink()

        assert "expected token in" in cli.json("status")["banner"]
        assert "; delete it and start the service again" in cli.error("pause")
        assert stop(process)[0] == 0


def test_a_killed_one_is_followed_by_the_next(cli):
    with running(cli) as process:
        token = (cli.home / "token").read_text()
        kill(process)
    assert (cli.home / "daemon.json").exists()

    with running(cli) as process:
        assert ask(cli, "/api/status")["daemon"]["pid"] == process.pid
        assert (cli.home / "token").read_text() == token
        assert stop(process)[0] == 0


class TestReload:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[wake]\nrnk = 3\n", "unknown setting wake.rnk; did you mean wake.rank?"),
            ("a = " + "9" * 4_301, "config.toml: expected TOML, got: "),
            ("a = " + "[" * 5_000, "config.toml: expected TOML, got: "),
        ],
        ids=["key", "number", "brackets"],
    )
    def test_wrong_settings_are_told_and_leave_the_old(self, cli, text, said):
        good = (cli.home / "config.toml").read_text()
        with running(cli) as process:
            (cli.home / "config.toml").write_text(text)
            process.send_signal(signal.SIGHUP)

            banner = until(lambda: ask(cli, "/api/status")["banner"])

            assert said in banner
            (cli.home / "config.toml").write_text(good)
            process.send_signal(signal.SIGHUP)
            until(lambda: ask(cli, "/api/status")["banner"] is None)
            assert stop(process)[0] == 0
            assert "the settings stay as they are" in process.stderr.read()

    def test_a_new_hour_is_that_of_the_next_night(self, cli):
        config = cli.home / "config.toml"
        with running(cli) as process:
            text = config.read_text().replace('at = "03:00"', 'at = "04:30"')
            config.write_text(text.replace('base = "builtin:nano"', 'base = "other"'))
            process.send_signal(signal.SIGHUP)

            until(lambda: ":30:00" in ask(cli, "/api/status")["next_night"])

            log = cli.home / "logs" / "sleepcycle.log"
            until(lambda: "model.base changed, which needs" in log.read_text())
            assert stop(process)[0] == 0


class TestWaking:
    @pytest.fixture
    def awake(self, cli):
        """A service that learns what was dropped into its inbox, for a long time."""
        cli.settings = LONG_WAKE
        with running(cli) as process:
            lesson = (LESSONS / "capitals.jsonl").read_bytes()
            (cli.home / "inbox" / "capitals.jsonl").write_bytes(lesson)
            until(lambda: worker_of(process))
            yield process

    def test_a_wake_is_broken_off_and_leaves_no_worker(self, cli, awake):
        until(lambda: ask(cli, "/api/status")["service"]["progress"])
        worker = worker_of(awake)

        code, seconds = stop(awake)

        assert code == 0
        assert seconds < 30
        assert not worker.is_running()
        [run] = cli.json("runs", "list")
        assert run["state"] in {"paused", "cancelled"}

    def test_a_second_signal_ends_it_at_once(self, cli, awake):
        worker = worker_of(awake)
        worker.suspend()  # so that it cannot break off
        awake.send_signal(signal.SIGTERM)

        while awake.poll() is None:
            awake.send_signal(signal.SIGINT)
            time.sleep(0.1)

        assert awake.returncode == 1
        assert not psutil.pid_exists(worker.pid) or worker.status() == "zombie"
        with running(cli):
            [run] = cli.json("runs", "list")
            assert run["state"] in {"paused", "failed", "running"}

    def test_a_killed_one_takes_its_worker_along(self, cli, awake):
        worker = worker_of(awake)

        os.kill(awake.pid, signal.SIGKILL)
        awake.wait(PATIENCE_S)

        until(lambda: not worker.is_running() or worker.status() == "zombie")


FLOOD = """
import resource, socket, sys
wanted, port = int(sys.argv[1]), int(sys.argv[2])
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
held = []
for _ in range(wanted):
    held.append(socket.socket())
    held[-1].setblocking(False)
    held[-1].connect_ex(("127.0.0.1", port))
print("held", flush=True)
sys.stdin.read()
"""


class TestFlood:
    @pytest.fixture
    def flooded(self, cli):
        """A service with few file handles, and far more who connect and say nothing."""
        cli.settings = LONG_WAKE
        few = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh", *COMMAND]
        with running(cli, few) as process:
            port = json.loads((cli.home / "daemon.json").read_text())["port"]
            words = [sys.executable, "-c", FLOOD, "1100", str(port)]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            with subprocess.Popen(words, **pipes) as flood:
                assert flood.stdout.readline() == b"held\n"
                yield process
                flood.kill()

    def test_it_answers_feeds_and_learns_all_the_same(self, cli, flooded):
        lesson = (LESSONS / "capitals.jsonl").read_bytes()
        (cli.home / "inbox" / "capitals.jsonl").write_bytes(lesson)

        assert ask(cli, "/livez") == {"status": "ok"}
        assert cli.json("status")["daemon"]["pid"] == flooded.pid
        until(lambda: worker_of(flooded))
        assert psutil.Process(flooded.pid).num_fds() < 64
        flooded.kill()
        assert flooded.stderr.read() == ""
