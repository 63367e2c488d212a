"""Where log records go."""

import pytest
from loguru import logger

from sleepcycle import log


@pytest.fixture
def file(tmp_path):
    """A log that is written to."""
    file = tmp_path / "sleepcycle.log"
    log.set_up(file, level="INFO", json_lines=False, max_mb=1, keep=1)
    yield file
    logger.remove()


def test_a_path_that_no_text_can_hold_is_logged(file, capfd):
    """
    A name of odd bytes has surrogates in Python.
    """
    logger.info("fed {file}", file="inbox/\udc80.jsonl")

    assert r"fed inbox/\udc80.jsonl" in file.read_text()
    assert capfd.readouterr().err == ""
