"""Whatever a name or a text of others holds, it does not steer the terminal."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

from sleepcycle.cli.render import show_facts, show_table
from sleepcycle.cli.safe_console import SafeConsole
from sleepcycle.cli.terminal import safe_streams
from tests.cli.conftest import plain_environment

EVIL = "\x1b]0;owned\x07\x9b2J\u202e\r[red]"
SHOWN = r"\x1b]0;owned\x07\x9b2J\u202e\x0d[red]"
FEED = "prompt,\x1b[2Jodd\nx,y\n"
LEGIT = "שלום مرحبا é 👩‍👩‍👧"
ON_A_TERMINAL = f"""
import sys
from sleepcycle.cli.render import console, show_table
from sleepcycle.cli.terminal import safe_streams
with safe_streams():
    show_table(["name"], [[{EVIL!r}]])
    print({EVIL!r})
"""


def test_a_line_that_is_printed_steers_nothing(capsys):
    with safe_streams():
        sys.stdout.write(EVIL)
        sys.stderr.writelines([EVIL])

    said = capsys.readouterr()
    assert (said.out, said.err) == (SHOWN, SHOWN)


@pytest.mark.parametrize(
    "show", [lambda: show_table(["n"], [[EVIL]]), lambda: show_facts({"n": EVIL})]
)
def test_a_cell_steers_nothing_and_is_as_it_was_written(capsys, show):
    show()

    assert SHOWN in capsys.readouterr().out


def test_a_title_and_a_header_steer_nothing(capsys):
    console = SafeConsole()
    table = Table(title=EVIL.replace("[red]", ""))
    table.add_column(EVIL.replace("[red]", ""))

    console.print(table)

    assert not set(capsys.readouterr().out) & {"\x1b", "\x9b", "\u202e", "\r"}


def test_letters_of_all_scripts_are_readable(capsys):
    with safe_streams():
        show_table(["name"], [[LEGIT]])
        sys.stdout.write(LEGIT)

    assert capsys.readouterr().out.count(LEGIT) == 2


def test_a_terminal_has_colours_of_ours_alone():
    leader, follower = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", ON_A_TERMINAL],
        stdout=follower,
        env=plain_environment() | {"TERM": "xterm-256color"},
        check=True,
    )
    os.close(follower)
    said = os.read(leader, 65_536).decode()
    os.close(leader)

    assert done.returncode == 0
    assert "\x1b[1m" in said
    assert said.count(SHOWN) == 2
    assert "\x1b]" not in said


def test_wrong_usage_steers_nothing(cli):
    done = cli.run("no\x1b[2Jone\u202e", exit_code=2)

    assert r"No such command 'no\x1b[2Jone\u202e'" in done.stderr


def test_an_error_is_one_line_that_steers_nothing(cli, tmp_path):
    line = cli.error("feed", tmp_path / "a\nsleepcycle: forged\x1b[2J")

    assert r"a\nsleepcycle: forged\x1b[2J" in line
    assert "\n" not in line


def test_the_name_of_a_column_steers_nothing(cli, tmp_path):
    (tmp_path / "odd.csv").write_text(FEED)

    said = cli.run("feed", tmp_path / "odd.csv", exit_code=1)

    assert "\x1b" not in said.stdout + said.stderr


def test_json_means_the_same_and_steers_nothing(cli, tmp_path):
    file = tmp_path / "x.jsonl"
    file.write_text('{"prompt": "a", "completion": "b"}\n')
    cli.run("feed", file, "--source", EVIL)

    said = cli.run("batches", "list", "--json").stdout

    assert not set(said) & {"\x1b", "\x9b", "\u202e"}
    assert json.loads(said)[0]["source"] == EVIL


def test_no_other_module_has_a_console_of_its_own():
    """
    One that is Rich's would write what it is given.
    """
    folders = Path("sleepcycle"), Path("study", "sleepcycle_study")
    files = [file for folder in folders for file in folder.rglob("*.py")]

    found = [f.name for f in files if "rich.console import Console" in f.read_text()]
    assert found == ["safe_console.py"]
