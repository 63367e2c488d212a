"""Where all examples are, by the ORM: what a snapshot is held equal to."""

from sqlalchemy import func, select

from sleepcycle.store.schema import BatchRow, ExampleRow, SetAsideRow
from sleepcycle.store.values import Counts, ExampleState


def count_examples(session):
    """Return how many examples are where."""
    rows = session.execute(
        select(ExampleRow.state, func.count()).group_by(ExampleRow.state)
    )
    found = dict(rows.all())
    quarantined = session.scalar(
        select(func.coalesce(func.sum(BatchRow.quarantined), 0))
    )
    return Counts(
        accepted=sum(found.values()),
        held_out=found.get(ExampleState.HELD_OUT, 0),
        pending=found.get(ExampleState.PENDING, 0),
        claimed=found.get(ExampleState.CLAIMED, 0),
        known=found.get(ExampleState.TRAINED, 0),
        excluded=found.get(ExampleState.EXCLUDED, 0),
        quarantined=int(quarantined or 0),
        set_aside=session.scalar(select(func.count()).select_from(SetAsideRow)),
    )
