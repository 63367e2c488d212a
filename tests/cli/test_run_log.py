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


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_of_a_long_line_the_beginning_is_shown(file, end, monkeypatch):
    """
    Whatever is behind it is passed over, in parts.
    """
    monkeypatch.setattr("sleepcycle.home.run_tail.CHUNK", 3)
    file.write_bytes(b"12345\n" + b"x" * 100 + b"\n123456" + end)
    tail = Tail(file, str, longest=5)

    found = [(line, tail.is_cut) for line in tail.lines(to_the_end=True)]

    assert found == [("12345", False), ("xxxxx", True), ("12345", True)]
    assert tail.offset == file.stat().st_size


def test_a_long_line_that_goes_on_is_waited_for(file):
    file.write_bytes(b"x" * 100)
    tail = Tail(file, str, longest=5)

    assert list(tail.lines(to_the_end=False)) == []
    assert tail.offset == 0


def test_a_step_is_told_in_words():
    line = json.dumps(asdict(Progress("wake", 2, 40, loss=1.25, left_s=61.0)))

    assert step(line) == "wake 2/40  loss 1.250  0:01:01 left"


@pytest.mark.parametrize("line", [json.dumps(asdict(HEARTBEAT)), '{"stage": "wa', ""])
def test_a_heartbeat_and_half_a_line_say_nothing(line):
    assert step(line) is None
