"""What a run's files say, also while they grow."""

import json
from dataclasses import asdict

import pytest

from sleepcycle.cli.run_log import step
from sleepcycle.home.run_tail import Tail
from sleepcycle.records.progress import HEARTBEAT, Progress


@pytest.fixture
def file(tmp_path):
    return tmp_path / "worker.log"


def test_a_line_is_shown_once_and_when_it_is_whole(file):
    tail = Tail(file, str)
    assert list(tail.lines(to_the_end=False)) == []
    file.write_bytes(b"one\ntw")
    assert list(tail.lines(to_the_end=False)) == ["one"]

    with file.open("ab") as more:
        more.write(b"o\nthree")

    assert list(tail.lines(to_the_end=False)) == ["two"]
    assert list(tail.lines(to_the_end=True)) == ["three"]
    assert list(tail.lines(to_the_end=True)) == []


def test_a_file_that_is_begun_anew_is_read_anew(file):
    """
    A wake that goes on has a new worker, which writes a new log.
    """
    tail = Tail(file, str)
    file.write_text("a long first line\n")
    list(tail.lines(to_the_end=False))

    file.write_text("anew\n")

    assert list(tail.lines(to_the_end=False)) == ["anew"]


def test_bytes_that_are_no_text_stop_nothing(file):
    file.write_bytes(b"\xff\n")

    assert list(Tail(file, str).lines(to_the_end=True)) == ["�"]


def test_a_step_is_told_in_words():
    line = json.dumps(asdict(Progress("wake", 2, 40, loss=1.25, left_s=61.0)))

    assert step(line) == "wake 2/40  loss 1.250  0:01:01 left"


@pytest.mark.parametrize("line", [json.dumps(asdict(HEARTBEAT)), '{"stage": "wa', ""])
def test_a_heartbeat_and_half_a_line_say_nothing(line):
    assert step(line) is None
