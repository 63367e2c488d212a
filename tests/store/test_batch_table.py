from datetime import UTC

import pytest
from sqlalchemy import text

from sleepcycle.errors import NotFoundError, StoreError
from sleepcycle.records.example import BadRow
from sleepcycle.store import batch_table
from sleepcycle.store.values import ExampleState
from tests.store.conftest import add_batch


class TestBatches:
    def test_a_batch_is_found_again(self, session):
        number = add_batch(session, ["one", "one", "two"], share=0.0)

        batch = batch_table.get(session, number)

        assert (batch.lines, batch.accepted, batch.duplicate) == (3, 2, 1)
        assert batch.created_at.tzinfo is UTC
        assert batch_table.list_batches(session) == [batch]

    def test_an_unknown_batch_is_named(self, session):
        with pytest.raises(NotFoundError, match="no batch 3"):
            batch_table.get(session, 3)

    def test_bad_rows_come_back_in_order(self, session):
        first, second = add_batch(session, ["one"]), add_batch(session, ["two"])
        rows = [
            BadRow("a.jsonl", line, line * 10, f"E_{line % 2}", "why", b"\xff\0", 2)
            for line in range(5)
        ]
        batch_table.add_bad_rows(session, first, rows[:3])
        batch_table.add_bad_rows(session, second, rows[3:])
        batch_table.add_bad_rows(session, second, [])

        assert list(batch_table.bad_rows(session, first)) == rows[:3]
        assert list(batch_table.bad_rows(session, None)) == rows

    def test_the_database_itself_counts(self, store):
        """
        Accepted, duplicate and quarantined are the lines, or nothing is committed.
        """
        with store.write() as session:
            add_batch(session, ["one"])

        with (
            pytest.raises(StoreError, match="ck_batch_adds_up"),
            store.write() as session,
        ):
            session.execute(text("UPDATE batch SET duplicate = 1"))


class TestNewest:
    def test_pages_go_back_from_the_newest(self, session):
        for text_ in ("one", "two", "three"):
            add_batch(session, [text_])

        assert [one.id for one in batch_table.newest(session, 9, 2)] == [3, 2]
        assert [one.id for one in batch_table.newest(session, 2, 2)] == [1]

    def test_each_has_where_its_examples_are(self, session):
        add_batch(session, ["one", "two"], share=0.0)
        add_batch(session, ["one"], share=0.0)

        found = batch_table.states_of(session, [1, 2])

        assert found[1] == batch_table.states(session, 1)
        assert found[1][ExampleState.PENDING] == 2
        assert sum(found[2].values()) == 0
