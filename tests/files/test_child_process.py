"""Child processes: whatever happens, no child is left, nor what it started."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from sleepcycle.errors import (
    ChildError,
    ChildGivenUpError,
    ChildResultError,
    ChildStartError,
    ChildTimeoutError,
    DiskError,
)
from sleepcycle.files.child_process import (
    Child,
    WorkerCall,
    ask_worker,
    kill_all,
    offline_environment,
)

PATIENCE_S = 60.0
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""
PARENT_OF_ONE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
"""


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


class TestStart:
    def test_it_leads_a_session_of_its_own(self, log):
        """
        So Ctrl-C in a terminal reaches its parent alone.
        """
        code = "import os; print(os.getpid() == os.getsid(0) == os.getpgid(0))"

        with python(code, log=log) as child:
            child.wait(PATIENCE_S)

        assert log.read_text() == "True\n"

    def test_it_has_the_environment_and_folder_that_are_given(self, tmp_path):
        code = "import os; print(os.environ.get('WORD'), 'HOME' in os.environ)"

        with Child(["-c", code], {"WORD": "given"}, folder=tmp_path) as child:
            assert read_all(child) == b"given False\n"

    def test_a_log_is_gone_on_with_and_takes_both_outputs(self, log):
        log.write_text("before\n")
        code = "import sys; print('out', flush=True); print('err', file=sys.stderr)"

        with python(code, log=log) as child:
            child.wait(PATIENCE_S)

        assert log.read_text() == "before\nout\nerr\n"

    def test_what_is_sent_is_read_and_answered(self):
        with python("print(input()[::-1])") as child:
            child.send(b"abc\n")

            assert read_all(child) == b"cba\n"

    def test_one_that_reads_nothing_is_sent_to_in_vain(self):
        with python("pass") as child:
            child.wait(PATIENCE_S)

            child.send(b"x" * 1_000_000)

    def test_one_with_a_log_has_no_output(self, log):
        with (
            python("pass", log=log) as child,
            pytest.raises(ChildError, match="without a log, got one with a log"),
        ):
            child.output  # noqa: B018

    def test_a_program_that_is_not_there_is_named(self, monkeypatch):
        monkeypatch.setattr(sys, "executable", "/nowhere/python")

        with pytest.raises(
            ChildStartError, match=r"to start '/nowhere/python', got: .*No such file"
        ):
            python("pass")

    def test_one_that_cannot_be_started_has_an_advice(self, monkeypatch):
        monkeypatch.setattr(sys, "executable", "/nowhere/python")

        with pytest.raises(ChildStartError, match=r"; see what .*: sleepcycle doctor$"):
            python("pass")

    def test_a_log_that_cannot_be_opened_is_named(self, tmp_path):
        """
        It is the disk's fault then, and not that of the program.
        """
        with pytest.raises(
            DiskError, match=rf"^expected to open {tmp_path}, got: Is a directory"
        ) as fault:
            python("pass", log=tmp_path)

        assert fault.value.errno == errno.EISDIR


class TestWait:
    def test_the_exit_code_is_returned(self):
        with python("raise SystemExit(3)") as child:
            assert child.wait(PATIENCE_S) == 3
            assert child.exit_code == 3

    def test_a_limit_is_an_error_and_the_block_ends_it(self):
        with (
            pytest.raises(ChildTimeoutError, match=r"end within 0\.2 s, got no end"),
            python(STUBBORN) as child,
        ):
            child.wait(0.2)

        assert child.exit_code == -signal.SIGKILL


class TestEnd:
    def test_one_that_heeds_is_not_killed(self):
        code = "import signal; print('ready', flush=True); signal.pause()"
        with python(code, grace_s=PATIENCE_S) as child:
            expect_ready(child)

        assert child.exit_code == -signal.SIGTERM

    def test_one_that_ignores_sigterm_is_killed_after_the_grace(self):
        with python(STUBBORN, grace_s=0.3) as child:
            expect_ready(child)
            began = time.monotonic()

        assert child.exit_code == -signal.SIGKILL
        assert time.monotonic() - began >= 0.3

    def test_it_may_be_asked_and_go_on(self):
        with python(STUBBORN) as child:
            expect_ready(child)

            child.ask_to_stop()

            with pytest.raises(ChildTimeoutError, match="got no end of it"):
                child.wait(0.2)

    @pytest.mark.parametrize("then", ["", "time.sleep(600)"])
    def test_what_it_started_ends_too(self, then):
        """
        Also where the child itself has ended long before.
        """
        with python(PARENT_OF_ONE + then) as child:
            grandchild = int(read_line(child))
            if not then:
                child.wait(PATIENCE_S)
            assert lives(grandchild)

        wait_until_gone(grandchild)

    def test_an_exception_in_the_block_ends_it(self):
        with pytest.raises(KeyError, match="any"), python(STUBBORN) as child:
            raise KeyError("any")

        assert child.exit_code == -signal.SIGKILL

    def test_ctrl_c_in_the_block_ends_it(self):
        with (
            pytest.raises(KeyboardInterrupt, match=r"^$"),
            interrupted_soon(),
            python(STUBBORN) as child,
        ):
            child.wait()

        assert child.exit_code == -signal.SIGKILL

    def test_ctrl_c_in_the_grace_kills_at_once(self):
        child = python(STUBBORN, grace_s=600.0)
        expect_ready(child)

        with pytest.raises(KeyboardInterrupt, match=r"^$"), interrupted_soon():
            child.end()

        assert child.exit_code == -signal.SIGKILL

    def test_after_the_end_nothing_is_signalled(self, monkeypatch):
        """
        Its number may be that of another group by then.
        """
        signalled = []
        with python("pass") as child:
            child.end()
            monkeypatch.setattr(os, "killpg", lambda *found: signalled.append(found))

            child.end()
            child.kill()

        assert signalled == []


class TestKillAll:
    def test_children_are_killed_with_all_they_started(self):
        with python(PARENT_OF_ONE + "time.sleep(600)") as child:
            grandchild = int(read_line(child))

            kill_all()

            assert child.wait(PATIENCE_S) == -signal.SIGKILL
            wait_until_gone(grandchild)

    def test_one_that_leads_no_group_is_left_alone(self):
        words = [sys.executable, "-c", "input()"]
        with subprocess.Popen(words, stdin=subprocess.PIPE) as other:
            kill_all()

            assert other.poll() is None
            other.kill()


def test_the_environment_of_a_worker_has_no_hub(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("WORD", "ours")

    environment = offline_environment(MORE="1")

    words = ("HF_HUB_OFFLINE", "WORD", "MORE")
    assert [environment[word] for word in words] == ["1", "ours", "1"]


class TestParent:
    def test_a_child_ends_when_its_parent_is_killed(self, tmp_path):
        """
        By its standard input, since nobody is left who could end it.
        """
        child = (
            "import time; from sleepcycle.files.child_process import end_with_parent; "
            "end_with_parent(); print('ready', flush=True); time.sleep(600)"
        )
        parent = f"""
        import os, time
        from sleepcycle.files.child_process import Child
        child = Child(["-c", {child!r}], os.environ)
        os.read(child.output, 1)
        print(child._process.pid, flush=True)
        time.sleep(600)
        """
        words = [sys.executable, "-c", textwrap.dedent(parent)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as killed:
            number = int(killed.stdout.readline())
            assert lives(number)

            killed.kill()

        wait_until_gone(number)


@dataclass(frozen=True)
class Order:
    """What a played worker is told."""

    word: str


@dataclass(frozen=True)
class Result:
    """What it leaves."""

    length: int


@dataclass(frozen=True)
class Refusal:
    """Why it leaves nothing else."""

    message: str


class TestAskWorker:
    @pytest.fixture
    def ask(self, tmp_path, monkeypatch):
        """Return what asks a worker of that code."""

        def asked(code, *arguments, limit_s=PATIENCE_S, given_up=None):
            (tmp_path / "played_worker.py").write_text(
                "import json, sys\n"
                "*words, ordered, left = sys.argv[1:]\n"
                "order = json.load(open(ordered))\n"
                "def leave(record): open(left, 'w').write(json.dumps(record))\n"
                f"{code}\n"
            )
            call = WorkerCall(
                "played_worker",
                tmp_path / "kept",
                os.environ | {"PYTHONPATH": str(tmp_path)},
                tmp_path / "log",
                arguments=arguments,
                limit_s=limit_s,
                given_up=given_up,
            )
            return ask_worker(call, Order("four"), Result, Refusal)

        return asked

    def test_a_result_is_read(self, ask):
        assert ask("leave({'length': len(order['word'])})") == Result(4)

    def test_so_is_one_of_a_worker_that_may_be_given_up(self, ask):
        leave = "leave({'length': len(order['word'])})"

        assert ask(leave, given_up=threading.Event()) == Result(4)

    def test_one_that_is_given_up_is_ended(self, ask, tmp_path):
        """
        By another thread, once it runs.
        """
        given_up, started = threading.Event(), tmp_path / "started"
        code = f"import time; open({str(started)!r}, 'w').close(); time.sleep(600)"

        def give_up():
            while not started.exists():
                time.sleep(0.01)
            given_up.set()

        watcher = threading.Thread(target=give_up)
        watcher.start()

        with pytest.raises(ChildGivenUpError, match="was ended, since it was given up"):
            ask(code, given_up=given_up)

        watcher.join()

    def test_one_that_may_be_given_up_has_its_limit_all_the_same(self, ask):
        with pytest.raises(ChildTimeoutError, match="expected the process to end"):
            ask("import time; time.sleep(600)", limit_s=0.3, given_up=threading.Event())

    def test_a_fault_is_read(self, ask):
        assert ask("leave({'message': 'no'}); sys.exit(1)") == Refusal("no")

    def test_arguments_come_before_the_files(self, ask):
        assert ask("leave({'length': int(words[1])})", "a", "7") == Result(7)

    @pytest.mark.parametrize(
        ("code", "exit_code"),
        [
            ("", 0),
            ("leave({'message': 'no'})", 0),
            ("leave({'length': 4}); sys.exit(1)", 1),
            ("open(left, 'w').write('{')", 0),
            ("open(left, 'wb').write(b'\\xff')", 0),
            ("sys.exit(9)", 9),
            ("import os; os.kill(os.getpid(), 9)", -9),
        ],
    )
    def test_neither_is_an_error_with_the_exit_code(self, ask, code, exit_code):
        with pytest.raises(
            ChildResultError, match=f"exit code {exit_code} and neither"
        ) as none:
            ask(code)

        assert none.value.exit_code == exit_code

    def test_it_is_ended_where_it_takes_too_long(self, ask, tmp_path):
        code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"

        with pytest.raises(ChildTimeoutError, match=r"end within 3 s"):
            ask(code, limit_s=3.0)

        assert not lives(int((tmp_path / "log").read_text()))

    @pytest.mark.parametrize("code", ["leave({'length': 4})", "sys.exit(9)"])
    def test_nothing_is_left_of_its_folder(self, ask, tmp_path, code):
        """
        Which is made where there is none, and is of this call alone.
        """
        with suppress(ChildResultError):
            ask(f"print(ordered); open(ordered + '.more', 'w').close(); {code}")

        [folder] = {
            Path(line).parent for line in (tmp_path / "log").read_text().split()
        }
        assert folder.parent == tmp_path / "kept"
        assert folder.name.startswith("played_worker-")
        assert not any((tmp_path / "kept").iterdir())

    def test_a_log_that_cannot_be_opened_is_named(self, ask, tmp_path):
        (tmp_path / "log").mkdir()

        with pytest.raises(DiskError, match=rf"^expected to open {tmp_path}/log, got"):
            ask("pass")

    def test_the_log_is_of_this_worker_alone(self, ask, tmp_path):
        (tmp_path / "log").write_text("an earlier one\n")

        ask("print('said'); leave({'length': 0})")

        assert (tmp_path / "log").read_text() == "said\n"


def python(code, **options):
    """Start Python on some code."""
    return Child(["-c", code], os.environ, **options)


def read_line(child):
    """Return the next line that a child prints."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(child.output, 1)
        assert piece, line
        line += piece
    return line


def expect_ready(child):
    """Wait until a child is where a signal finds it prepared."""
    assert read_line(child) == b"ready\n"


def read_all(child):
    """Return all that a child prints until it ends."""
    with open(child.output, "rb", closefd=False) as file:
        return file.read()


@contextmanager
def interrupted_soon():
    """Let Ctrl-C come after a moment."""
    main = threading.main_thread().ident
    timer = threading.Timer(0.5, signal.pthread_kill, [main, signal.SIGINT])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def lives(number):
    """Tell whether a process runs."""
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(number):
    """Wait for the end of a process that is no child of ours."""
    deadline = time.monotonic() + PATIENCE_S
    while lives(number):
        assert time.monotonic() < deadline
        time.sleep(0.01)
