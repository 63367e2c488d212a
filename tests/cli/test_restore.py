"""An older database put back, a batch put back, and a name forgotten."""

import shutil

from tests.cli.conftest import Cli, kill, wait_for_step


def test_what_an_older_database_does_not_know_is_kept(lived, tmp_path, quiz):
    """
    No version is lost: those that the books do not know can be taken in again.
    """
    prompt, answer = quiz
    fresh = Cli(tmp_path / "fresh")
    fresh.run("init")
    shutil.copyfile(fresh.home / "sleepcycle.db", lived.home / "sleepcycle.db")

    lived.run("rollback", "v0")
    found = sorted((lived.home / "unclaimed").iterdir())
    assert [path.name[:5] for path in found] == ["v0001", "v0002"]

    lived.run("versions", "import", found[1])
    assert lived.json("ask", prompt, "--version", "v1")["text"] == answer


def test_a_learned_batch_comes_back_as_learned(lived):
    lived.run("batches", "exclude", 1)

    moved = lived.json("batches", "requeue", 1)
    assert moved == {"batch": 1, "pending": 0, "trained": 384, "held_out": 16}
    assert "0 examples of batch 1 are now pending, 384 trained, 16 held_out" in (
        lived.run("batches", "requeue", 1).stdout
    )


def test_a_name_of_ones_own_is_forgotten(lived):
    lived.run("versions", "alias", "good", "v2")

    assert (
        "good is forgotten" in lived.run("versions", "alias", "good", "--drop").stdout
    )
    assert "no version or alias 'good'" in lived.error("versions", "show", "good")
    for words in (["good"], ["good", "v2", "--drop"]):
        usage = lived.run("versions", "alias", *words, exit_code=2)
        assert "expected a version, or --drop" in usage.stderr


def test_status_says_that_a_wake_was_killed(fed):
    fed.settings = {"SLEEPCYCLE__WAKE__EPOCHS": "1000"}
    process = fed.start("wake")
    wait_for_step(fed, run=1)
    assert fed.json("status")["state"] == "wake"

    kill(process)

    assert fed.json("status")["state"] == "interrupted"
