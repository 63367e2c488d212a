"""Many services started at once on one home: one owns it, the others say so and end.

5 in the short form; 50 with `SLEEPCYCLE_FAULTS=full`.
"""

import os
import signal
import subprocess
import sys
import time

import pytest

from sleepcycle.home.opening import create_home
from tests.faults.invariants import assert_invariants

SERVICES = 50 if os.environ.get("SLEEPCYCLE_FAULTS") == "full" else 5
PATIENCE_S = 300.0  # for all to have started, on few cores
TAKEN = 75


def start(root):
    """Start one service."""
    command = [sys.executable, "-m", "sleepcycle", "--home", str(root), "run"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def stop(services):
    """End what is left, without asking."""
    for service in services:
        if service.poll() is None:
            service.kill()
        service.communicate()


@pytest.mark.slow
def test_one_wins_and_the_others_name_it(tmp_path, record_property):
    root = tmp_path / "home"
    create_home(root)
    services = [start(root) for _ in range(SERVICES)]
    try:
        deadline = time.monotonic() + PATIENCE_S
        while len(left := [one for one in services if one.poll() is None]) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        [winner] = left
        ready = winner.stdout.readline().decode()
        winner.send_signal(signal.SIGTERM)
        winner.communicate(timeout=PATIENCE_S)
        losers = [one for one in services if one is not winner]
        words = [loser.communicate()[1].decode() for loser in losers]
    finally:
        stop(services)

    assert ready.startswith("ready at http://127.0.0.1:")
    assert winner.returncode == 0
    assert {loser.returncode for loser in losers} == {TAKEN}
    naming = sum(f"process {winner.pid}; " in text for text in words)
    assert all(str(root) in text for text in words)
    assert naming >= 1  # the winner may still be starting when others give up
    record_property("services started at once", SERVICES)
    record_property("services that ended with the owner's number", naming)
    assert_invariants(root)


@pytest.mark.slow
def test_a_service_killed_again_and_again_is_followed_by_the_next(
    tmp_path, record_property
):
    """
    Each is killed at a moment of its own after its start; the last one is whole.
    """
    root = tmp_path / "home"
    create_home(root)
    for number in range(SERVICES):
        service = start(root)
        time.sleep(0.3 + 1.5 * number / SERVICES)
        service.kill()
        service.communicate()

    service = start(root)
    began = time.monotonic()
    try:
        ready = service.stdout.readline().decode()
        took_s = time.monotonic() - began
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=PATIENCE_S)
    finally:
        stop([service])

    assert ready.startswith("ready at ")
    assert service.returncode == 0
    record_property("services killed while they start and serve", SERVICES)
    record_property("milliseconds to the next that is ready", int(took_s * 1000))
    assert_invariants(root)
