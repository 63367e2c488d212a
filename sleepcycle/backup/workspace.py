"""The scratch folder: one backup, restore or clearing at a time works in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sleepcycle.errors import BackupError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths

LOCK = "lock"


@contextmanager
def held(paths: HomePaths) -> Iterator[Path]:
    """Have the scratch folder of a home for a block, with whatever is in it.

    Nobody else can take away the files of a version meanwhile.

    Raises:
        BackupError: Another backup, restore or clearing is on.
        DiskError: The disk could not keep it.
    """
    disk.make(paths.scratch)
    lock = FileLock(paths.scratch / LOCK, timeout=0, mode=0o600, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise BackupError(
            f"expected {paths.root} to have no backup, restore or clearing of old "
            "versions going on, but there is one; try again when it is done"
        ) from error
    try:
        yield paths.scratch
    finally:
        lock.release()


@contextmanager
def empty(paths: HomePaths) -> Iterator[Path]:
    """Have the scratch folder of a home for a block, empty before and after.

    What a process left that was killed is deleted.

    Raises:
        BackupError: Another backup, restore or clearing is on.
        DiskError: The disk could not keep it.
    """
    with held(paths) as place:
        clear(paths)
        try:
            yield place
        except BaseException as error:
            if not disk.is_failed(error):
                clear(paths)
            raise
        clear(paths)


def clear(paths: HomePaths) -> None:
    """Delete all in the scratch folder but its lock."""
    disk.remove(*(path for path in paths.scratch.iterdir() if path.name != LOCK))
