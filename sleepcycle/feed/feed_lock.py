"""The lock of feeding: one feed of a home at a time adds rows."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from loguru import logger

from sleepcycle.errors import StoreError
from sleepcycle.files.paths import HomePaths

POLL_S = 0.05


@contextmanager
def held(paths: HomePaths, patience_s: float | None = None) -> Iterator[None]:
    """Hold the lock for the length of a block, after whoever has it.

    The operating system takes it from a process that ends, however that ends.

    Args:
        paths: The home.
        patience_s: How long to wait for it; None for as long as it takes.

    Raises:
        StoreError: Another feed still has it.
    """
    lock = FileLock(paths.feed_lock, mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=0, poll_interval=POLL_S)
    except Timeout:
        _wait(lock, paths, patience_s)
    try:
        yield
    finally:
        lock.release()


def _wait(lock: FileLock, paths: HomePaths, patience_s: float | None) -> None:
    """Wait for another feed, and log that."""
    if patience_s is None:
        logger.info("waiting for another feed to be stored")
    try:
        lock.acquire(
            timeout=-1 if patience_s is None else patience_s, poll_interval=POLL_S
        )
    except Timeout as error:
        raise StoreError(
            f"expected no feed to be adding rows to {paths.root}, but one is; try "
            "again when it is done"
        ) from error
