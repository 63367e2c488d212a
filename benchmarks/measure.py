"""Wall time and memory of a call."""

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

SAMPLE_S = 0.02


class PeakMemory:
    """How much the process grew, sampled in a thread."""

    def __enter__(self) -> "PeakMemory":
        self._process = psutil.Process()
        self._before = self.peak = self._process.memory_info().rss
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    @property
    def growth_mb(self) -> float:
        """Return the growth in megabytes."""
        return float(self.peak - self._before) / 1e6

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            self._look()

    def _look(self) -> None:
        self.peak = max(self.peak, self._process.memory_info().rss)


@dataclass(frozen=True)
class Times:
    """Wall times of one call, repeated."""

    best_s: float
    median_s: float


def repeat(call: Callable[[], object], repeats: int) -> Times:
    """Call so many times, one after the other."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return Times(min(times), statistics.median(times))
