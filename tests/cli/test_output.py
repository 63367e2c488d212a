"""What commands print for programs, for people at a terminal, and into the log."""

import json
import math
import os
import pty
import subprocess

import pytest

from sleepcycle.cli.batch_tables import show_dreams
from sleepcycle.cli.progress_bar import facts, progress_bar
from sleepcycle.cli.render import counted, show_json
from sleepcycle.records.codec import from_json, to_json
from sleepcycle.records.content import Completion, Text
from sleepcycle.records.example import Dream
from sleepcycle.records.progress import Progress
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.records.verdict import Loss, Verdict
from tests.cli.conftest import COMMAND, LESSONS, PATIENCE_S


def strict(text):
    """Parse JSON as programs do that know neither NaN nor infinity."""

    def refuse(name):
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


class TestJson:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_json_has_no_word_for_is_null(self, value, capsys):
        loss = Loss(live=value, candidate=0.5, examples=1, tokens=2)

        show_json({"bare": value, "listed": [value, 1.0], "record": loss})

        assert strict(capsys.readouterr().out) == {
            "bare": None,
            "listed": [None, 1.0],
            "record": {
                "live": None,
                "candidate": 0.5,
                "examples": 1,
                "tokens": 2,
                "median_rise": None,
            },
        }

    def test_a_record_comes_back_with_nan_where_a_float_must_be(self):
        loss = Loss(live=math.inf, candidate=1.0, examples=2, tokens=3)
        text = to_json(Verdict(False, "no", loss, None, finite=False))

        back = from_json(text, Verdict)

        assert strict(text)["retention"]["live"] is None
        assert math.isnan(back.retention.live)
        assert back.retention.candidate == 1.0
        assert back.acquisition is None

    def test_a_float_that_may_be_none_comes_back_as_none(self):
        text = to_json(Progress("wake", 1, 2, loss=math.nan))

        assert from_json(text, Progress) == Progress("wake", 1, 2)

    def test_a_record_that_may_be_one_of_two_comes_back_as_itself(self):
        verdict = Verdict(False, "no", None, None, finite=False)
        report = SleepReport(1.0, 4, math.nan, verdict)

        back = from_json(to_json(report), WakeReport | SleepReport | None)

        assert isinstance(back, SleepReport)
        assert math.isnan(back.kept_energy)


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows")]
)
def test_a_number_of_things_is_said_right(number, words):
    assert counted(number, "row") == words


def test_help_shows_every_default(cli):
    assert "(default: ~/.local/share/sleepcycle)" in cli.run("--help").stdout
    assert "(default: the file)" in cli.run("feed", "--help").stdout


def test_dreams_have_a_cell_for_each_column(capsys):
    """
    A column with no cell would be empty in every row.
    """
    show_dreams(
        [Dream(-1, Text("a b")), Dream(3, Completion("2+2=", "4"))], as_json=False
    )

    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [
        ["version", "dream"],
        ["live", "a", "b"],
        ["v3", "2+2=", "|", "4"],
    ]


class TestProgress:
    def test_the_time_left_is_what_the_run_says(self):
        heartbeat = Progress("wake", 5, 40, 1.25, 1234.5, left_s=75.4)

        assert facts(heartbeat) == "loss 1.250  1,234 tokens/s  0:01:15 left"

    def test_a_heartbeat_that_measured_nothing_says_nothing(self):
        assert facts(Progress("gate", 1, 2)) == ""

    def test_a_small_wake_says_how_sure_it_is_of_all(self):
        heartbeat = Progress("wake", 9, 40, loss=0.5, confidence=0.257)

        assert facts(heartbeat) == "loss 0.500  26% sure"

    def test_the_newest_look_at_what_is_held_out_is_said(self):
        heartbeat = Progress("wake", 9, 40, loss=0.5, held_out=0.75)

        assert facts(heartbeat) == "loss 0.500  held out 0.750"

    def test_a_feed_counts_its_rows_on_a_terminal(self, cli, tmp_path):
        file = tmp_path / "many.jsonl"
        file.write_text("".join(f'{{"text": "{n}"}}\n' for n in range(4_100)))

        assert "4,000 rows read" in on_terminal(cli.home, "feed", file)

    def test_a_feed_says_nothing_of_it_elsewhere(self, cli):
        assert cli.run("feed", LESSONS / "dates.jsonl").stderr == ""


def on_terminal(home, *words):
    """Run a command whose standard error is a terminal; return what it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "--home", home, *words],
        env=os.environ | {"TERM": "xterm"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # how a terminal ends on Linux
        pass
    os.close(ours)
    assert process.wait(PATIENCE_S) == 0
    return shown.decode()


class TestLog:
    def test_what_was_done_is_written_down(self, lived, tmp_path):
        lived.run("rollback", "v0")
        lived.run("versions", "promote", "v2")
        lived.run("versions", "export", "v2", tmp_path / "out")
        lived.run("versions", "import", tmp_path / "out")

        lines = (lived.home / "logs" / "sleepcycle.log").read_text().splitlines()

        words = [line.split(maxsplit=3)[3] for line in lines]
        assert all(line.split()[2] == "INFO" for line in lines)
        assert words[0] == "fed batch 1: 400 of 400 rows accepted, 0 quarantined"
        assert words[1].startswith("wake made v1 of 384 examples in ")
        assert words[2].startswith("sleep made v2 of 384 examples in ")
        assert words[2].endswith(" s, accepted")
        assert words[3:] == [
            "rolled back: live is v0, before it was v2",
            "promoted: live is v2, before it was v0",
            f"imported {tmp_path / 'out'} as v3",
        ]

    def test_a_run_s_line_has_its_number(self, fed):
        fed.settings = {
            "SLEEPCYCLE__WAKE__MAX_STEPS": "2",
            "SLEEPCYCLE__LOG__JSON_LINES": "true",
        }
        fed.run("wake")

        last = (fed.home / "logs" / "sleepcycle.log").read_text().splitlines()[-1]

        record = json.loads(last)["record"]
        assert (record["extra"]["run"], record["extra"]["version"]) == (1, "v1")

    def test_a_dry_run_is_not(self, cli):
        cli.run("feed", LESSONS / "dates.jsonl", "--dry-run")

        assert (cli.home / "logs" / "sleepcycle.log").read_text() == ""


def test_a_bar_that_no_terminal_shows_writes_nothing(capsys):
    """
    Not even an empty line before what is told of a run.
    """
    with progress_bar(visible=True) as on_progress:
        on_progress(Progress("wake", step=1, steps=2))

    assert capsys.readouterr() == ("", "")
