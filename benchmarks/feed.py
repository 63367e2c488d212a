"""Feed speed: generated JSONL into a new home, beside parsing the same file alone.

python -m benchmarks.feed [--lines 1000000]
"""

import argparse
import contextlib
import json
import random
import tempfile
import time
from pathlib import Path

from benchmarks.measure import PeakMemory
from sleepcycle.feed.ingest import FeedOptions, feed_files
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.example import FeedReport
from sleepcycle.records.version import BaseIdentity
from sleepcycle.settings.config import FeedSettings, StoreSettings
from sleepcycle.store.database import Store, create_store

WORDS = [f"word{number}" for number in range(2_000)]


def write_lines(path: Path, lines: int) -> None:
    """Write prompt and completion rows of some 200 bytes, one in 100 of them bad."""
    rng = random.Random(0)
    with path.open("w") as file:
        for number in range(lines):
            text = " ".join(rng.choices(WORDS, k=16))
            row = json.dumps({"prompt": f"{number} {text}", "completion": text[:40]})
            file.write((row[:-9] if number % 100 == 99 else row) + "\n")


def parse_alone(path: Path) -> float:
    """Return how many lines a second `json.loads` parses."""
    start = time.perf_counter()
    lines = 0
    with path.open("rb") as file:
        for line in file:
            lines += 1
            with contextlib.suppress(ValueError):
                json.loads(line)
    return lines / (time.perf_counter() - start)


def feed(store: Store, path: Path) -> tuple[FeedReport, float, float]:
    """Feed once; return the report, lines a second, and megabytes grown."""
    start = time.perf_counter()
    with PeakMemory() as memory:
        report = feed_files(
            store, [path], FeedSettings(), FeedOptions(), actor="benchmark"
        )
    return report, report.lines / (time.perf_counter() - start), memory.growth_mb


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    lines = parser.parse_args().lines
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.jsonl"
        write_lines(path, lines)
        base = BaseIdentity("builtin:nano", None, "")
        store = create_store(HomePaths(Path(folder) / "home"), StoreSettings(), base)
        print(f"{lines} lines, {path.stat().st_size / 1e6:.0f} MB")
        alone = parse_alone(path)
        print(f"json.loads alone: {alone:,.0f} lines/s")
        for title in ("new", "again"):
            report, rate, growth = feed(store, path)
            print(
                f"feed, {title}: {rate:,.0f} lines/s, {rate / alone:.2f} of json.loads "
                f"alone, memory +{growth:.0f} MB; accepted {report.accepted}, "
                f"duplicate {report.duplicate}, quarantined {report.quarantined}"
            )
            assert report.accepted + report.duplicate + report.quarantined == lines


if __name__ == "__main__":
    main()
