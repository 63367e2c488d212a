"""The home's lock: one owner at a time, and in it one run, rollback or migration."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sleepcycle.errors import HomeError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.address import find_service

_busy: dict[Path, threading.Lock] = {}
_guard = threading.Lock()


@contextmanager
def owned(paths: HomePaths) -> Iterator[None]:
    """Own a home for the length of a block, as the service does for its life.

    Inside it this process alone may `lock` the home. The operating system lets go of
    it when the process ends, however it ends.

    Raises:
        HomeError: Another process owns it.
    """
    lock = _lock(paths)
    try:
        lock.acquire()
    except Timeout as error:
        raise HomeError(f"{paths.root} is in use: {_owner(paths)}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked(paths: HomePaths) -> Iterator[None]:
    """Hold the home for the length of a block, against threads of this process too.

    Raises:
        HomeError: Another process or thread holds it.
    """
    with _guard:
        busy = _busy.setdefault(paths.root.absolute(), threading.Lock())
    if not busy.acquire(blocking=False):
        raise HomeError(
            f"{paths.root} is in use: the service is running a wake, a night or a "
            "rollback there; wait for it, or cancel the run"
        )
    try:
        with owned(paths):
            yield
    finally:
        busy.release()


def owns(paths: HomePaths) -> bool:
    """Return whether this process owns a home."""
    return _lock(paths).is_locked


def _lock(paths: HomePaths) -> FileLock:
    """Return the lock of a home: one object in this process."""
    return FileLock(
        paths.lock,
        timeout=0,
        mode=0o600,
        is_singleton=True,
        thread_local=False,  # the service's threads hold what its main thread owns
    )


def _owner(paths: HomePaths) -> str:
    """Return who owns a home that is owned, and what to do about it."""
    service = find_service(paths)
    if service is not None:
        pid = service.pid
        return f"the service (pid {pid}) owns it; to stop it: kill {pid}"
    return (
        "another sleepcycle process is running a wake, a night or a rollback there; "
        "wait for it, or stop it"
    )
