"""What a base could not learn, in the database."""

import json

import pytest

from sleepcycle.records.example import NewExample, SetAside
from sleepcycle.store import batch_table, example_table
from sleepcycle.store.snapshot import read_snapshot
from sleepcycle.store.values import ExampleState
from tests.counting import count_examples
from tests.store.conftest import add_batch, start_run


@pytest.fixture
def run(session):
    """A run that holds three of four texts."""
    add_batch(session, ["a", "b", "c", "d"], share=0)
    number = start_run(session)
    example_table.claim(session, number, 3)
    return number


def rows(session, batch=None):
    """Return which texts are set aside, and why."""
    found = example_table.set_aside_rows(session, batch)
    return [(json.loads(row.raw)["text"], row.code, row.message) for row in found]


class TestSetAside:
    def test_they_are_excluded_and_no_longer_of_the_run(self, session, run):
        faults = [SetAside("E_A", "one", (1,)), SetAside("E_B", "two", (3,))]

        assert example_table.set_aside(session, run, faults) == 2

        assert rows(session) == [("a", "E_A", "one"), ("c", "E_B", "two")]
        assert [one.id for one in example_table.claimed(session, run)] == [2]
        states = batch_table.states(session, 1)
        assert states[ExampleState.EXCLUDED] == 2
        assert states[ExampleState.PENDING] == 1

    def test_no_fault_sets_nothing_aside(self, session, run):
        assert example_table.set_aside(session, run, []) == 0
        assert len(example_table.claimed(session, run)) == 3

    def test_what_the_run_does_not_hold_is_left_alone(self, session, run):
        fault = SetAside("E_A", "one", (2, 4, 999))

        assert example_table.set_aside(session, run, [fault]) == 1

        assert rows(session) == [("b", "E_A", "one")]
        assert batch_table.states(session, 1)[ExampleState.PENDING] == 1

    def test_the_last_reason_counts(self, session, run):
        faults = [SetAside("E_A", "one", (1,)), SetAside("E_B", "two", (1,))]

        example_table.set_aside(session, run, faults)

        assert rows(session) == [("a", "E_B", "two")]

    def test_one_that_is_claimed_again_by_hand_may_fail_again(self, session, run):
        """
        Its old row is there still, since nobody asked for its batch again.
        """
        example_table.set_aside(session, run, [SetAside("E_A", "one", (1,))])
        row = session.get(example_table.ExampleRow, 1)
        row.state = ExampleState.PENDING
        session.flush()
        later = start_run(session)
        example_table.claim(session, later, 1)

        example_table.set_aside(session, later, [SetAside("E_B", "two", (1,))])

        assert rows(session) == [("a", "E_B", "two")]

    def test_rows_are_those_of_one_batch_if_it_is_named(self, session, run):
        example_table.set_aside(session, run, [SetAside("E_A", "one", (1,))])
        add_batch(session, ["e"], share=0)

        assert rows(session, 1) == rows(session)
        assert rows(session, 2) == []

    def test_requeued_alone_clears_them(self, session, run):
        example_table.set_aside(session, run, [SetAside("E_A", "one", (1, 2, 3))])
        example_table.exclude_batch(session, 1)
        assert len(rows(session)) == 3

        assert example_table.requeue_batch(session, 1) == 4

        assert rows(session) == []

    def test_a_snapshot_counts_them(self, paths, store):
        with store.write() as session:
            add_batch(session, ["a", "b"], share=0)
            number = start_run(session)
            example_table.claim(session, number, 2)
            example_table.set_aside(session, number, [SetAside("E_A", "one", (1, 2))])
            expected = count_examples(session)

        assert read_snapshot(paths).counts == expected
        assert expected.set_aside == 2


class TestStored:
    @pytest.fixture
    def batch(self, session):
        """A batch of four examples, two of them of one line."""
        number = batch_table.add(session, "test", "text", 0)
        given: list[NewExample] = [
            (bytes([n]) * 32, f'{{"text":"{n}"}}', line, kept)
            for n, line, kept in ((1, 1, None), (2, 2, '{"id":7}'), (3, 2, None))
        ]
        example_table.add(session, number, ExampleState.PENDING, given)
        return number

    def test_the_first_come_with_their_line_and_what_stood_beside(self, session, batch):
        found = example_table.stored(session, batch, None, 2)

        assert [(one.line, one.provenance) for one in found] == [
            (1, None),
            (2, '{"id":7}'),
        ]
        assert found[0].state is ExampleState.PENDING

    def test_a_line_has_its_own(self, session, batch):
        found = example_table.stored(session, batch, 2, 9)

        assert [one.content for one in found] == ['{"text":"2"}', '{"text":"3"}']

    def test_a_line_that_is_not_there_has_none(self, session, batch):
        assert example_table.stored(session, batch, 99, 9) == []
        assert example_table.stored(session, batch + 1, None, 9) == []
