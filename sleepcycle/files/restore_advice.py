"""What to do about a home that is not there, or whose database cannot be read."""

import os
import shlex
from pathlib import Path

from sleepcycle.errors import HomeError
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
    """Return the error for a home that is not there."""
    root = paths.root
    if (paths.scratch / RESTORED).exists():
        return HomeError(
            f"a restore into {root} was cut short; end it by the same command again: "
            f"{paths.command('restore BACKUP')}"
        )
    return HomeError(f"no home at {root}; make one: {paths.command('init')}")
