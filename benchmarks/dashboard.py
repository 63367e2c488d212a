"""Time every page of the dashboard on a home of three years.

python -m benchmarks.dashboard [--examples 1000000] [--versions 1000] [--loads 1000]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import cycle, islice
from pathlib import Path

import psutil

from benchmarks.long_home import HomeSize, make_home
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.opening import open_home
from sleepcycle.store.snapshot import read_snapshot
from tests.dashboard.conftest import Browser, Dashboard

REPEATS = 20
SETTLED = 200  # loads after which memory should not grow


@dataclass(frozen=True, slots=True)
class PageTime:
    """How long one page took."""

    path: str
    median_ms: float
    worst_ms: float
    """The 99th percentile; of 20 loads the slowest."""

    html_kb: float


def paths_of(home: HomePaths, size: HomeSize) -> list[str]:
    """Return the path of every page, with the last pages of lists."""
    newest = size.versions - 1
    snapshot = read_snapshot(home)
    live, runs = snapshot.live, open_home(home.root).runs
    night = next(run.id for run in runs.entries(None, size.runs) if run.kind == "sleep")
    waits = size.conversations - size.conversations % 4
    return [
        "/", "/timeline", "/timeline?before=20",
        "/versions", "/versions?before=20", "/versions?show=nights",
        f"/versions/{live}", f"/versions/v{newest}", "/versions/v1",
        f"/versions/{live}/compare/v2",
        f"/versions/{live}/make-live", "/versions/v0/make-live",
        "/memory", "/memory?before=v30",
        f"/runs/{night}", "/runs/1",
        "/data", "/data?before=40",
        "/data/batches/1", f"/data/batches/{size.batches}", "/data/batches/40",
        "/data/quarantine", "/data/quarantine?before=40",
        "/data/quarantine?batch=1", "/data/quarantine/1",
        "/data/review", "/data/review?state=all",
        f"/data/review?after=chatcmpl-{8:032x}",
        f"/data/review/chatcmpl-{waits:032x}",
        "/talk",
    ]  # fmt: skip


@contextmanager
def served(home: HomePaths) -> Iterator[Browser]:
    """Serve the dashboard of a home, and give a browser that is signed in."""
    dashboard = Dashboard(home.root)  # type: ignore[no-untyped-call]
    try:
        yield dashboard.browser()  # type: ignore[no-untyped-call]
    finally:
        dashboard.http.stop()


def time_page(browser: Browser, path: str, repeats: int = REPEATS) -> PageTime:
    """Load a page once, and then so many times more.

    Raises:
        ValueError: It is not answered.
    """
    page = browser.get(path)  # type: ignore[no-untyped-call]
    if page.status != 200:
        raise ValueError(f"expected {path} to be answered, got {page.status}")
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        page = browser.get(path)  # type: ignore[no-untyped-call]
        times.append((time.perf_counter() - start) * 1000)
    return PageTime(
        path, statistics.median(times), max(times), len(page.text.encode()) / 1000
    )


def memory_mb() -> float:
    """Return what this process has of the machine's memory."""
    return float(psutil.Process().memory_info().rss) / 1e6


def print_memory(browser: Browser, paths: list[str], loads: int) -> None:
    """Load all pages in turn, and print how the process grows."""
    print(f"memory before: {memory_mb():.1f} MB")
    for number, path in enumerate(islice(cycle(paths), loads), 1):
        browser.get(path)  # type: ignore[no-untyped-call]
        if number in {SETTLED, loads}:
            print(f"memory after {number} loads: {memory_mb():.1f} MB")


def main(words: list[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    for one in fields(HomeSize):
        parser.add_argument(f"--{one.name}", type=int, default=one.default)
    parser.add_argument("--loads", type=int, default=1_000)
    parser.add_argument("--home", type=Path, help="make it there, and keep it")
    given = vars(parser.parse_args(words))
    loads, kept = given.pop("loads"), given.pop("home")
    size = HomeSize(**given)
    with tempfile.TemporaryDirectory() as folder:
        root = kept or Path(folder) / "home"
        start = time.perf_counter()
        home = HomePaths(root) if root.exists() else make_home(root, size)
        print(f"made in {time.perf_counter() - start:.0f} s, "
              f"{home.database.stat().st_size / 1e6:.0f} MB")  # fmt: skip
        paths = paths_of(home, size)
        with served(home) as browser:
            print("| page | median, ms | p99, ms | HTML, KB |\n|---|--:|--:|--:|")
            for path in paths:
                timed = time_page(browser, path)
                figures = f"{timed.median_ms:.0f} | {timed.worst_ms:.0f}"
                print(
                    f"| `{timed.path}` | {figures} | {timed.html_kb:.0f} |", flush=True
                )
            print_memory(browser, paths, loads)


if __name__ == "__main__":
    main()
