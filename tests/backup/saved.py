"""Backups that are made, put back and packed anew."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from sleepcycle.backup import archive
from sleepcycle.backup.backup import back_up
from sleepcycle.backup.restore import restore
from sleepcycle.home.opening import open_home
from tests.journaled import journal_entries


def save(home, file=None):
    return back_up(home.paths, home.settings.store, file, actor="test")


def put_back(file, root, *, in_place=False):
    return restore(Path(file), root, in_place=in_place, actor="test")


def last_entry(root):
    with open_home(root).store.read() as session:
        return journal_entries(session, 1)[0]


def sql(folder, *statements):
    with closing(sqlite3.connect(folder / "sleepcycle.db")) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


def pack(tmp_path, folder, contents):
    """Write a backup of whatever lies in a folder, with hashes that are right."""
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    archive.pack(tmp_path / "packed.tar", files, replace(contents, files={}))
    return tmp_path / "packed.tar"
