"""The tables, with every rule that SQLite can hold by itself."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sleepcycle.records.captured import CapturedState, Thumb
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.tuning import TuningState
from sleepcycle.records.version import VersionKind
from sleepcycle.store.utc_time import UtcTime
from sleepcycle.store.values import ExampleState, NightState


class TableBase(DeclarativeBase):
    """Every table: text is TEXT, times are UTC, and each constraint has a name."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own form
        str: Text,
        bytes: LargeBinary,
        datetime: UtcTime,
        dict[str, Any]: JSON,
    }


def one_of(column: str, values: Iterable[StrEnum]) -> CheckConstraint:
    """Let a column hold only the values of an enumeration."""
    known = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({known})", name=f"{column}_known")


class BatchRow(TableBase):
    """What one feed call brought."""

    __tablename__ = "batch"
    __table_args__ = (
        CheckConstraint("accepted + duplicate + quarantined = lines", name="adds_up"),
        CheckConstraint("held_out BETWEEN 0 AND accepted", name="held_out_accepted"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    format: Mapped[str]
    created_at: Mapped[datetime]
    held_out_share: Mapped[float]
    lines: Mapped[int]
    accepted: Mapped[int]
    duplicate: Mapped[int]
    quarantined: Mapped[int]
    held_out: Mapped[int]


class FeedKeyRow(TableBase):
    """What a feed under a key of the asker's brought; `report` is JSON."""

    __tablename__ = "feed_key"
    __table_args__ = (CheckConstraint("length(digest) = 32", name="digest_is_sha256"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bytes]
    at: Mapped[datetime]
    report: Mapped[str]


class BadRowRow(TableBase):
    """One input row that could not become an example."""

    __tablename__ = "bad_row"

    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[int] = mapped_column(ForeignKey("batch.id"), index=True)
    file: Mapped[str]
    line: Mapped[int]
    offset: Mapped[int]
    code: Mapped[str]
    message: Mapped[str]
    raw: Mapped[bytes]
    size_bytes: Mapped[int]


class RunRow(TableBase):
    """One wake or one night."""

    __tablename__ = "run"
    __table_args__ = (
        one_of("kind", RunKind),
        one_of("state", RunState),
        CheckConstraint(
            "(state IN ('running', 'paused')) = (ended_at IS NULL)",
            name="ended_or_open",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    state: Mapped[str]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    pid: Mapped[int]
    pid_started: Mapped[str]
    report: Mapped[str | None]
    error: Mapped[str | None]


class VersionRow(TableBase):
    """A sealed adapter; number 0 is the bare base, which has no folder."""

    __tablename__ = "version"
    __table_args__ = (
        one_of("kind", VersionKind),
        CheckConstraint("(number = 0) = (kind = 'base')", name="zero_is_base"),
        CheckConstraint("(number = 0) = (folder IS NULL)", name="folder_unless_base"),
    )

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    folder: Mapped[str | None] = mapped_column(unique=True)
    rank: Mapped[int]
    accepted: Mapped[bool]
    created_at: Mapped[datetime]
    run: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    base_id: Mapped[str]
    base_revision: Mapped[str | None]
    base_sha256: Mapped[str]
    card: Mapped[str] = mapped_column(deferred=True)  # large, and asked for alone


class VersionParentRow(TableBase):
    """What a version was made from; a parent is always older, so there is no ring."""

    __tablename__ = "version_parent"
    __table_args__ = (CheckConstraint("parent < version", name="parent_is_older"),)

    version: Mapped[int] = mapped_column(ForeignKey("version.number"), primary_key=True)
    parent: Mapped[int] = mapped_column(ForeignKey("version.number"), primary_key=True)
    position: Mapped[int]


class RemovedRow(TableBase):
    """A version whose files are gone; all else about it stays."""

    __tablename__ = "removed"
    __table_args__ = (CheckConstraint("version != 0", name="has_files"),)

    version: Mapped[int] = mapped_column(
        ForeignKey("version.number"), primary_key=True, autoincrement=False
    )
    at: Mapped[datetime]
    reason: Mapped[str]


class VersionBatchRow(TableBase):
    """How many examples of a batch a version learned itself."""

    __tablename__ = "version_batch"

    version: Mapped[int] = mapped_column(ForeignKey("version.number"), primary_key=True)
    batch: Mapped[int] = mapped_column(ForeignKey("batch.id"), primary_key=True)
    examples: Mapped[int]


class VersionExampleRow(TableBase):
    """Which examples a version learned itself: a fact of the past, never changed."""

    __tablename__ = "version_example"
    __table_args__ = (
        Index("ix_version_example_example", "example"),
        {"sqlite_with_rowid": False},
    )

    version: Mapped[int] = mapped_column(ForeignKey("version.number"), primary_key=True)
    example: Mapped[int] = mapped_column(ForeignKey("example.id"), primary_key=True)


class ExampleRow(TableBase):
    """One training item, in exactly one state.

    `version` owns it while the state is trained: of all that learned it, the one on
    the line of what is live.
    """

    __tablename__ = "example"
    __table_args__ = (
        one_of("state", ExampleState),
        CheckConstraint("length(hash) = 32", name="hash_is_sha256"),
        CheckConstraint(
            "(state = 'claimed') = (run IS NOT NULL)", name="claimed_by_run"
        ),
        CheckConstraint(
            "state != 'trained' OR version IS NOT NULL", name="trained_in_version"
        ),
        CheckConstraint(
            "state != 'held_out' OR version IS NULL", name="held_out_untrained"
        ),
        Index("ix_example_state_batch", "state", "batch"),
        Index("ix_example_run", "run", sqlite_where=text("run IS NOT NULL")),
        Index(
            "ix_example_version", "version", sqlite_where=text("version IS NOT NULL")
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    batch: Mapped[int] = mapped_column(ForeignKey("batch.id"))
    hash: Mapped[bytes] = mapped_column(unique=True)
    content: Mapped[str]
    state: Mapped[str]
    run: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    version: Mapped[int | None] = mapped_column(ForeignKey("version.number"))
    line: Mapped[int | None]
    """In its file; None where it was fed before that was kept."""

    provenance: Mapped[str | None]
    """JSON of what its row said beside what is learned."""


class SetAsideRow(TableBase):
    """An excluded example that the base could not learn, and why."""

    __tablename__ = "set_aside"

    example: Mapped[int] = mapped_column(
        ForeignKey("example.id"), primary_key=True, autoincrement=False
    )
    run: Mapped[int] = mapped_column(ForeignKey("run.id"))
    code: Mapped[str]
    reason: Mapped[str]


class ErasedRow(TableBase):
    """An example whose text is gone for ever; what learned it is still known."""

    __tablename__ = "erased"

    example: Mapped[int] = mapped_column(
        ForeignKey("example.id"), primary_key=True, autoincrement=False
    )
    at: Mapped[datetime]


class CapturedRow(TableBase):
    """A completion that was kept, without what is private.

    `messages`, `tools`, `answer`, `metadata` and `correction` are JSON.
    """

    __tablename__ = "captured"
    __table_args__ = (
        one_of("state", CapturedState),
        one_of("thumb", Thumb),
        CheckConstraint(
            "state != 'accepted' OR example IS NOT NULL", name="accepted_as_example"
        ),
        Index("ix_captured_state_created_at", "state", "created_at"),
        Index(
            "ix_captured_example", "example", sqlite_where=text("example IS NOT NULL")
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    version: Mapped[int] = mapped_column(ForeignKey("version.number"))
    model: Mapped[str]
    messages: Mapped[str]
    tools: Mapped[str]
    answer: Mapped[str]
    pairs: Mapped[str] = mapped_column("metadata")  # SQLAlchemy has that name itself
    state: Mapped[str]
    thumb: Mapped[str | None]
    correction: Mapped[str | None]
    example: Mapped[int | None] = mapped_column(ForeignKey("example.id"))


class TuningJobRow(TableBase):
    """A job of fine-tuning: a batch that is to be learned, for who asked for it."""

    __tablename__ = "tuning_job"
    __table_args__ = (
        one_of("state", TuningState),
        CheckConstraint("(state = 'open') = (ended_at IS NULL)", name="ended_or_open"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]
    batch: Mapped[int] = mapped_column(ForeignKey("batch.id"))
    file: Mapped[str]
    model: Mapped[str]
    pairs: Mapped[str] = mapped_column("metadata")  # JSON
    state: Mapped[str]
    ended_at: Mapped[datetime | None]
    version: Mapped[int | None] = mapped_column(ForeignKey("version.number"))
    error: Mapped[str | None]


class AliasRow(TableBase):
    """A movable name."""

    __tablename__ = "alias"

    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(ForeignKey("version.number"))


class JournalRow(TableBase):
    """Who did what; triggers in the migrations keep it append-only.

    The hash covers the entry and the hash before it: `journal.link`.
    """

    __tablename__ = "journal"
    __table_args__ = (CheckConstraint("length(hash) = 32", name="hash_is_sha256"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    details: Mapped[dict[str, Any]]
    hash: Mapped[bytes]


class NightRow(TableBase):
    """A night that was due, by the day it began on, and how far it came."""

    __tablename__ = "night"
    __table_args__ = (
        one_of("state", NightState),
        CheckConstraint("date IS date(date)", name="date_is_iso"),
        CheckConstraint("attempts >= 1", name="attempted"),
    )

    date: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    attempts: Mapped[int]
    run: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    reason: Mapped[str]
    at: Mapped[datetime]


class ControlRow(TableBase):
    """What the owner has switched, by its name."""

    __tablename__ = "control"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    at: Mapped[datetime]
