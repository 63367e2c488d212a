"""Chain the journal, and keep nights, switches and paused runs."""

import hashlib
import json
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

START = bytes(32)  # what the first entry is chained to


def upgrade() -> None:
    """Add the hashes of what is in the journal, the new tables, and a state of runs."""
    _chain_journal()
    _let_runs_pause()
    _create_night()
    _create_control()
    _create_removed()


def _chain_journal() -> None:
    """Give each entry its hash; rebuilding the table takes its triggers, so anew."""
    for change in ("update", "delete"):
        op.execute(f"DROP TRIGGER journal_no_{change}")
    op.execute("ALTER TABLE journal ADD COLUMN hash BLOB")
    _fill_hashes()
    with op.batch_alter_table("journal", recreate="always") as journal:
        journal.alter_column("hash", existing_type=sa.LargeBinary, nullable=False)
        journal.create_check_constraint(
            op.f("ck_journal_hash_is_sha256"), "length(hash) = 32"
        )
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER journal_no_{change.lower()} BEFORE {change} ON journal "
            "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        )


def _fill_hashes() -> None:
    """Hash every entry with the one before it."""
    connection = op.get_bind()
    entries = connection.exec_driver_sql(
        "SELECT id, at, actor, action, details FROM journal ORDER BY id"
    ).all()
    before = START
    for entry in entries:
        before = _link(before, entry)
        connection.exec_driver_sql(
            "UPDATE journal SET hash = ? WHERE id = ?", (before, entry[0])
        )


def _link(before: bytes, entry: Sequence[object]) -> bytes:
    """Return an entry's hash, as this schema has it for ever."""
    written = json.dumps(list(entry), separators=(",", ":"))
    return hashlib.sha256(before + written.encode("ascii")).digest()


def _let_runs_pause() -> None:
    """Let a run be open without running."""
    with op.batch_alter_table("run", recreate="always") as run:
        run.drop_constraint(op.f("ck_run_state_known"), type_="check")
        run.drop_constraint(op.f("ck_run_ended_or_running"), type_="check")
        run.create_check_constraint(
            op.f("ck_run_state_known"),
            "state IN ('running', 'paused', 'done', 'failed', 'cancelled')",
        )
        run.create_check_constraint(
            op.f("ck_run_ended_or_open"),
            "(state IN ('running', 'paused')) = (ended_at IS NULL)",
        )


def _create_night() -> None:
    """Make the table of the nights that were due."""
    op.create_table(
        "night",
        sa.Column("date", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("date", name="pk_night"),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_night_run"),
        sa.CheckConstraint(
            "state IN ('begun', 'done', 'skipped', 'failed')",
            name=op.f("ck_night_state_known"),
        ),
        sa.CheckConstraint("date IS date(date)", name=op.f("ck_night_date_is_iso")),
        sa.CheckConstraint("attempts >= 1", name=op.f("ck_night_attempted")),
    )


def _create_control() -> None:
    """Make the table of what the owner has switched."""
    op.create_table(
        "control",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_control"),
    )


def _create_removed() -> None:
    """Make the table of versions whose files are gone; their rows stay."""
    op.create_table(
        "removed",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("version", name="pk_removed"),
        sa.ForeignKeyConstraint(
            ["version"], ["version.number"], name="fk_removed_version"
        ),
        sa.CheckConstraint("version != 0", name=op.f("ck_removed_has_files")),
    )
