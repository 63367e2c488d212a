"""The home's lock: one run, rollback or migration at a time."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from sleepcycle.errors import HomeError
from sleepcycle.paths import HomePaths


@contextmanager
def locked(paths: HomePaths) -> Iterator[None]:
    """Hold the home for the length of a block.

    The operating system lets go of it when the process ends, however it ends.

    Raises:
        HomeError: Another process holds it.
    """
    lock = FileLock(paths.lock, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise HomeError(
            f"{paths.root} is in use: another sleepcycle process is running a wake, a "
            "night or a rollback there; wait for it, or stop it"
        ) from error
    try:
        yield
    finally:
        lock.release()
