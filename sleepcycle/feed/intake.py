"""Rows on their way in: each becomes an example or a bad row, and all are counted."""

import itertools
import marshal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import UNSUPPORTED, kept_json, short_name
from sleepcycle.feed.rows import Row
from sleepcycle.feed.shapes import (
    Format,
    RowOptions,
    expect_none_displaced,
    read_row,
    renamed,
    shape_of,
)
from sleepcycle.feed.sources import Source, name_of, read_source
from sleepcycle.files import disk
from sleepcycle.records.content import (
    Content,
    Conversation,
    canonical_json,
    content_hash,
    is_held_out,
)
from sleepcycle.records.example import BadRow, NewExample
from sleepcycle.settings.config import FeedSettings

VOTES = 100  # rows with a known shape that decide the shape of their file
VOTERS = 1_000  # rows that are looked at for them
VOTE_BYTES = 4 << 20
CHUNK_ROWS = 2_000
CHUNK_BYTES = 4 << 20
SPOOL_BYTES = 8 << 20
SHOWN = 3
REFUSALS = 100  # different ones that are counted
NAMES = 1_000  # different ones of keys beside examples that are counted


Missing = Callable[[Conversation], Iterable[str]]
"""Returns what of a conversation the base would not get to see."""


def nothing_missing(_: Conversation) -> Iterable[str]:
    """Return nothing: let every conversation in."""
    return ()


class Chunk(NamedTuple):
    """Some rows, ready for the store."""

    held_out: list[NewExample]
    pending: list[NewExample]
    bad: list[BadRow]


class Intake:
    """All rows of one feed call, read and judged before the store is touched.

    They wait in a file without a name: a kill leaves nothing behind, memory stays
    flat, and no other process waits for a slow source.
    """

    def __init__(
        self,
        settings: FeedSettings,
        options: RowOptions,
        folder: Path,
        missing: Missing = nothing_missing,
    ) -> None:
        self._settings, self._options, self._missing = settings, options, missing
        self._shape = options.shape
        self._folder = folder
        self._spool: IO[bytes] = SpooledTemporaryFile(  # noqa: SIM115 - see `close`
            SPOOL_BYTES, dir=str(folder)
        )
        self._chunk: list[list[Any]] = [[], [], []]
        self._chunk_bytes = 0
        self._frames: list[int] = []  # bytes of each chunk in the spool
        self.lines = 0
        self.reasons: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.shapes: set[Format] = set()
        self.first_bad: list[BadRow] = []
        self.samples: list[str] = []
        self.provenance: Counter[str] = Counter()

    def close(self) -> None:
        """Let go of the waiting rows."""
        with suppress(OSError):  # of what could not be written, and is not wanted
            self._spool.close()

    def read(self, source: Source) -> Iterator[int]:
        """Take in every row of a source, yielding now and then the rows so far.

        Raises:
            FeedError: The source cannot be read.
            DiskError: The disk cannot keep the rows until they are stored.
        """
        name = name_of(source)
        with closing(read_source(source, self._settings, self._options)) as rows:
            head = list(self._voters(rows)) if self._shape is None else []
            shape = self._shape or self._elect(head)
            for row in itertools.chain(head, rows):
                self._take_in(row, shape, name)
                if self._is_full():
                    self._flush()
                    yield self.lines

    def chunks(self) -> Iterator[Chunk]:
        """Yield all that was taken in, some rows at a time."""
        self._flush()
        self._spool.seek(0)
        for size in self._frames:
            held_out, pending, bad = marshal.loads(self._spool.read(size))
            yield Chunk(held_out, pending, [BadRow(*fields) for fields in bad])

    def _take_in(self, row: Row, shape: Format | None, name: str) -> None:
        """Make an example or a bad row of one row."""
        self.lines += 1
        self._chunk_bytes += len(row.raw)
        try:
            self._accept(row, shape)
        except RowError as fault:
            self._quarantine(row, fault, name)

    def _accept(self, row: Row, shape: Format | None) -> None:
        """Keep a row as an example."""
        if row.fault:
            raise row.fault
        expect_none_displaced(row.value, self._options)
        value = renamed(row.value, self._options)
        shape = shape or shape_of(value)
        reading = read_row(value, shape, self._options)
        self._expect_seen(reading.content)
        canonical = canonical_json(reading.content)
        try:
            digest = content_hash(canonical)
        except UnicodeEncodeError as error:
            raise RowError("E_UTF8", "expected text, got a lone surrogate") from error
        held_out = is_held_out(digest, self._settings.held_out_share)
        self._count(reading.provenance)
        kept = kept_json(reading.provenance)
        self._chunk[0 if held_out else 1].append((digest, canonical, row.line, kept))
        if len(self.samples) < SHOWN:
            self.samples.append(canonical)
        if shape:
            self.shapes.add(shape)

    def _count(self, provenance: Iterable[str]) -> None:
        """Count the keys beside an example; the rarer of too many count together."""
        for name in map(short_name, provenance):
            is_known = name in self.provenance or len(self.provenance) < NAMES
            self.provenance[name if is_known else "..."] += 1

    def _expect_seen(self, content: Content) -> None:
        """Refuse what the base would learn only in part.

        Raises:
            RowError: `E_UNSUPPORTED_KEY`.
        """
        if not isinstance(content, Conversation):
            return
        for key in self._missing(content):
            raise RowError(
                UNSUPPORTED,
                f"expected no {key}, which the base's chat template does not render; "
                "leave it out by --ignore, or give a template that renders it in "
                "model.chat_template",
            )

    def _quarantine(self, row: Row, fault: RowError, name: str) -> None:
        """Keep a row as a bad row."""
        raw = row.raw[: self._settings.preview_bytes]
        fields = (name, row.line, row.offset, fault.code, str(fault), raw, row.size)
        self._chunk[2].append(fields)
        self.reasons[fault.code] += 1
        if len(self.refusals) < REFUSALS or str(fault) in self.refusals:
            self.refusals[str(fault)] += 1
        if len(self.first_bad) < SHOWN:
            self.first_bad.append(BadRow(*fields))

    def _is_full(self) -> bool:
        """Return whether the rows in memory are enough for a chunk."""
        rows = sum(map(len, self._chunk))
        return rows >= CHUNK_ROWS or self._chunk_bytes >= CHUNK_BYTES

    def _flush(self) -> None:
        """Move the rows in memory to the spool."""
        if any(self._chunk):
            with disk.translated("write to", self._folder):
                self._frames.append(self._spool.write(marshal.dumps(self._chunk)))
                self._spool.flush()
        self._chunk = [[], [], []]
        self._chunk_bytes = 0

    def _voters(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the first rows of a file, up to those that decide its shape."""
        votes = size = 0
        for row in itertools.islice(rows, VOTERS):
            yield row
            votes += self._shape_of(row) is not None
            size += len(row.raw)
            if votes == VOTES or size > VOTE_BYTES:
                return

    def _elect(self, rows: list[Row]) -> Format | None:
        """Return the shape that most rows have; None where no row has one."""
        votes = Counter(shape for row in rows if (shape := self._shape_of(row)))
        return votes.most_common(1)[0][0] if votes else None

    def _shape_of(self, row: Row) -> Format | None:
        """Return the shape of a row."""
        return shape_of(renamed(row.value, self._options))
