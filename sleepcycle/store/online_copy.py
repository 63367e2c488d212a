"""Copy the database of a home as it is at one moment, while others use it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sleepcycle.files.paths import HomePaths
from sleepcycle.store.connection import connect, explain


def copy_database(paths: HomePaths, target: Path, timeout_s: float) -> None:
    """Copy the database into a file that is closed to other users; writers wait.

    The copy is not flushed to the disk.

    Args:
        paths: The home.
        target: A new file, or an empty one.
        timeout_s: How long to wait for a writer.

    Raises:
        HomeError: There is no database.
        StoreError: The database is busy or damaged.
        DiskError: The disk is full, or failed.
    """
    target.touch(mode=0o600)
    try:
        with (
            closing(connect(paths, timeout_s)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    except sqlite3.Error as error:
        raise explain(error, paths) from error
