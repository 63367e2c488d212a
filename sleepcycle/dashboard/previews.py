"""Previews: what was pasted or uploaded, kept for an hour until it is to be fed."""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from sleepcycle.errors import DiskError, NotFoundError
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.files import disk
from sleepcycle.files.arriving import PREFIX, ArrivingFile

KEPT_S = 3600.0
MOST = 8
GONE = (
    "expected a preview of the last hour, and this one is gone; paste or upload it "
    "again: nothing of it was fed"
)


@dataclass(frozen=True, slots=True)
class MadeBy:
    """The form that a preview is of."""

    address: str
    """Of its page, on which it can be changed."""

    text: str = ""
    """What was typed there; empty for a file."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Bytes that were looked at, and would be fed just so."""

    key: str
    path: Path
    size_bytes: int
    name: str
    options: FeedOptions
    report: Mapping[str, Any]
    """Of the dry run."""

    made_by: MadeBy
    until: float
    """By the clock that only goes forward."""

    @contextmanager
    def reader(self) -> Iterator[BinaryIO]:
        """Open the bytes, under the name that they have.

        Raises:
            NotFoundError: They gave way to others just now.
        """
        try:
            file = self.path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise NotFoundError(GONE) from error
        with file:
            file.name = self.name
            yield cast("BinaryIO", file)


@dataclass(frozen=True)
class PreviewShelf:
    """The previews of one service, bounded in number, time and bytes.

    Their files are hidden ones of the folder of uploads, which a start of the service
    clears.
    """

    folder: Path
    most_bytes: int
    """Of all together; the oldest give way."""

    kept: OrderedDict[str, Preview] = field(default_factory=OrderedDict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def keep(
        self,
        file: ArrivingFile,
        name: str,
        options: FeedOptions,
        report: Mapping[str, Any],
        made_by: MadeBy,
    ) -> Preview:
        """Keep what came, and return it with a key that nobody guesses.

        Raises:
            DiskError: The disk could not keep it.
        """
        key = secrets.token_urlsafe(18)
        path = self.folder / f"{PREFIX}preview-{key}"
        until = time.monotonic() + KEPT_S
        made = Preview(key, path, file.size, name, options, report, made_by, until)
        self.tidy()
        with self.lock:
            self._make_room(file.size)
            file.keep(path)
            self.kept[key] = made
        return made

    def get(self, key: str) -> Preview:
        """Return a preview.

        Raises:
            NotFoundError: None has that key, or no longer.
        """
        self.tidy()
        found = self.kept.get(key)
        if found is None:
            raise NotFoundError(GONE)
        return found

    def drop(self, key: str) -> None:
        """Forget a preview, if it is still there."""
        gone = self.kept.pop(key, None)
        if gone is not None:
            with suppress(DiskError):
                disk.remove(gone.path)

    def tidy(self) -> None:
        """Forget what is too old."""
        now = time.monotonic()
        with self.lock:
            old = [key for key, one in self.kept.items() if one.until < now]
        for key in old:
            self.drop(key)

    def _make_room(self, size: int) -> None:
        """Let the oldest give way to so many bytes more."""
        while self.kept and (
            len(self.kept) >= MOST
            or sum(one.size_bytes for one in self.kept.values()) + size
            > self.most_bytes
        ):
            self.drop(next(iter(self.kept)))
