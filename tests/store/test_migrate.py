import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

import sleepcycle.store.connection as connection
import sleepcycle.store.migrate as migrate
from sleepcycle.errors import HomeError, StoreError
from sleepcycle.store.connection import head, migrations
from sleepcycle.store.database import open_store
from sleepcycle.store.schema import TableBase
from sleepcycle.store.values import Upgrade
from tests.store.conftest import SETTINGS, add_batch

HEAD = head()
FOLLOWING = f"{int(HEAD) + 1:04}"
NEXT = '''
"""Let a batch have a note."""

import sqlalchemy as sa
from alembic import op

revision = "{next}"
down_revision = "{head}"


def upgrade() -> None:
    with op.batch_alter_table("batch", recreate="always") as batch:
        batch.add_column(sa.Column("note", sa.Text))
    {more}
'''


@pytest.fixture
def next_schema(tmp_path, monkeypatch):
    """Put one more migration behind ours, as a later release will."""

    def install(more="pass"):
        folder = tmp_path / "migrations"
        shutil.copytree(migrations(), folder)
        script = NEXT.format(more=more, head=HEAD, next=FOLLOWING)
        (folder / "versions" / f"{FOLLOWING}_note.py").write_text(script)
        for module in (connection, migrate):
            monkeypatch.setattr(module, "migrations", lambda: folder)

    return install


def describe(index):
    """Return an index as text, its condition included."""
    where = index["dialect_options"].get("sqlite_where")
    return f"{index['name']} {index['column_names']} {index['unique']} {where}"


def shape(connection):
    """Return every column, key, constraint and index with its name."""
    inspector = inspect(connection)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"])
                for column in inspector.get_columns(table)
            ],
            "primary": inspector.get_pk_constraint(table),
            "foreign": sorted(
                map(str, inspector.get_foreign_keys(table)),
            ),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "check": sorted(map(str, inspector.get_check_constraints(table))),
            "index": sorted(map(describe, inspector.get_indexes(table))),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def test_head_is_what_the_models_say(paths, store):
    """
    Alembic's own comparison sees neither checks nor names, so both are compared.
    """
    with (
        create_engine(f"sqlite:///{paths.database}").connect() as migrated,
        create_engine("sqlite://").connect() as declared,
    ):
        TableBase.metadata.create_all(declared)
        context = MigrationContext.configure(migrated, opts={"compare_type": True})

        assert compare_metadata(context, TableBase.metadata) == []
        assert shape(migrated) == shape(declared)


def test_every_constraint_has_a_name(store, paths):
    with create_engine(f"sqlite:///{paths.database}").connect() as connection:
        tables = shape(connection)

    assert len(tables) == 18
    for table, parts in tables.items():
        assert parts["primary"]["name"] == f"pk_{table}"
        for kind in ("foreign", "unique", "check", "index"):
            assert not [text for text in parts[kind] if "'name': None" in text]


def test_the_head_is_the_last_of_one_line():
    """
    File names begin with their revision, so the head is known without Alembic.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations()))
    scripts = ScriptDirectory.from_config(config)

    assert scripts.get_heads() == [head()]
    for script in scripts.walk_revisions():
        assert Path(script.path).name.startswith(f"{script.revision}_")


class TestUpgrade:
    def test_nothing_to_do_makes_no_copy(self, paths, store):
        assert migrate.upgrade(paths, SETTINGS) == Upgrade(HEAD, HEAD, None)
        assert not paths.backups.exists()

    def test_a_missing_home_is_not_made(self, paths):
        with pytest.raises(HomeError, match="no home at"):
            migrate.upgrade(paths, SETTINGS)

        assert not paths.root.exists()

    def test_rows_constraints_and_triggers_outlive_a_rebuilt_table(
        self, paths, store, next_schema
    ):
        """
        SQLite rebuilds a table to change it, while other tables refer to it.
        """
        with store.write() as session:
            add_batch(session, ["one", "two"])
        next_schema()

        with pytest.raises(StoreError, match="run: sleepcycle db upgrade"):
            open_store(paths, SETTINGS)
        done = migrate.upgrade(paths, SETTINGS)

        assert (done.before, done.after) == (HEAD, FOLLOWING)
        with closing(sqlite3.connect(paths.database)) as connection:
            (sql,) = connection.execute(
                "SELECT sql FROM sqlite_master WHERE name = 'batch'"
            ).fetchone()
            assert "ck_batch_adds_up" in sql
            assert connection.execute("SELECT lines, note FROM batch").fetchall() == [
                (2, None)
            ]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []

    def test_the_copy_is_the_database_as_it_was(self, paths, store, next_schema):
        with store.write() as session:
            add_batch(session, ["one", "two"])
        next_schema()

        copy = migrate.upgrade(paths, SETTINGS).backup

        assert copy.stat().st_mode & 0o777 == 0o600
        assert copy.name.startswith(f"sleepcycle-{HEAD}-")
        assert list(paths.backups.iterdir()) == [copy]
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT count(*) FROM example").fetchone() == (2,)
            assert connection.execute(
                "SELECT version_num FROM alembic_version"
            ).fetchone() == (HEAD,)

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ('op.execute("DELETE FROM batch")', "2 dangling references.*example"),
            ('op.execute("DROP TABLE absent")', "no such table"),
        ],
    )
    def test_a_failed_migration_changes_nothing(
        self, paths, store, next_schema, more, message
    ):
        with store.write() as session:
            add_batch(session, ["one", "two"])
        next_schema(more)
        with closing(sqlite3.connect(paths.database)) as connection:
            before = list(connection.iterdump())

        with pytest.raises(StoreError, match=message):
            migrate.upgrade(paths, SETTINGS)

        with closing(sqlite3.connect(paths.database)) as connection:
            assert list(connection.iterdump()) == before

    def test_a_newer_schema_is_left_alone(self, paths, store):
        with closing(sqlite3.connect(paths.database)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            connection.commit()

        with pytest.raises(StoreError, match=f"knows up to {HEAD}; install the newer"):
            migrate.upgrade(paths, SETTINGS)
