"""A log has one record a line, whatever is in the message."""

import json
import re

import pytest
from loguru import logger

from sleepcycle import log

EVIL = "x\n2026-11-30 09:00:00 ERROR forged \x1b[2J\x9b\u202e <red>{y}</red>"


@pytest.fixture
def written(tmp_path, capsys):
    """Log a message, or a fault with that message, and return what was written."""

    def write(*, json_lines=False, fault=False):
        file = tmp_path / "log"
        log.set_up(file, level="INFO", json_lines=json_lines, max_mb=1, keep=1)
        try:
            if fault:
                _fail()
            logger.error("got {name}", name=EVIL)
        finally:
            logger.remove()
        text = file.read_text()
        assert capsys.readouterr().err == text
        return text

    return write


def _fail():
    """Log a fault whose message was given by others."""
    try:
        int(EVIL)
    except ValueError:
        logger.exception("it failed")


def test_a_message_is_one_line_and_steers_nothing(written):
    text = written()

    assert len(text.splitlines()) == 1
    assert r"got x\n2026-11-30 09:00:00 ERROR forged \x1b[2J\x9b\u202e <red>{y}" in text


def test_a_fault_begins_no_line_of_its_own(written):
    lines = written(fault=True).splitlines()

    stamped = [line for line in lines if re.match(r"\d{4}-", line)]
    assert [line[20:].split()[0] for line in stamped] == ["ERROR", "ERROR"]
    assert "Traceback (most recent call last):" in lines
    assert "ValueError: invalid literal for int() with base 10" in "\n".join(lines)


@pytest.mark.parametrize("fault", [False, True])
def test_json_has_a_record_a_line_and_steers_nothing(written, fault):
    text = written(json_lines=True, fault=fault)

    assert not set(text) & set("\x1b\x9b\u202e")
    records = [json.loads(line)["record"] for line in text.splitlines()]
    assert records[-1]["extra"]["name"] == EVIL
    assert records[-1]["level"]["name"] == "ERROR"
    assert len(records) == 1 + fault


def test_a_path_that_no_text_can_hold_is_logged(tmp_path):
    """
    A name of odd bytes has surrogates in Python.
    """
    file = tmp_path / "sleepcycle.log"
    log.set_up(file, level="INFO", json_lines=False, max_mb=1, keep=1)
    logger.info("fed {file}", file="inbox/\udc80.jsonl")
    logger.remove()

    assert r"fed inbox/\x80.jsonl" in file.read_text()
