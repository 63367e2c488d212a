"""What a feed leaves that was killed after its first part."""

from sleepcycle.store import batch_table, example_table, open_batch
from sleepcycle.store.database import Store
from sleepcycle.store.values import ExampleState


def leave_half_a_feed(store: Store, rows: int = 3) -> None:
    """Add rows of a batch that is never finished."""
    added = [
        (bytes([200]) * 31 + bytes([n]), f'"half {n}"', n, None) for n in range(rows)
    ]
    with store.write() as session:
        batch = batch_table.add(session, "half", "text", 0.0)
        example_table.add(session, batch, ExampleState.PENDING, added)
        open_batch.hide(session, batch)


def count_half_fed(store: Store) -> int:
    """Return how many rows of it are there, though nobody sees them."""
    with store.read() as session:
        found = session.connection().exec_driver_sql(
            "SELECT count(*) FROM example WHERE content LIKE '\"half %'"
        )
        return int(found.scalar_one())
