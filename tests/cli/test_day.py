"""One day and night by the command line: what is printed, and that it learns."""

from sleepcycle.cli.day_output import show_memory
from sleepcycle.settings.config import Settings
from tests.cli.conftest import LESSONS

FEED = {"batch", "lines", "accepted", "duplicate", "quarantined", "held_out", "reasons"}
STATUS = {
    "state",
    "base",
    "live",
    "pending",
    "known",
    "held_out",
    "quarantined",
    "versions",
    "next_night",
    "daemon",
}
RUN = {"run", "kind", "version", "accepted", "examples", "seconds", "verdict"}
WAKE = RUN | {"tokens", "tokens_per_second", "loss_first", "loss_last"}
SLEEP = RUN | {"rank", "kept_energy"}
VERSION = {"version", "kind", "parents", "rank", "accepted", "aliases", "created_at"}


def test_one_day_and_one_night(lived_once, lived, quiz):
    """
    The whole way, with every number that the books must agree on.
    """
    prompt, answer = quiz
    fed, woken, slept = lived_once.fed, lived_once.woken, lived_once.slept
    assert fed.keys() >= FEED
    assert lived_once.asked["text"] != answer

    assert woken.keys() >= WAKE
    assert woken["examples"] == fed["accepted"] - fed["held_out"]
    assert woken["loss_last"] < 0.1 < woken["loss_first"]
    assert woken["verdict"]["acquisition"] < -1
    assert lived_once.status["live"] == "v0"

    assert slept.keys() >= SLEEP
    assert (slept["version"], slept["accepted"]) == ("v2", True)
    assert lived.json("ask", prompt) == {"version": "v2", "text": answer}

    status = lived.json("status")
    assert status.keys() >= STATUS
    assert (status["state"], status["live"], status["pending"]) == ("ready", "v2", 0)
    assert status["held_out"] + status["known"] == fed["accepted"]

    listed = lived.json("versions", "list")
    assert all(version.keys() >= VERSION for version in listed)
    assert [version["parents"] for version in listed] == [[], ["v0"], ["v0", "v1"]]
    assert listed[2]["aliases"] == ["live"]
    assert lived.json("versions", "verify") == {"checked": 2, "failed": []}


def test_the_same_file_twice_adds_nothing(fed):
    again = fed.json("feed", LESSONS / "capitals.jsonl")

    assert (again["accepted"], again["duplicate"]) == (0, again["lines"])


def test_examples_come_from_standard_input(cli):
    rows = '{"text": "one"}\n{"text": "two"}\n'

    assert cli.json("feed", "-", "--source", "notes", stdin=rows)["accepted"] == 2
    assert cli.json("batches", "list")[0]["source"] == "notes"


def test_a_dry_run_stores_nothing(cli):
    tried = cli.json("feed", LESSONS / "dates.jsonl", "--dry-run")

    assert (tried["batch"], tried["accepted"]) == (None, 500)
    assert cli.json("status")["pending"] == 0


def test_bad_rows_come_back_to_be_mended(cli, tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "good"}\n' * 1 + '{"text": \n' + '{"text": "x"}\n' * 8)
    fed = cli.json("feed", file)
    assert (fed["quarantined"], fed["reasons"]) == (1, {"E_JSON": 1})

    [row] = cli.json("batches", "quarantine")
    assert (row["file"], row["line"], row["offset"]) == (str(file), 2, 17)
    mended = tmp_path / "bad.jsonl"
    cli.run("batches", "quarantine", "--export", mended)
    mended.write_text(mended.read_text().strip() + '"mended"}')

    assert cli.json("feed", mended)["accepted"] == 1
    assert "exists" in cli.error("batches", "quarantine", "--export", mended)


def test_a_batch_can_be_taken_out_and_back(fed):
    moved = fed.json("batches", "exclude", 1)["excluded"]
    assert moved == 400
    assert "nothing to learn" in fed.error("wake")

    fed.run("batches", "requeue", 1)
    assert fed.json("batches", "show", 1)["states"]["pending"] == 384


def test_a_wrong_setting_is_named(cli):
    with (cli.home / "config.toml").open("a") as file:
        file.write("\n[wakes]\nrank = 4\n")

    assert "unknown setting wakes; did you mean wake?" in cli.error("versions", "list")


def test_there_is_nothing_to_do_without_examples(cli):
    assert "no example is pending" in cli.error("wake")
    assert "nothing was learned" in cli.error("sleep")


def test_a_home_is_made_once(cli, tmp_path):
    marked = (cli.home / "config.toml").read_text() + "\n# mine\n"
    (cli.home / "config.toml").write_text(marked)

    assert "nothing was changed" in cli.run("init").stdout
    assert (cli.home / "config.toml").read_text() == marked
    assert "no home at" in cli.error("--home", tmp_path / "elsewhere", "status")
    assert "other things in it" in cli.error("--home", tmp_path, "init")


def test_a_shape_that_nobody_knows_is_wrong_usage(cli):
    """
    The shapes that there are are named, and nothing is fed.
    """
    done = cli.run("feed", "-", "--format", "alpacca", stdin="", exit_code=2)

    assert "alpacca" in done.stderr
    assert "completion" in done.stderr
    assert cli.json("status")["pending"] == 0


def test_init_says_how_much_memory_is_needed(tmp_path, cli):
    said = cli.run("--home", tmp_path / "new", "init").stdout

    assert "a wake needs up to " in said
    assert "GB of memory are free" in said


def test_where_a_wake_does_not_fit_settings_are_named_by_which_it_does(capsys):
    settings = Settings(model={"batch_tokens": 10**8}, wake={"batch_size": 10**5})

    show_memory(settings)

    assert 'set model.gradient_checkpointing = "on" and ' in capsys.readouterr().out
