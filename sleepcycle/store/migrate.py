"""Bring the schema of a home up to this package's."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from sleepcycle.errors import StoreError
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.paths import HomePaths
from sleepcycle.settings.config import StoreSettings
from sleepcycle.store import journal
from sleepcycle.store.connection import (
    UNREADABLE,
    connect,
    explain,
    head,
    known_revision,
    migrations,
    refuse_older,
)
from sleepcycle.store.online_copy import copy_database
from sleepcycle.store.values import Upgrade


def check(paths: HomePaths, settings: StoreSettings) -> None:
    """Refuse a schema that is not this package's.

    Raises:
        HomeError: There is no home.
        StoreError: The schema is older or newer, or the file is damaged.
    """
    refuse_older(_current(paths, settings), paths)


def upgrade(paths: HomePaths, settings: StoreSettings) -> Upgrade:
    """Bring a home to the newest schema, after making a copy of it.

    All migrations are one transaction: they all happen, or none.

    Raises:
        HomeError: There is no home.
        StoreError: The schema is newer than this package, a reference would have
            been left dangling, or SQLite failed.
    """
    before = _current(paths, settings)
    if before == head():
        return Upgrade(before, before, None)
    try:
        backup = _back_up(paths, settings, before)
        _migrate(paths, settings)
    except (sqlite3.Error, DBAPIError) as error:
        raise explain(getattr(error, "orig", error), paths) from error
    return Upgrade(before, head(), backup)


def run(connection: Connection) -> None:
    """Run the missing migrations inside the transaction of a connection."""
    from alembic import command  # a tenth of a second that few calls need
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _current(paths: HomePaths, settings: StoreSettings) -> str:
    """Return the revision of a home, which this package must know."""
    try:
        with closing(connect(paths, settings.busy_timeout_s)) as connection:
            return known_revision(connection, paths)
    except UNREADABLE as error:
        raise explain(error, paths) from error


def _back_up(paths: HomePaths, settings: StoreSettings, before: str) -> Path:
    """Copy the database; a copy under its final name is whole."""
    disk.make(paths.backups)
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    final = paths.backups / f"sleepcycle-{before}-{moment}.db"
    partial_copy = final.with_suffix(".partial")
    copy_database(paths, partial_copy, settings.busy_timeout_s)
    disk.sync(partial_copy)
    failpoint("migrate.copy")
    disk.move(partial_copy, final)
    return final


def _migrate(paths: HomePaths, settings: StoreSettings) -> None:
    """Migrate with references unchecked, as SQLite's copying of tables needs it."""
    engine = create_engine(
        "sqlite://",
        creator=partial(connect, paths, settings.busy_timeout_s),
        poolclass=NullPool,
    )
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        run(connection)
        dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if dangling:
            raise StoreError(
                f"database {paths.database} was left as it was: the migration would "
                f"leave {len(dangling)} dangling references, the first in table "
                f"{dangling[0][0]}"
            )
        failpoint("migrate.commit")
        connection.commit()
        failpoint("migrate.anchor")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with Session(connection) as session:
            journal.anchor(session, paths)
