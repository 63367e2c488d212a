"""What the demo says of a night, and what it asks."""

from dataclasses import replace
from datetime import UTC, datetime
from threading import Event

import pytest

from sleepcycle.cli.demo import (
    ROWS,
    Board,
    Pair,
    Quiz,
    night_words,
    row_name,
    waking_beside,
)
from sleepcycle.home.opening import create_home, open_home
from sleepcycle.records.run_order import RunRequest
from sleepcycle.records.version import Version, VersionKind

NIGHT = Version(
    number=4,
    kind=VersionKind.SLEEP,
    folder="v4",
    parents=(2, 3),
    rank=16,
    accepted=True,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
REJECTED = replace(NIGHT, accepted=False)


def test_an_accepted_night_is_live():
    words = night_words(NIGHT, "loss fell", live="v4", size="9 KiB")

    assert "accepted: loss fell\nv4 is live: rank 16, 9 KiB" in words
    assert row_name(2, NIGHT) == "day 2"


def test_a_rejected_night_says_what_the_table_shows_instead():
    words = night_words(REJECTED, "loss rose", live="v2", size="9 KiB")

    assert "rejected: loss rose\nv2 stays live" in words
    assert "v4" not in words
    assert row_name(2, REJECTED) == "day 2, night rejected"


class Waking:
    """A home whose wake goes on until it is cancelled or let go."""

    def __init__(self):
        self.may_end = Event()
        self.ended_by = None

    def wake(self, on_progress, control):
        while control.request is None and not self.may_end.wait(0.01):
            pass
        self.ended_by = control.request
        return "woken"


class TestWakingBeside:
    def test_a_home_wakes_while_the_block_runs(self):
        home = Waking()

        with waking_beside(home) as woken:
            home.may_end.set()
            assert woken.result(timeout=60) == "woken"

        assert home.ended_by is None

    def test_a_block_that_is_broken_off_cancels_the_wake(self):
        home = Waking()

        with pytest.raises(KeyboardInterrupt, match="enough"), waking_beside(home):
            raise KeyboardInterrupt("enough")

        assert home.ended_by is RunRequest.CANCEL


class TestBoard:
    @pytest.fixture
    def board(self, tmp_path):
        """Two new homes, and a question that the bare base can answer."""
        homes = []
        for name in ("sleepless", "sleeping"):
            create_home(tmp_path / name)
            homes.append(open_home(tmp_path / name))
        opposites = ["What is the opposite of hot?", "Give the opposite of big."]
        return Board(
            Pair(*homes, tmp_path), [Quiz("opposites", opposites, ["cold", "big"])]
        )

    def test_shares_of_right_answers_stand_side_by_side(self, board, capsys):
        assert board.take("before", "live") == ([0.5], [0.5])

        assert board.rows == [["before", " 50% |  50%"]]
        assert "before │  50% |  50%" in capsys.readouterr().out

    def test_a_home_that_is_not_asked_has_a_dash(self, board):
        assert board.take("rollback", None) == ([], [0.5])

        assert board.rows == [["rollback", "   - |  50%"]]


def test_both_homes_are_fed_the_first_rows_of_a_lesson(tmp_path):
    for name in ("sleepless", "sleeping"):
        create_home(tmp_path / name)
    homes = Pair(
        *(open_home(tmp_path / n) for n in ("sleepless", "sleeping")), tmp_path
    )

    homes.feed("dates")

    for home in (homes.sleepless, homes.sleeping):
        counts = home.status().counts
        assert counts.pending + counts.held_out == ROWS
