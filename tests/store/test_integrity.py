"""What is wrong with a database is found, and a whole one has nothing wrong."""

import sqlite3
from contextlib import closing

import pytest

from sleepcycle.store import journal, version_table
from sleepcycle.store.integrity import damage
from sleepcycle.store.values import Alias
from tests.store.conftest import add_batch


@pytest.fixture
def fed(store):
    """A home with a batch of two examples."""
    with store.write() as session:
        add_batch(session, ["one", "two"], share=0.0)
    return store.paths


def change(paths, *statements):
    """Change the database behind the back of the store, whatever its rules are."""
    with closing(sqlite3.connect(paths.database)) as connection:
        connection.execute("PRAGMA ignore_check_constraints=ON")
        for statement in statements:
            connection.execute(statement)
        connection.commit()


class TestDamage:
    def test_a_whole_database_has_none(self, fed):
        assert list(damage(fed)) == []

    def test_an_example_that_was_changed_is_named(self, fed):
        change(fed, 'UPDATE example SET content = \'{"text":"six"}\' WHERE id = 1')

        assert list(damage(fed)) == ["example 1 is not what its hash says"]

    def test_a_batch_that_lost_an_example_is_named(self, fed):
        change(fed, "DELETE FROM example WHERE id = 2")

        assert list(damage(fed)) == ["batch 1 has not the examples that it accepted"]

    def test_a_row_that_refers_to_none_is_named(self, fed):
        change(fed, "UPDATE alias SET version = 99")

        assert "row 1 of alias refers to nothing in version" in list(damage(fed))

    def test_live_must_be_what_the_journal_says(self, store):
        with store.write() as session:
            version_table.point(session, Alias.LIVE, None)

        assert list(damage(store.paths)) == ["live is None, and the journal says v0"]

    def test_a_batch_must_be_what_the_journal_says(self, fed, store):
        with store.write() as session:
            journal.append(session, "test", "feed", batch=1, source="elsewhere")

        [fault] = damage(fed)

        assert fault.startswith("batch 1 has not the source")

    def test_the_card_of_the_bare_base_is_empty(self, fed):
        change(fed, "UPDATE version SET card = '[]' WHERE number = 0")

        assert list(damage(fed)) == [
            "the card of version 0, the bare base, is not empty"
        ]

    def test_a_file_that_is_no_database_cannot_be_read(self, fed):
        fed.database.write_bytes(b"no database" * 100)

        [fault] = damage(fed)

        assert fault.startswith("the database cannot be read: ")
