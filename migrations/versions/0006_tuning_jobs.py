"""Keep jobs of fine-tuning, each a batch that is to be learned."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "tuning_job",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("batch", sa.Integer, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("ended_at", sa.Text),
        sa.Column("version", sa.Integer),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_tuning_job"),
        sa.ForeignKeyConstraint(["batch"], ["batch.id"], name="fk_tuning_job_batch"),
        sa.ForeignKeyConstraint(
            ["version"], ["version.number"], name="fk_tuning_job_version"
        ),
        sa.CheckConstraint(
            "state IN ('open', 'succeeded', 'failed', 'cancelled')", name="state_known"
        ),
        sa.CheckConstraint(
            "(state = 'open') = (ended_at IS NULL)", name="ended_or_open"
        ),
    )
