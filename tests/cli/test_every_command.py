"""Every command, where its input and output are not what it expects: no traceback."""

import os
import subprocess
import sys
import traceback
from dataclasses import dataclass

import pytest
import typer

import sleepcycle.home.weights  # noqa: F401 - so that no fork has to load them
from sleepcycle.cli import main
from sleepcycle.cli.app import app
from tests.cli.conftest import COMMAND, PATIENCE_S, plain_environment
from tests.forked import can_fork, forked_workers

LONG = {("demo",), ("run",)}  # they would not end by themselves
LOST = 120  # Python's own exit code where the last words could not be written
ODD = os.fsdecode(b"caf\xe9\x1b[2J")

pytestmark = pytest.mark.skipif(not can_fork(), reason="commands are forked here")


def commands(command, words=()):
    """Yield the words of every command, and the command."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name, one in inner.items():
        yield from commands(one, (*words, name))


EVERY = sorted(commands(typer.main.get_command(app)), key=lambda pair: pair[0])
ENDING = [pair for pair in EVERY if pair[0] not in LONG]


def named(pairs):
    """Return what parametrizes a test by command."""
    return pytest.mark.parametrize(
        ("words", "command"), pairs, ids=[" ".join(words) for words, _ in pairs]
    )


def needed(command, word):
    """Return arguments that a command cannot do without, all the same word."""
    return [
        word
        for parameter in command.params
        if parameter.required and parameter.param_type_name == "argument"
    ]


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def forked(cli, tmp_path):
    """Run a command in a fork, whose standard output is a file in ASCII."""

    def run(*words, output=None, close=()):
        out = output or tmp_path / "out"
        err = tmp_path / "err"
        pid = os.fork()
        if pid == 0:
            _be(["--home", str(cli.home), *words], out, err, close)
        _, status = os.waitpid(pid, 0)
        said = "" if output else out.read_text("ascii")
        return Done(os.waitstatus_to_exitcode(status), said, err.read_text("ascii"))

    return run


def _be(words, out, err, close):
    """Be a command, from its first word to what Python does at the end."""
    os.chdir(err.parent)  # where a bug report goes
    _stand_on(out, err, close)
    sys.argv = ["sleepcycle", *words]
    code = 1
    try:
        with forked_workers():
            main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001 - what Python prints of any
        traceback.print_exc()
    finally:
        os._exit(code if _flushed() else LOST)


def _stand_on(out, err, close):
    """Let the standard files be what a test wants, in ASCII, or be closed."""
    flags = os.O_WRONLY | os.O_CREAT
    files = (os.devnull, os.O_RDONLY), (out, flags), (err, flags)
    streams = []
    for number, (path, how) in enumerate(files):
        handle = os.open(path, how, 0o600)
        os.dup2(handle, number)
        os.close(handle)
        streams.append(open(number, "rww"[number], encoding="ascii", closefd=False))  # noqa: SIM115
        if number in close:
            os.close(number)
            streams[number] = None
    streams[2].reconfigure(errors="backslashreplace")
    sys.stdin, sys.stdout, sys.stderr = streams
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = streams


def _flushed():
    """Return whether all that was written could be."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        return False
    return True


def expect_told(done):
    """Expect a command to have ended in words."""
    assert "Traceback" not in done.err
    assert done.code in {0, 1, 2}, done.err
    if done.code == 1 and done.err:
        assert done.err.strip().startswith("sleepcycle: ")
        assert done.err.strip().count("\n") == 0
    assert not set(done.out + done.err) & {"\x1b", "\udce9"}


@named(EVERY)
def test_a_full_disk_for_its_output_is_told(forked, words, command):
    done = forked(*words, *needed(command, "1"), output="/dev/full")

    expect_told(done)
    assert done.code != 0


def test_the_help_needs_no_more_than_ascii(forked):
    done = forked("--help")

    assert done.code == 0
    assert "Usage: " in done.out


@named(ENDING)
def test_closed_input_ascii_output_and_odd_words_are_told(forked, words, command):
    expect_told(forked(*words, *needed(command, ODD), close=[0]))


def test_a_closed_input_has_no_rows(forked):
    done = forked("feed", "-", close=[0])

    expect_told(done)
    assert "got none from stdin" in done.err


@pytest.mark.parametrize("words", [["status"], ["doctor"], ["versions", "list"]])
def test_a_closed_output_is_no_fault(forked, words):
    expect_told(forked(*words, close=[0, 1]))


def test_who_has_read_enough_is_told_nothing(cli):
    """
    Such as `head`: the pipe is broken by the time that it is written to.
    """
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "--home", str(cli.home), "status"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=plain_environment(),
        timeout=PATIENCE_S,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (1, b"")
