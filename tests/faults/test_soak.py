"""Many tiny days and nights in one process: nothing grows that should not.

40 days in the short form; 1,000 with `SLEEPCYCLE_FAULTS=full`.
"""

import json
import os
import shutil

import psutil
import pytest

from sleepcycle.backup.gc import clear
from sleepcycle.records.progress import ignore_progress
from tests.faults.conftest import open_tiny
from tests.faults.invariants import assert_invariants

DAYS = 1_000 if os.environ.get("SLEEPCYCLE_FAULTS") == "full" else 40
WARM = DAYS // 5  # days until caches are full
ROWS = 8
CLEARED_EVERY = 10  # days


def lived(home, folder, day):
    """Feed, wake and sleep, and clear now and then."""
    file = folder / "day.jsonl"
    rows = [{"text": f"day {day} row {row}"} for row in range(ROWS)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    home.feed(file)
    home.wake(ignore_progress)
    home.sleep(ignore_progress)
    if day % CLEARED_EVERY == 0:
        clear(home.versions)


def slope(values):
    """Return the change per day, by least squares."""
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    above = sum((x - middle) * (y - mean) for x, y in enumerate(values))
    return above / sum((x - middle) ** 2 for x in range(len(values)))


def folder_bytes(folder):
    """Return how much lies below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_nothing_grows(tmp_path, new_home, settings, record_property):
    """
    Memory, file handles and threads are flat; of the disk the versions' part is, and
    the books grow by what was fed.
    """
    root = tmp_path / "home"
    shutil.copytree(new_home, root)
    home, process = open_tiny(root, settings), psutil.Process()
    memory, handles, threads, disk = [], [], [], []
    for day in range(1, DAYS + 1):
        lived(home, tmp_path, day)
        memory.append(process.memory_info().rss)
        handles.append(process.num_fds())
        threads.append(process.num_threads())
        if day % CLEARED_EVERY == 0:
            disk.append(folder_bytes(home.paths.versions))

    grown = slope(memory[WARM:]) * 100 / 1e6
    print(
        f"soak: {DAYS} days, {grown:+.2f} MB a hundred days, file handles "
        f"{min(handles[WARM:])} to {max(handles[WARM:])}, threads {min(threads)} to "
        f"{max(threads)}, versions {disk[0]:,} to {max(disk):,} bytes, books "
        f"{home.paths.database.stat().st_size:,} bytes"
    )
    record_property("days of soak", DAYS)
    assert max(handles[WARM:]) - min(handles[WARM:]) <= 5
    assert max(threads[WARM:]) - min(threads[WARM:]) <= 2
    assert max(disk) <= 2 * disk[0]
    if DAYS >= 1_000:  # a short run is noise
        assert grown <= 1.0
    assert_invariants(root)
