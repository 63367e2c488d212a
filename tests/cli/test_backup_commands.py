"""Backup, restore and clearing by the command line."""

import json
import subprocess
import sys

from tests.cli.conftest import Cli

HEAVY = {"torch", "transformers", "peft"}
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


def test_a_backup_elsewhere_answers_as_the_home_did(lived, tmp_path, quiz):
    prompt, answer = quiz
    made = lived.json("backup", tmp_path / "b.tar.gz")
    found = lived.json("restore", made["file"], "--at", tmp_path / "other")

    other = Cli(tmp_path / "other")
    assert made.keys() >= {"file", "versions", "examples", "size_bytes", "sha256"}
    assert (made["versions"], made["examples"]) == (2, 400)
    assert (found["live"], found["sha256"]) == ("v2", made["sha256"])
    assert other.json("versions", "verify") == {"checked": 2, "failed": []}
    assert other.json("status")["known"] == lived.json("status")["known"]
    assert other.json("ask", prompt)["text"] == answer


def test_a_torn_database_names_the_command_that_puts_it_right(lived):
    made = lived.json("backup")
    (lived.home / "sleepcycle.db").write_bytes(b"torn" * 5000)

    said = lived.error("status")
    command = said.partition("sleepcycle --home ")[2].split()
    assert command == [str(lived.home), "restore", made["file"], "--replace"]
    lived.run(*command[1:])

    assert lived.json("status")["live"] == "v2"
    [aside] = lived.home.glob("replaced-*")
    assert (aside / "sleepcycle.db").read_bytes().startswith(b"torn")


def test_a_home_is_not_replaced_unasked(lived, tmp_path):
    made = lived.json("backup")
    lived.run("rollback", "v0")

    assert "--replace" in lived.error("restore", made["file"])
    assert lived.json("status")["live"] == "v0"
    (tmp_path / "cut.tar").write_bytes(b"half a backup")
    assert "expected a whole backup" in lived.error(
        "restore", tmp_path / "cut.tar", "--replace"
    )
    assert lived.json("status")["live"] == "v0"
    assert "is in" in lived.run("restore", made["file"], "--replace").stdout
    assert lived.json("status")["live"] == "v2"


def test_what_nothing_needs_is_cleared(lived):
    told = lived.json("versions", "gc", "--dry-run")
    assert told["removed"] == ["v1"]
    assert "would free" in lived.run("versions", "gc", "--dry-run").stdout
    assert lived.json("versions", "verify")["checked"] == 2

    done = lived.json("versions", "gc")

    assert (done["removed"], done["kept"]) == (["v1"], {"v2": "live"})
    assert done["freed_bytes"] == told["freed_bytes"] > 0
    assert lived.json("versions", "verify") == {"checked": 1, "failed": []}
    assert [v["removed_at"] is None for v in lived.json("versions", "list")] == [
        True,
        False,
        True,
    ]
    assert lived.json("versions", "show", "v1")["removed_at"]
    assert "gone since" in lived.run("versions", "show", "v1").stdout
    for words in (["rollback"], ["ask", "hello", "--version"], ["versions", "promote"]):
        assert "files of v1 are gone since" in lived.error(*words, "v1")


def test_none_of_it_loads_a_model(lived):
    for words in (["backup"], ["versions", "gc", "--dry-run"]):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                PROBE.format(words=["--home", str(lived.home), *words]),
            ],
            capture_output=True,
            text=True,
            check=True,
        )

        modules = set(json.loads(done.stdout.splitlines()[-1]))
        assert sorted(modules & HEAVY) == []
