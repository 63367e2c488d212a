"""What to do about a home that is not there, or whose database cannot be read."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from sleepcycle.errors import HomeError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths

RESTORED = "restored"  # a whole home in the scratch folder, about to be put in place


def newest_backup(paths: HomePaths) -> Path | None:
    """Return the newest whole backup in a home, or None where it has none."""
    whole = paths.backups.glob("[!.]*.tar*")  # what is being written has a dot
    return max(whole, key=os.path.getmtime, default=None)


def restore_command(paths: HomePaths) -> str:
    """Return the command that puts the newest backup in place of a home's database."""
    backup = newest_backup(paths)
    file = "BACKUP" if backup is None else shlex.quote(str(backup))
    return paths.command(f"restore {file} --replace")


def no_home(paths: HomePaths) -> HomeError:
    """Return the error for a home that is not there, with what really makes one."""
    root = paths.root
    if (paths.scratch / RESTORED).exists():
        return HomeError(
            f"a restore into {root} was cut short; end it by the same command again: "
            f"{paths.command('restore BACKUP')}"
        )
    if not is_free(paths):
        return HomeError(
            f"no home at {root}, but there are other things in it; if it has lost its "
            f"database, put back a copy: {restore_command(paths)}; else name another "
            "directory with --home"
        )
    return HomeError(f"no home at {root}; make one: {paths.command('init')}")


def is_free(paths: HomePaths) -> bool:
    """Return whether a home can be made there: at most a half made one is there."""
    root = paths.root
    return not root.exists() or (root.is_dir() and all(_is_of_making(paths)))


def folders(paths: HomePaths) -> tuple[Path, ...]:
    """Return the folders that every home has."""
    return paths.versions, paths.staging, paths.runs, paths.cache, paths.logs


def _is_of_making(paths: HomePaths) -> Iterator[bool]:
    """Yield of each thing at a place whether it is left of a home's making."""
    files = {paths.config, disk.partial_of(paths.config), paths.lock}
    for path in paths.root.iterdir():
        yield (
            path in files
            or path.name.startswith(paths.database.name)  # SQLite has files beside it
            or path == paths.logs
            or (path in folders(paths) and not any(path.iterdir()))
        )
