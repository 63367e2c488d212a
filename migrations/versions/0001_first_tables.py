"""First tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table, and let the journal only grow."""
    _create_batches()
    _create_runs()
    _create_versions()
    _create_examples()
    _create_journal()


def _create_batches() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("held_out_share", sa.Double, nullable=False),
        sa.Column("lines", sa.Integer, nullable=False),
        sa.Column("accepted", sa.Integer, nullable=False),
        sa.Column("duplicate", sa.Integer, nullable=False),
        sa.Column("quarantined", sa.Integer, nullable=False),
        sa.Column("held_out", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_batch"),
        sa.CheckConstraint(
            "accepted + duplicate + quarantined = lines",
            name=op.f("ck_batch_adds_up"),
        ),
        sa.CheckConstraint(
            "held_out BETWEEN 0 AND accepted", name=op.f("ck_batch_held_out_accepted")
        ),
    )
    op.create_table(
        "bad_row",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("batch", sa.Integer, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("offset", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bad_row"),
        sa.ForeignKeyConstraint(["batch"], ["batch.id"], name="fk_bad_row_batch"),
    )
    op.create_index("ix_bad_row_batch", "bad_row", ["batch"])


def _create_runs() -> None:
    op.create_table(
        "run",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("pid_started", sa.Text, nullable=False),
        sa.Column("report", sa.Text),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sa.CheckConstraint("kind IN ('wake', 'sleep')", name=op.f("ck_run_kind_known")),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'failed', 'cancelled')",
            name=op.f("ck_run_state_known"),
        ),
        sa.CheckConstraint(
            "(state = 'running') = (ended_at IS NULL)",
            name=op.f("ck_run_ended_or_running"),
        ),
    )


def _create_versions() -> None:
    op.create_table(
        "version",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("folder", sa.Text),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("run", sa.Integer),
        sa.Column("base_id", sa.Text, nullable=False),
        sa.Column("base_revision", sa.Text),
        sa.Column("base_sha256", sa.Text, nullable=False),
        sa.Column("card", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_version"),
        sa.UniqueConstraint("folder", name="uq_version_folder"),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_version_run"),
        sa.CheckConstraint(
            "kind IN ('base', 'wake', 'sleep', 'import')",
            name=op.f("ck_version_kind_known"),
        ),
        sa.CheckConstraint(
            "(number = 0) = (kind = 'base')", name=op.f("ck_version_zero_is_base")
        ),
        sa.CheckConstraint(
            "(number = 0) = (folder IS NULL)",
            name=op.f("ck_version_folder_unless_base"),
        ),
    )
    op.create_table(
        "version_parent",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("parent", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("version", "parent", name="pk_version_parent"),
        sa.ForeignKeyConstraint(
            ["version"], ["version.number"], name="fk_version_parent_version"
        ),
        sa.ForeignKeyConstraint(
            ["parent"], ["version.number"], name="fk_version_parent_parent"
        ),
        sa.CheckConstraint(
            "parent < version", name=op.f("ck_version_parent_parent_is_older")
        ),
    )
    op.create_table(
        "version_batch",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("batch", sa.Integer, nullable=False),
        sa.Column("examples", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("version", "batch", name="pk_version_batch"),
        sa.ForeignKeyConstraint(
            ["version"], ["version.number"], name="fk_version_batch_version"
        ),
        sa.ForeignKeyConstraint(["batch"], ["batch.id"], name="fk_version_batch_batch"),
    )
    op.create_table(
        "alias",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_alias"),
        sa.ForeignKeyConstraint(
            ["version"], ["version.number"], name="fk_alias_version"
        ),
    )


def _create_examples() -> None:
    op.create_table(
        "example",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("batch", sa.Integer, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("run", sa.Integer),
        sa.Column("version", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_example"),
        sa.UniqueConstraint("hash", name="uq_example_hash"),
        sa.ForeignKeyConstraint(["batch"], ["batch.id"], name="fk_example_batch"),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_example_run"),
        sa.ForeignKeyConstraint(
            ["version"], ["version.number"], name="fk_example_version"
        ),
        sa.CheckConstraint(
            "state IN ('held_out', 'pending', 'claimed', 'trained', 'excluded')",
            name=op.f("ck_example_state_known"),
        ),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_example_hash_is_sha256")),
        sa.CheckConstraint(
            "(state = 'claimed') = (run IS NOT NULL)",
            name=op.f("ck_example_claimed_by_run"),
        ),
        sa.CheckConstraint(
            "state != 'trained' OR version IS NOT NULL",
            name=op.f("ck_example_trained_in_version"),
        ),
        sa.CheckConstraint(
            "state != 'held_out' OR version IS NULL",
            name=op.f("ck_example_held_out_untrained"),
        ),
    )
    op.create_index("ix_example_state_batch", "example", ["state", "batch"])
    for column in ("run", "version"):
        op.create_index(
            f"ix_example_{column}",
            "example",
            [column],
            sqlite_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.create_table(
        "version_example",
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("example", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("version", "example", name="pk_version_example"),
        sa.ForeignKeyConstraint(
            ["version"], ["version.number"], name="fk_version_example_version"
        ),
        sa.ForeignKeyConstraint(
            ["example"], ["example.id"], name="fk_version_example_example"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_version_example_example", "version_example", ["example"])


def _create_journal() -> None:
    op.create_table(
        "journal",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
    )
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER journal_no_{change.lower()} BEFORE {change} ON journal "
            "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
        )
