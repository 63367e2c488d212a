"""What the service's life is made of: settings, address, bell, watchdog, workers."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from sleepcycle.daemon import main
from sleepcycle.daemon.reload import ReloadableHome, fixed, renewed
from sleepcycle.daemon.signals import DISK, SignalQueue
from sleepcycle.daemon.systemd_notify import notify, watchdog_s
from sleepcycle.errors import DISK_FAILED, ConfigError, DiskError, ServiceError
from sleepcycle.files import process_identity
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.address import (
    Address,
    find_service,
    forget_address,
    pid_of,
    read_address,
    write_address,
)
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.server.server import start
from sleepcycle.settings.config import Settings

PATIENCE_S = 10.0


@pytest.fixture
def paths(tmp_path):
    create_home(tmp_path / "home")
    return HomePaths(tmp_path / "home")


@pytest.fixture
def signals():
    made = SignalQueue()
    yield made
    os.close(made._read_end)
    os.close(made._write_end)


class FakeServer:
    """Serves nobody."""

    port, url = 7, "http://127.0.0.1:7"

    def __init__(self):
        self.stopped = False

    def stop(self, patience_s):
        assert 0 < patience_s < 30
        self.stopped = True


class TestSettings:
    def test_those_of_the_next_run_are_renewed_and_others_wait(self):
        old = Settings()
        new = Settings(
            model={"base": "other"},
            wake={"rank": 8},
            sleep={"at": "04:00"},
            engine={"backoff_s": 1.0, "device": "cpu"},
            serve={"port": 99},
            capture={"mode": "ask"},
            publish={"target": [{"kind": "folder", "name": "a", "path": "/srv"}]},
            log={"level": "DEBUG", "keep": 1},
        )

        now = renewed(old, new)

        assert (now.wake, now.sleep) == (new.wake, new.sleep)
        assert (now.capture, now.publish) == (new.capture, new.publish)
        assert (now.engine.backoff_s, now.log.level) == (1.0, "DEBUG")
        assert (now.model, now.serve) == (old.model, old.serve)
        assert (now.engine.device, now.log.keep) == (old.engine.device, old.log.keep)
        waiting = ["model.base", "serve.port", "engine.device", "log.keep"]
        assert sorted(fixed(old, new)) == sorted(waiting)

    def test_those_of_a_file_that_is_gone_are_kept(self, paths):
        kept = Settings(wake={"rank": 8})
        reloadable = ReloadableHome(paths, kept)
        paths.config.unlink()

        with pytest.raises(ConfigError, match=r"config\.toml, got no file; put it"):
            reloadable.reload()

        assert reloadable.settings == kept

    def test_wrong_ones_change_nothing(self, paths):
        reloadable = ReloadableHome(paths, Settings())
        paths.config.write_text("[wake]\nrank = 0\n")

        with pytest.raises(ConfigError, match=r"setting wake\.rank"):
            reloadable.reload()

        assert reloadable.settings == Settings()


class TestAddress:
    def test_a_live_process_is_named(self, paths):
        write_address(paths, 7, "http://127.0.0.1:7")

        assert pid_of(paths) == os.getpid()
        written = json.loads(paths.daemon.read_text())
        assert (written["port"], written["url"]) == (7, "http://127.0.0.1:7")
        forget_address(paths)
        assert pid_of(paths, patience_s=0) is None

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"pid": 1, "started": "a past boot 12"}']
    )
    def test_what_a_dead_one_left_names_nobody(self, paths, text):
        paths.daemon.write_text(text)

        assert pid_of(paths, patience_s=0) is None

    def test_what_a_dead_one_left_can_be_read(self, paths):
        text = '{"pid": 1, "started": "a past boot 12", "url": "http://[::1]:7"}'
        paths.daemon.write_text(text)

        assert read_address(paths) == Address(1, "a past boot 12", "http://[::1]:7")
        assert find_service(paths) is None

    def test_no_file_is_no_address(self, paths):
        assert read_address(paths) is None
        assert find_service(paths) is None

    @pytest.mark.parametrize(
        "torn",
        [
            b"",
            b'{"pid": 1, "sta',
            b"null",
            b"[1]",
            b"\xff\xfe",
            b'{"pid": 1e999, "started": "x", "url": "y"}',
            b'{"pid": null, "started": "x", "url": "y"}',
            b'{"pid": 1, "url": "y"}',
            b"[" * 100_000,
        ],
        ids=range(9),
    )
    def test_a_torn_file_is_an_error_and_names_nobody(self, paths, torn):
        paths.daemon.write_bytes(torn)

        with pytest.raises(ServiceError, match=r"expected daemon\.json in .* got: "):
            read_address(paths)
        assert find_service(paths) is None


class TestBell:
    def test_signals_ring_in_their_order(self, signals):
        before = signal.getsignal(signal.SIGINT)
        with signals.installed():
            os.kill(os.getpid(), signal.SIGHUP)
            heard = signals.wait(PATIENCE_S)
            os.kill(os.getpid(), signal.SIGTERM)
            heard += signals.wait(PATIENCE_S)

        assert heard == bytes([signal.SIGHUP, signal.SIGTERM])
        assert signal.getsignal(signal.SIGINT) is before

    def test_another_thread_may_ring(self, signals):
        threading.Thread(target=signals.put, args=(DISK,)).start()

        assert signals.wait(PATIENCE_S) == bytes([DISK])
        assert signals.wait(0.0) == b""


class TestNotify:
    def test_systemd_hears_each_line(self, tmp_path, monkeypatch):
        path = str(tmp_path / "notify")
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.bind(path)
            notify("READY=1", "STATUS=idle")

            assert channel.recv(100) == b"READY=1\nSTATUS=idle"

    @pytest.mark.parametrize("name", ["", "/nowhere/notify"])
    def test_nobody_need_listen(self, monkeypatch, name):
        monkeypatch.setenv("NOTIFY_SOCKET", name)

        notify("READY=1")

    @pytest.mark.parametrize(
        ("usec", "pid", "wanted"),
        [
            ("60000000", None, 30.0),
            ("60000000", "1", None),
            ("", None, None),
            ("0", None, None),
        ],
    )
    def test_the_watchdog_is_fed_twice_in_its_time(
        self, monkeypatch, usec, pid, wanted
    ):
        monkeypatch.setenv("WATCHDOG_USEC", usec)
        monkeypatch.setenv("WATCHDOG_PID", pid or str(os.getpid()))

        assert watchdog_s() == wanted


def refused(code):
    """Return what the file layer raises where the system refuses."""
    fault = DiskError("expected to write, got: no")
    fault.errno = code
    return fault


@contextmanager
def held(paths):
    """Let another process hold a home, until its input ends."""
    hold = (
        "import sys; from pathlib import Path\n"
        "from sleepcycle.files.paths import HomePaths\n"
        "from sleepcycle.home.lock import owned\n"
        f"with owned(HomePaths(Path({str(paths.root)!r}))):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", hold]
    with subprocess.Popen(words, stdin=pipe, stdout=pipe) as holder:
        assert holder.stdout.readline() == b"held\n"
        yield holder
        holder.stdin.close()


class TestServe:
    def serve(self, paths, when_ready):
        """Live once; return the exit code, the server and what was announced."""
        server, said = FakeServer(), []

        def start(scheduler, token, paths, settings):
            self.scheduler = scheduler
            return server

        def announce(line):
            said.append(line)
            assert pid_of(paths) == os.getpid()
            when_ready()

        code = main.serve(paths.root, start, announce)
        assert server.stopped
        assert paths.daemon.exists() == (code == DISK_FAILED)
        return code, said

    def test_it_ends_when_it_is_told(self, paths):
        code, [said] = self.serve(paths, lambda: os.kill(os.getpid(), signal.SIGTERM))

        assert code == 0
        assert said.startswith(
            f"ready at http://127.0.0.1:7, home {paths.root}, next night "
        )

    def test_it_looks_after_its_targets(self, paths, tmp_path):
        table = f"kind = 'folder'\nname = 'there'\npath = '{tmp_path}/there'\n"
        paths.config.write_text(f"[[publish.target]]\n{table}")
        seen = set()

        def look():
            deadline = time.monotonic() + PATIENCE_S
            while "in_sync" not in seen and time.monotonic() < deadline:
                seen.update(each.state for each in self.scheduler.state().targets)
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        self.serve(paths, look)

        assert "in_sync" in seen

    def test_a_disk_that_failed_ends_it(self, paths):
        """
        Whoever meets it, such as a request, says so.
        """
        fault = DiskError("expected to flush, got: no")

        code, _ = self.serve(paths, lambda: self.scheduler.fail(fault))

        assert code == 74
        assert "the service ends" in paths.log.read_text()

    def test_a_request_that_meets_it_ends_it(self, paths):
        """
        What was asked is answered first.
        """
        codes = []

        def announce(line):
            paths.staging.rmdir()
            paths.staging.touch()  # a folder cannot be made here
            address = json.loads(paths.daemon.read_text())
            request = Request(
                f"{address['url']}/api/rollback",
                data=b'{"version": "v0"}',
                headers={
                    "Authorization": f"Bearer {paths.token.read_text()}",
                    "Content-Type": "application/json",
                },
            )
            with pytest.raises(HTTPError, match="409") as refused:
                urlopen(request, timeout=PATIENCE_S)
            codes.append(json.load(refused.value)["error"])

        assert main.serve(paths.root, start, announce) == 74
        assert codes == ["DiskError"]

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EMFILE, errno.EACCES])
    def test_one_that_only_refuses_does_not(self, paths, code):
        def fill():
            self.scheduler.fail(refused(code))
            os.kill(os.getpid(), signal.SIGTERM)

        assert self.serve(paths, fill)[0] == 0

    @pytest.mark.parametrize(
        ("code", "ended"), [(errno.ENOSPC, 1), (errno.EACCES, 1), (errno.EIO, 74)]
    )
    def test_a_start_that_the_disk_refused_may_be_tried_again(self, paths, code, ended):
        def start(*parts):
            raise refused(code)

        assert main.serve(paths.root, start, None) == ended
        assert "expected to write, got: no" in paths.log.read_text()

    def test_a_lock_that_passes_is_waited_for(self, paths):
        """
        As of a command that was given while the service started again.
        """
        with held(paths) as holder:
            threading.Timer(0.3, holder.stdin.close).start()

            code, _ = self.serve(paths, lambda: os.kill(os.getpid(), signal.SIGTERM))

        assert code == 0

    def test_another_service_is_named_at_once(self, paths):
        with held(paths) as holder:
            started, url = process_identity.started(holder.pid), "http://127.0.0.1:9"
            fields = {"pid": holder.pid, "started": started, "url": url}
            paths.daemon.write_text(json.dumps(fields))
            began = time.monotonic()

            assert main.serve(paths.root, None, None) == 75

        assert time.monotonic() - began < main.TAKEN_S
        assert f"a service already, process {holder.pid}" in paths.log.read_text()

    def test_a_home_that_is_in_use_is_left_alone(self, paths, monkeypatch):
        """
        A command holds it, so no service can be named.
        """
        monkeypatch.setattr(main, "TAKEN_S", 0.2)
        with held(paths):
            code = main.serve(paths.root, None, None)

        assert code == 75
        assert "another sleepcycle process" in paths.log.read_text()

    def test_a_tick_that_does_not_end_is_no_sign_of_life(
        self, paths, tmp_path, monkeypatch
    ):
        monkeypatch.setattr(main, "HUNG_S", 0.5)
        monkeypatch.setenv("WATCHDOG_USEC", "40000")
        path = str(tmp_path / "notify")
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        ends = threading.Event()
        told = []

        def listen():
            while not told or not told[-1].startswith(b"STATUS"):
                told.append(channel.recv(1000))
            os.kill(os.getpid(), signal.SIGTERM)

        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.bind(path)
            channel.settimeout(PATIENCE_S)
            listening = threading.Thread(target=listen)

            def hang():
                self.scheduler.consider = ends.wait
                listening.start()

            self.serve(paths, hang)
            listening.join(PATIENCE_S)
            ends.set()

        assert told[0].startswith(b"READY=1")
        assert told[1].startswith(b"WATCHDOG=1")

    def test_it_ends_in_time_whatever_hangs(self, paths, monkeypatch):
        """
        Its parts share one limit, and past it the process is ended.
        """
        died = threading.Event()
        monkeypatch.setattr(main, "STOP_S", 0.3)
        monkeypatch.setattr(main, "_exit_at_once", lambda *_: died.set())

        def hang():
            self.scheduler.close = lambda: died.wait(PATIENCE_S) and None
            os.kill(os.getpid(), signal.SIGTERM)

        self.serve(paths, hang)

        assert died.is_set()

    def test_a_run_and_the_server_have_what_the_first_signal_left(
        self, paths, monkeypatch
    ):
        monkeypatch.setattr(main, "RUN_S", 0.2)
        monkeypatch.setattr(main, "SERVER_S", 0.5)
        began = []

        def hang():
            self.scheduler.close = Future
            began.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGTERM)

        assert self.serve(paths, hang)[0] == 0
        assert time.monotonic() - began[0] < 2
        assert "the run did not stop" in paths.log.read_text()

    def test_what_a_crash_left_is_put_right_before_it_is_ready(self, paths):
        litter = paths.staging / "v0001"
        litter.mkdir()

        def look():
            assert not litter.exists()
            os.kill(os.getpid(), signal.SIGTERM)

        assert self.serve(paths, look)[0] == 0

    def test_systemd_is_told_of_its_life(self, paths, tmp_path, monkeypatch):
        path = str(tmp_path / "notify")
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.bind(path)
            self.serve(paths, lambda: os.kill(os.getpid(), signal.SIGINT))

            assert channel.recv(1000) == b"READY=1\nSTATUS=idle"
            assert channel.recv(1000) == b"STOPPING=1"


def test_the_home_is_opened_under_the_settings_of_the_moment(paths):
    reloadable = ReloadableHome(paths, open_home(paths.root).settings)
    paths.config.write_text("[wake]\nrank = 8\n")

    reloadable.reload()

    assert reloadable.open("test").settings.wake.rank == 8
