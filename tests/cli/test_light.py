"""What must answer at once imports nothing heavy."""

import json
import subprocess
import sys
from importlib.metadata import version

import pytest

HEAVY = {"torch", "transformers", "peft", "sqlalchemy", "alembic", "numpy"}
PROBE = """
import json, sys
from sleepcycle.cli import main
sys.argv[1:] = {words!r}
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("command", ["--help", "status", "wake --help", "study list"])
def test_it_imports_nothing_heavy(cli, command):
    words = ["--home", str(cli.home), *command.split()]

    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(words=words)],
        capture_output=True,
        text=True,
        check=True,
    )

    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert "sleepcycle.cli.app" in modules
    assert sorted(modules & HEAVY) == []


@pytest.mark.parametrize("words", [["feed"], ["wake", "--nope"], ["nope"]])
def test_wrong_usage_exits_with_2(cli, words):
    assert "Usage" in cli.run(*words, exit_code=2).stderr


def test_the_version_is_shown_without_a_home(cli):
    """
    It is what a report of a fault begins with.
    """
    assert cli.run("--version").stdout == f"sleepcycle {version('sleepcycle')}\n"
