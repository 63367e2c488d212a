"""Records as plain JSON, and back."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from sleepcycle.records.codec import dumps, from_json, from_plain, to_json
from sleepcycle.records.progress import Progress, progress_from

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Look:
    """A record with all that JSON has no word for."""

    at: datetime
    loss: float
    bound: float | None = None


@pytest.mark.parametrize("write", [to_json, dumps])
def test_a_record_is_read_as_it_was_written(write):
    look = Look(MOMENT, 1.5, 2.5)

    assert from_json(write(look), Look) == look


def test_parsed_json_is_read_as_its_text_is():
    plain = {"at": "2026-01-02 03:04:05+00:00", "loss": None, "bound": None}

    read = from_plain(plain, Look)

    assert (read.at, read.bound) == (MOMENT, None)
    assert math.isnan(read.loss)


def test_files_keep_their_own_form_of_a_time():
    """
    Programs get ISO 8601; files of a home keep what earlier versions wrote.
    """
    look = Look(MOMENT, 1.5)

    assert json.loads(to_json(look))["at"] == "2026-01-02 03:04:05+00:00"
    assert json.loads(dumps(look))["at"] == "2026-01-02T03:04:05+00:00"


def test_a_heartbeat_is_read_as_it_was_written():
    progress = Progress("train", 1, 3, loss=2.5)

    assert progress_from(json.loads(dumps(progress))) == progress
