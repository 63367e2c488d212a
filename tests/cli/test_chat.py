"""Talking on the command line: through the service, which loads the base once."""

import os
import pty
import select
import time

import pytest

from tests.cli.conftest import COMMAND, PATIENCE_S, Cli
from tests.cli.test_service import QUICK, start, stop

PARIS = "What is the capital of France?"
SHORT = ("--max-new-tokens", "8")


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """A home with a service that has nothing to do."""
    cli = Cli(tmp_path_factory.mktemp("talked") / "home", dict(QUICK))
    cli.run("init")
    service = start(cli)
    yield cli
    stop(service)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A home without a service, and what its base answers."""
    cli = Cli(tmp_path_factory.mktemp("alone") / "home", dict(QUICK))
    cli.run("init")
    return cli, cli.json("ask", PARIS, *SHORT)


def test_ask_through_the_service_prints_what_it_prints_without(idle, alone):
    _, expected = alone

    assert idle.json("ask", PARIS, *SHORT) == expected
    assert (idle.home / "logs" / "serving.log").exists()


def test_ask_of_a_base_that_goes_on_from_texts_is_answered(tmp_path):
    settings = QUICK | {"SLEEPCYCLE__MODEL__CHAT": "never"}
    cli = Cli(tmp_path / "home", settings)
    cli.run("init")
    expected = cli.json("ask", PARIS, *SHORT)
    service = start(cli)

    found = cli.json("ask", PARIS, *SHORT)
    stop(service)

    assert found == expected


def test_the_calculator_is_here_and_not_in_the_service(idle):
    asked = idle.json("ask", PARIS, "--tool", "calculator", *SHORT)

    assert asked["tool"] == []


def test_ask_tells_in_a_line_what_the_service_refuses(idle):
    assert "v9" in idle.error("ask", PARIS, "--version", "v9")


def test_chat_without_a_service_says_how_to_start_one(alone):
    cli, _ = alone

    assert "got none; start it: sleepcycle run" in cli.error("chat")


def test_chat_answers_line_by_line_where_there_is_no_terminal(idle, alone):
    _, expected = alone
    typed = f"{PARIS}\n\n/new\n{PARIS}\n/quit\n{PARIS}\n"

    done = idle.run("chat", *SHORT, stdin=typed)

    assert done.stdout == f"{expected['text']}\n" * 2
    assert done.stderr == ""


def test_chat_goes_on_after_an_error(idle, alone):
    _, expected = alone

    done = idle.run("chat", *SHORT, stdin=f"/version v9\n/nope\n{PARIS}\n")

    assert done.stdout == f"{expected['text']}\n"
    first, second = done.stderr.splitlines()
    assert first.startswith("sleepcycle: ")
    assert "v9" in first
    assert "expected /new, /version NAME, /help or /quit, got '/nope'" in second


def test_chat_begins_with_no_version_that_is_not_there(idle):
    assert "v9" in idle.error("chat", "--version", "v9")


class Typed:
    """A chat on a terminal of its own."""

    def __init__(self, cli, *words):
        self.pid, self.door = pty.fork()
        if self.pid == 0:
            os.execvpe(COMMAND[0], [*COMMAND, "chat", *words], cli._env())

    def type(self, text):
        """Type something."""
        os.write(self.door, text.encode())

    def until(self, found):
        """Read until something is shown, and return all since the last time."""
        seen, deadline = "", time.monotonic() + PATIENCE_S
        while found not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([self.door], [], [], 1)[0]:
                seen += os.read(self.door, 65536).decode()
        return seen

    def end(self):
        """Return the exit code, once it has ended."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_chat_on_a_terminal_prompts_switches_and_ends_by_ctrl_d(idle):
    chat = Typed(idle, *SHORT)
    chat.until("live> ")
    chat.type("/version v0\n")
    chat.until("v0> ")
    chat.type("\x04")

    assert chat.end() == 0
