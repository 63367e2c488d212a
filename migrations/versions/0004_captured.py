"""Keep completions that may be learned, and which examples were erased."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the two tables."""
    op.create_table(
        "captured",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("messages", sa.Text, nullable=False),
        sa.Column("tools", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("thumb", sa.Text),
        sa.Column("correction", sa.Text),
        sa.Column("example", sa.Integer),
        sa.PrimaryKeyConstraint("id", name="pk_captured"),
        sa.ForeignKeyConstraint(
            ["version"], ["version.number"], name="fk_captured_version"
        ),
        sa.ForeignKeyConstraint(
            ["example"], ["example.id"], name="fk_captured_example"
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'accepted', 'rejected')",
            name="state_known",
        ),
        sa.CheckConstraint(
            "thumb IN ('up', 'down')",
            name="thumb_known",
        ),
        sa.CheckConstraint(
            "state != 'accepted' OR example IS NOT NULL",
            name="accepted_as_example",
        ),
    )
    op.create_index("ix_captured_state_created_at", "captured", ["state", "created_at"])
    op.create_index(
        "ix_captured_example",
        "captured",
        ["example"],
        sqlite_where=sa.text("example IS NOT NULL"),
    )
    op.create_table(
        "erased",
        sa.Column("example", sa.Integer, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("example", name="pk_erased"),
        sa.ForeignKeyConstraint(["example"], ["example.id"], name="fk_erased_example"),
    )
