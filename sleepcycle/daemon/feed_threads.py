"""Threads that feed files, so that a slow one keeps no other waiting."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from sleepcycle.errors import FeedError
from sleepcycle.feed.ending import missing_end
from sleepcycle.records.example import FeedReport

SLOW_S = 5.0  # after which others go on beside a file
AT_ONCE = 4  # a fifth waits, as memory and processor are shared

Feed = Callable[[Path], FeedReport]
Stamp = tuple[int, int, int, int]  # inode, size, times of change of content and of all


def stamp_of(info: os.stat_result) -> Stamp:
    """Return what tells a change of a file."""
    return info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Why a file was not fed yet: what its end lacks."""

    missing: str


class Unchanged:
    """Breaks off the reading of a file that changes, which could have no end."""

    def __init__(self, path: Path) -> None:
        self._path, self._stamp = path, stamp_of(path.lstat())

    def __call__(self, rows: int) -> None:
        """Look at the file, now and then as it is read.

        Raises:
            FeedError: It is not what it was.
        """
        if stamp_of(self._path.lstat()) != self._stamp:
            raise FeedError(f"expected {self._path.name} to rest, but it changes")


class FeedThreads:
    """Feeds each file in a thread of its own, and waits for a moment."""

    def __init__(self, feed: Feed, slow_s: float = SLOW_S) -> None:
        self._feed, self._slow_s = feed, slow_s
        self._on: dict[Path, tuple[Stamp, Future[FeedReport | Unfinished]]] = {}

    def has(self, path: Path) -> bool:
        """Return whether a file is being fed, or waits for that."""
        return path in self._on or self._is_full()

    def feed(
        self, path: Path, stamp: Stamp, *, whole: bool
    ) -> FeedReport | Unfinished | None:
        """Return what came of a file; None while that is not known yet.

        What came of one that looks otherwise now is forgotten.

        Args:
            path: The file.
            stamp: What it looks like.
            whole: Feed it even where its end is missing.

        Raises:
            Exception: Whatever feeding it raised.
        """
        begun = path not in self._on
        if begun and not self._begin(path, stamp, whole):
            return None
        of, future = self._on[path]
        try:
            report = future.result(self._slow_s if begun else 0.0)
        except TimeoutError:
            if not future.done():
                return None
            raise  # its own
        finally:
            if future.done():
                del self._on[path]
        return report if of == stamp else None

    def _begin(self, path: Path, stamp: Stamp, whole: bool) -> bool:
        """Begin to feed a file, unless too many are on."""
        self._on = {
            each: (of, future)
            for each, (of, future) in self._on.items()
            if not future.done() or each.exists()
        }
        if self._is_full():
            return False
        future: Future[FeedReport | Unfinished] = Future()
        self._on[path] = stamp, future
        thread = threading.Thread(
            target=self._run, args=(path, whole, future), name="feed", daemon=True
        )
        thread.start()
        return True

    def _is_full(self) -> bool:
        """Return whether so many files are being fed that no other can be."""
        return sum(not future.done() for _, future in self._on.values()) >= AT_ONCE

    def _run(
        self, path: Path, whole: bool, future: "Future[FeedReport | Unfinished]"
    ) -> None:
        """Feed one file, unless its end is missing and that matters."""
        try:
            missing = None if whole else missing_end(path)
            future.set_result(Unfinished(missing) if missing else self._feed(path))
        except BaseException as error:  # noqa: BLE001 - whoever asks for it raises it
            future.set_exception(error)
