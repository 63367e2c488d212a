"""Run the migrations on the connection that `sleepcycle.store.migrate` hands over."""

from alembic import context

from sleepcycle.store.schema import TableBase

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=TableBase.metadata,
    render_as_batch=True,  # SQLite cannot alter a constraint in place
)
with context.begin_transaction():
    context.run_migrations()
