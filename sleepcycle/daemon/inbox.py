"""The inbox: files that are dropped into a folder of the home are fed, each once."""

import itertools
import json
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from loguru import logger
from watchfiles import watch

from sleepcycle.daemon.fed_files import FedFiles
from sleepcycle.daemon.feed_threads import (
    SLOW_S,
    Feed,
    FeedThreads,
    Stamp,
    Unfinished,
    stamp_of,
)
from sleepcycle.errors import DiskError, FeedError, HomeError, SleepcycleError
from sleepcycle.feed.sources import name_of
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.inbox_files import DONE, FAILED, REPORT, has_finished_name, shown
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.codec import to_json
from sleepcycle.records.example import FeedReport
from sleepcycle.settings.config import FeedSettings

NAME_BYTES = 200  # of 255, so that a number and the report's ending fit as well
NUMBER = re.compile(r"\.\d+$")  # what tells files of one name apart
NO_UTF8 = "Unable to decode path"  # in what watchfiles raises
STEP_MS = 200  # how soon a stop is noticed, and how long to wait for more changes


@dataclass(frozen=True, slots=True)
class FileSighting:
    """What a file looked like, and since when it has."""

    stamp: Stamp
    since: float
    """By the monotonic clock, in seconds."""

    missing: str | None = None
    """What its end lacks, once that was looked at."""


class Inbox:
    """The folder of one home that files are dropped into.

    A file is fed once two looks at it, `inbox_quiet_s` apart, find it unchanged, as one
    that was renamed into place is at once; `inbox_unfinished_s` apart where its end is
    missing. It then goes to `done` or `failed` in the same folder, with its report. One
    that grows there, as its writer still has it open, comes back and is fed again.
    A file that takes long does so beside the others. Hidden and unfinished names,
    folders, links and special files are never touched.

    A crash between feeding and moving feeds the file again. That adds nothing: content
    which the store has is a duplicate.
    """

    def __init__(
        self,
        paths: HomePaths,
        settings: FeedSettings,
        feed: Feed,
        slow_s: float = SLOW_S,
    ) -> None:
        """Make an inbox; nothing is read yet.

        Args:
            paths: The home; the folder is made where it is missing.
            settings: How long to wait for a file, and how often to look.
            feed: Takes in one file as one batch, all of it or nothing.
            slow_s: After how long others go on beside a file.
        """
        self._root = paths.inbox
        self._quiet_s = settings.inbox_quiet_s
        self._unfinished_s = settings.inbox_unfinished_s
        self._rescan_s = settings.inbox_rescan_s
        self._threads = FeedThreads(feed, slow_s)
        self._fed = FedFiles(paths.inbox)
        self._looks: dict[Path, FileSighting] = {}
        self._outcomes: dict[Path, FeedReport | FeedError] = {}
        self._warned: set[tuple[str, str]] = set()
        self._waiting = False
        self._stop = threading.Event()
        self._busy = threading.Lock()

    def rescan(self) -> int:
        """Look at every file once, and feed those that are complete, oldest first.

        A file that was not fed through no fault of its own, as when the disk is full,
        stays where it is, and is tried again by the next call.

        Returns:
            How many were fed.

        Raises:
            HomeError: Something else is where a folder of the inbox should be.
            DiskError: The disk cannot be trusted any more; the service must stop.
        """
        with self._busy:
            self._make()
            self._take_back_grown()
            files = self._files()
            ready = [path for path in files if self._is_quiet(path, files[path])]
            self._waiting = len(ready) < len(files)
            return sum(self._take(path) for path in ready if not self._stop.is_set())

    def watch(self, stop: threading.Event) -> None:
        """Feed what comes, until the event is set; return soon after.

        Raises:
            DiskError: The disk cannot be trusted any more; the service must stop.
        """
        self._stop = stop
        due = time.monotonic()
        for changed in self._changes(stop):
            if changed or self._waiting or time.monotonic() >= due:
                self._try_rescan()
                due = time.monotonic() + self._rescan_s

    def _changes(self, stop: threading.Event) -> Iterator[bool]:
        """Yield whether there are changes: when there are, and now and then.

        Where the system cannot tell of them, it is now and then alone.
        """
        look_s = min(self._quiet_s, self._rescan_s)
        try:
            self._make()
            while not stop.is_set():
                yield from self._watched(stop, look_s)
        except (OSError, RuntimeError) as error:
            self._warn_once(
                "", "the inbox cannot be watched, only looked through", error
            )
        while not stop.wait(look_s):
            yield False

    def _watched(self, stop: threading.Event, look_s: float) -> Iterator[bool]:
        """Yield whether there are changes, as the system tells of them.

        It ends at a name that is no UTF-8, which `watchfiles` cannot tell of.
        """
        try:
            for changes in watch(
                self._root,
                watch_filter=None,
                step=STEP_MS,
                stop_event=stop,
                rust_timeout=max(1, round(1000 * look_s)),  # 0 would be for ever
                yield_on_timeout=True,
                recursive=False,
            ):
                yield bool(changes)
        except RuntimeError as error:
            if NO_UTF8 not in str(error):
                raise
            stop.wait(STEP_MS / 1000)
            yield True

    def _try_rescan(self) -> None:
        """Scan the folder again; log where that cannot be done."""
        try:
            self.rescan()
        except (SleepcycleError, OSError) as error:
            if disk.is_failed(error):
                raise
            self._warn_once("", "the inbox could not be looked through", error)

    def _make(self) -> None:
        """Make the folders that are missing, but never the home."""
        if not self._root.parent.is_dir():
            raise HomeError(f"no home at {self._root.parent} any more")
        for folder in (self._root, self._root / DONE, self._root / FAILED):
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                raise HomeError(
                    f"expected a folder at {folder}, got a link or a file; move it away"
                )
            disk.make(folder)

    def _files(self) -> dict[Path, Stamp]:
        """Return the files that may be fed, oldest first, and forget all others."""
        with os.scandir(self._root) as entries:
            names = {entry.name for entry in entries}
        found = {
            path: stamp
            for path in (self._root / name for name in names if has_finished_name(name))
            if (stamp := self._stamp(path))
        }
        self._warned = {told for told in self._warned if told[0] in names}
        self._looks = {p: look for p, look in self._looks.items() if p in found}
        self._outcomes = {p: done for p, done in self._outcomes.items() if p in found}
        return dict(sorted(found.items(), key=lambda file: (file[1][2], file[0])))

    def _stamp(self, path: Path) -> Stamp | None:
        """Return what tells a change of a file; None where it is no plain file."""
        try:
            info = path.lstat()
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(info.st_mode):
            link = HomeError("it is a link, and could name any file; copy it instead")
            self._warn_once(path.name, "left a file in the inbox", link)
        if not stat.S_ISREG(info.st_mode):
            return None
        return stamp_of(info)

    def _is_quiet(self, path: Path, stamp: Stamp) -> bool:
        """Look at a file; return whether it has been the same for long enough."""
        now = time.monotonic()
        look = self._looks.get(path)
        if look is None or look.stamp != stamp:
            self._looks[path] = look = FileSighting(stamp, now)
            self._outcomes.pop(path, None)
        return now - look.since >= (
            self._unfinished_s if look.missing else self._quiet_s
        )

    def _take(self, path: Path) -> bool:
        """Feed a file and move it away; return whether it was fed."""
        if not self._is_same(path):
            return False
        outcome = self._outcomes.get(path) or self._outcome(path)
        if outcome is None:
            self._waiting |= self._threads.has(path)
            return False
        if isinstance(outcome, Unfinished):
            return self._wait_for_end(path, outcome.missing)
        failpoint("inbox.fed")
        if not self._is_same(path):
            return False  # what changed while it was read is fed again, when quiet
        self._outcomes[path] = outcome  # only the move is tried again, should it fail
        return self._put_away(path, outcome) and isinstance(outcome, FeedReport)

    def _is_same(self, path: Path) -> bool:
        """Return whether a file is still as it was when it was found quiet."""
        same = self._stamp(path) == self._looks[path].stamp
        self._waiting |= not same
        return same

    def _wait_for_end(self, path: Path, missing: str) -> bool:
        """Let a file rest for longer; return that it was not fed."""
        self._looks[path] = replace(self._looks[path], missing=missing)
        self._waiting = True
        logger.info(
            "waiting up to {limit:g} s for the rest of a file in the inbox: {file!r}: "
            "{missing}",
            limit=self._unfinished_s,
            file=shown(path.name),
            missing=missing,
        )
        return False

    def _take_back_grown(self) -> None:
        """Move files that grew after they were fed back into the inbox."""
        for path in self._fed.grown():
            back = self._root / NUMBER.sub("", path.name)
            if os.path.lexists(back):
                continue  # until that was fed
            logger.warning(
                "a file grew after it was fed, and is fed again: {file!r}; what was "
                "added of it is not added twice",
                file=shown(path.name),
            )
            disk.move(path, back)
            self._fed.forget(path)

    def _outcome(self, path: Path) -> FeedReport | FeedError | Unfinished | None:
        """Feed a file; return None where it is to be tried again."""
        look = self._looks[path]
        rested = time.monotonic() - look.since >= self._unfinished_s
        try:
            return self._threads.feed(path, look.stamp, whole=rested)
        except Exception as error:  # one file must not stop the others
            if disk.is_failed(error):
                raise
            if isinstance(error, FeedError) and not _is_scarce(error):
                return error
            self._warn_once(path.name, "left a file in the inbox", error)
        return None

    def _put_away(self, path: Path, outcome: FeedReport | FeedError) -> bool:
        """Move a file, its report first; return whether that could be done."""
        fed = isinstance(outcome, FeedReport)
        target = _free(self._root / (DONE if fed else FAILED), _short(path.name))
        report = target.with_name(target.name + REPORT)
        try:
            size = self._looks[path].stamp[1]
            disk.write(report, _report(outcome, size))
            disk.move(path, target)
            self._fed.add(target, size)
        except DiskError as error:
            if disk.is_failed(error):
                raise
            with suppress(OSError):  # the next try writes it anew
                report.unlink(missing_ok=True)
            self._warn_once(path.name, "could not move a file out of the inbox", error)
            return False
        failpoint("inbox.moved")
        if isinstance(outcome, FeedError):
            self._warn_once(path.name, "could not feed a file of the inbox", outcome)
        return True

    def _warn_once(self, name: str, what: str, error: Exception) -> None:
        """Log a warning, once for a file and its kind of error.

        The traceback is logged too where the error is one that nobody foresaw.
        """
        kind = f"{what} {type(error).__name__}"
        if (name, kind) in self._warned:
            return
        self._warned.add((name, kind))
        foreseen = isinstance(error, SleepcycleError | OSError)
        logger.opt(exception=None if foreseen else error).warning(
            "{what}: {file!r}: {error}",
            what=what,
            file=name_of(name or str(self._root)),
            error=str(error),
        )


def _report(outcome: FeedReport | FeedError, size: int) -> str:
    """Return what came of a file as JSON, with how much of it was there to be read."""
    if isinstance(outcome, FeedReport):
        told: dict[str, object] = json.loads(to_json(outcome))
    else:
        told = {"error": str(outcome)}
    return json.dumps({**told, "size_bytes": size}, indent=1)


def _is_scarce(error: FeedError) -> bool:
    """Return whether a file was not fed because the machine ran out of something."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in disk.SCARCE


def _short(name: str) -> str:
    """Cut a name so that its report can be named too."""
    raw = os.fsencode(name)
    return name if len(raw) <= NAME_BYTES else raw[:NAME_BYTES].decode(errors="ignore")


def _free(folder: Path, name: str) -> Path:
    """Return a place for a file and its report that takes that of no other."""
    names = itertools.chain([name], (f"{name}.{n}" for n in itertools.count(2)))
    return next(
        folder / free
        for free in names
        if not any(os.path.lexists(folder / (free + end)) for end in ("", REPORT))
    )
