"""Files that were fed and moved away, whose writers may still be at it.

A file that is open goes on growing where it was moved to.
"""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sleepcycle.files.inbox_files import DONE, FAILED, REPORT

WATCHED_S = 24 * 3600.0  # a guess: a copy that stalls for longer is begun anew


@dataclass(frozen=True, slots=True)
class _Fed:
    """How large a file was when it was fed, and when, by the system's clock."""

    size: int
    at: float


class FedFiles:
    """The files that were fed not long ago, by this process or one before it."""

    def __init__(self, inbox: Path) -> None:
        """Look for the reports of the last day."""
        self._files: dict[Path, _Fed] = {}
        for report in [*_inside(inbox / DONE), *_inside(inbox / FAILED)]:
            with suppress(OSError, ValueError, KeyError, TypeError):
                self._remember(report)

    def _remember(self, report: Path) -> None:
        """Look after a file that has a report, if that is not an old one."""
        at = report.stat().st_mtime
        if report.name.endswith(REPORT) and at > time.time() - WATCHED_S:
            size = int(json.loads(report.read_bytes())["size_bytes"])
            path = report.with_name(report.name.removesuffix(REPORT))
            self._files[path] = _Fed(size, at)

    def add(self, path: Path, size: int) -> None:
        """Look after a file that was just moved."""
        self._files[path] = _Fed(size, time.time())

    def forget(self, path: Path) -> None:
        """Look after a file no more."""
        self._files.pop(path, None)

    def grown(self) -> list[Path]:
        """Return the files that hold more now than what was fed of them."""
        newest = time.time() - WATCHED_S
        self._files = {
            path: fed for path, fed in self._files.items() if fed.at > newest
        }
        return [path for path, fed in self._files.items() if _size(path) > fed.size]


def _size(path: Path) -> int:
    """Return the size of a file; 0 where it is gone."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _inside(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing where there is none."""
    with suppress(OSError):
        return list(folder.iterdir())
    return []
