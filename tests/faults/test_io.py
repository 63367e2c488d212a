"""Every call that a lasting write is made of fails in turn, once or from then on.

The N-th call of a name fails for N = 1, 2, ... until a whole day passes without it, as
SQLite is tested. `SLEEPCYCLE_FAULTS=full` takes every N, else a few spread over all.
"""

import errno
import os
import signal
import subprocess
import sys

import pytest

from sleepcycle import cli
from sleepcycle.errors import DiskError, SleepcycleError
from tests.faults.conftest import FULL
from tests.faults.shim import Counting, Failing, numbers

LEAST = {
    "open": 100,
    "write": 30,
    "fsync": 100,
    "rename": 40,
    "mkdir": 8,
    "unlink": 16,
    "rmdir": 4,
}
"""Calls of a day, at the least: so that none slips past the file layer unseen."""

CODES = [errno.EIO, errno.ENOSPC, errno.EMFILE]
CASES = [
    pytest.param((name, code, persists), id=f"{name}-{errno.errorcode[code]}-{word}")
    for name in sorted(LEAST)
    for code in CODES
    for persists, word in ((False, "once"), (True, "from_then_on"))
]


@pytest.mark.parametrize("fault", CASES if FULL else CASES[::5])
def test_the_error_surfaces_and_nothing_is_lost(
    fault, new_day, through, calls, record_property
):
    name, code, persists = fault
    tried = list(numbers(calls[name], None if FULL else 2))
    for at in tried:
        day, system = new_day(), Failing(name, at, code, persists=persists)
        through(system)
        raised = raised_by(day)

        assert system.failed
        assert system.flushed_after == [], f"{name} {at}: flushed again"
        if raised is None:
            assert stays_behind(system, day.root), f"{name} {at}: {system.failed}"
        else:
            assert isinstance(raised, DiskError), f"{name} {at}: {raised!r}"
            assert len(str(raised).splitlines()) == 1

        through(Counting())
        day.check()
        day.finish()
    assert calls[name] >= LEAST[name]
    record_property(f"calls of {name} made to fail", len(tried))


def raised_by(day):
    """Live a day, and return what it met."""
    try:
        day.live()
    except (SleepcycleError, OSError) as error:
        return error
    return None


def stays_behind(system, root):
    """Tell whether all that failed is that `journal.head` had no room: it may lag."""
    [failed] = system.failed
    return system.code == errno.ENOSPC and failed in {
        root / ".journal.head.partial",
        root,  # flushed for its name
    }


def test_a_day_without_a_fault_makes_no_call_that_fails(new_day, through, calls):
    """
    The loop above ends where it should: one call more, and nothing fails.
    """
    for name in ("fsync", "rename"):
        day, system = new_day(), Failing(name, calls[name] + 1, 5, persists=True)
        through(system)
        day.live()

        assert system.failed == []
        day.check()


def test_a_command_says_so_in_one_line_and_exits_74(new_day):
    """
    As a service manager expects of a failed disk. A folder is in the way of a file.
    """
    day = new_day()
    (day.root / ".journal.head.partial").mkdir()
    command = "from sleepcycle.cli import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", command, "feed", str(day.file("monday"))],
        env=os.environ | {"SLEEPCYCLE_HOME": str(day.root)},
        capture_output=True,
        text=True,
        check=False,
    )

    last = done.stderr.splitlines()[-1]
    assert done.returncode == 74
    assert last.startswith("sleepcycle: expected to write ")
    assert last.endswith("got: Is a directory; check the disk before anything else")


@pytest.mark.parametrize(
    ("code", "ended"), [(errno.ENOSPC, 1), (errno.EACCES, 1), (errno.EIO, 74)]
)
def test_a_command_that_may_be_given_again_exits_1(monkeypatch, capsys, code, ended):
    def refuse():
        error = DiskError("expected to write, got: no")
        error.errno = code
        raise error

    monkeypatch.setattr(cli, "app", refuse)
    heeded = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit, match=f"^{ended}$"):
            cli.main()
    finally:
        signal.signal(signal.SIGTERM, heeded)

    assert capsys.readouterr().err == "sleepcycle: expected to write, got: no\n"
