"""What lies in an inbox and is not fed: why, and what to do about it."""

import itertools
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DONE, FAILED = "done", "failed"
REPORT = ".report.json"
UNFINISHED = (".partial", ".tmp", ".part", "~", ".swp", ".crdownload")
MOST = 100  # that are told of
WHY_CHARS = 300


@dataclass(frozen=True, slots=True)
class NotFed:
    """Something in the inbox that is not fed."""

    name: str
    """As it can be printed: what is no UTF-8 or no character of a line is escaped."""

    why: str
    fix: str

    @property
    def is_refused(self) -> bool:
        """Whether it was read, and lies with what was refused."""
        return self.name.startswith(f"{FAILED}/")


def has_finished_name(name: str) -> bool:
    """Return whether a name is not one of a file that is still being written."""
    return not name.startswith(".") and not name.lower().endswith(UNFINISHED)


def not_fed(inbox: Path) -> list[NotFed]:
    """Return what the service leaves alone or has refused, by name; at most 100.

    What cannot be looked at is left out, and an inbox that is not there is empty.
    """
    return list(itertools.islice(itertools.chain(_left(inbox), _refused(inbox)), MOST))


def shown(name: str) -> str:
    """Return a file's name as it can be printed on one line."""
    text = name.encode(errors="backslashreplace").decode()
    return text if text.isprintable() else ascii(text)[1:-1]


def _left(inbox: Path) -> Iterator[NotFed]:
    """Yield what is in the inbox and never touched."""
    for path in _paths(inbox):
        told = None
        with suppress(OSError):
            told = _reason(path.name, path.lstat().st_mode)
        if told is not None and path.name not in {DONE, FAILED}:
            yield NotFed(shown(path.name), *told)


def _reason(name: str, mode: int) -> tuple[str, str] | None:
    """Return why a thing is left alone and what to do; None where it is fed."""
    if stat.S_ISDIR(mode):
        return "it is a folder", "move its files up into the inbox, then remove it"
    if stat.S_ISLNK(mode):
        return "it is a link, and could name any file", "copy the file instead"
    if not stat.S_ISREG(mode):
        return "it is no plain file", "remove it"
    if name.startswith("."):
        return "its name is hidden", "rename it once it is whole, or remove it"
    if not has_finished_name(name):
        return (
            "its name is one of a file that is still being written",
            "rename it once it is whole, or remove it",
        )
    return None


def _refused(inbox: Path) -> Iterator[NotFed]:
    """Yield what was refused, with the reason of its report."""
    fix = "mend it, and move it back into the inbox; or remove it and its report"
    for path in _paths(inbox / FAILED):
        report = path.with_name(path.name + REPORT)
        with suppress(OSError, ValueError):
            why = json.loads(report.read_text(encoding="utf-8"))["error"]
            yield NotFed(f"{FAILED}/{shown(path.name)}", str(why)[:WHY_CHARS], fix)


def _paths(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; nothing where it cannot be read."""
    try:
        return [folder / name for name in sorted(os.listdir(folder))]
    except OSError:
        return []
