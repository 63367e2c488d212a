"""Keep why an example was set aside, which row it was, and what that said beside."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table and the columns; of what is there already, no row is known."""
    op.execute("ALTER TABLE example ADD COLUMN line INTEGER")
    op.execute("ALTER TABLE example ADD COLUMN provenance TEXT")
    op.create_table(
        "set_aside",
        sa.Column("example", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("example", name="pk_set_aside"),
        sa.ForeignKeyConstraint(
            ["example"], ["example.id"], name="fk_set_aside_example"
        ),
        sa.ForeignKeyConstraint(["run"], ["run.id"], name="fk_set_aside_run"),
    )
