"""Readiness: whether runs can begin, in words without a path or a text."""

from sleepcycle.daemon.state import Activity, DaemonState
from sleepcycle.errors import RunError, SleepcycleError
from sleepcycle.files.paths import HomePaths
from sleepcycle.home.disk_space import expect_room
from sleepcycle.home.lock import owns
from sleepcycle.settings.config import Settings, StoreSettings
from sleepcycle.store.migrate import check

PATIENCE_S = 1.0  # for whoever is just writing to the database


def not_ready_reason(
    paths: HomePaths, settings: Settings, state: DaemonState
) -> str | None:
    """Return the first thing that keeps runs from beginning, or None."""
    return (
        _not_owned(paths)
        or _no_database(paths)
        or _full_disk(paths, settings)
        or _backing_off(state)
    )


def _not_owned(paths: HomePaths) -> str | None:
    """Return that another process may be at work in the home."""
    if owns(paths):
        return None
    return "the home is not held by this service; restart it"


def _no_database(paths: HomePaths) -> str | None:
    """Return that the database does not answer, or has an older schema."""
    try:
        check(paths, StoreSettings(busy_timeout_s=PATIENCE_S))
    except SleepcycleError:
        return "the database cannot be used; see: sleepcycle doctor"
    return None


def _full_disk(paths: HomePaths, settings: Settings) -> str | None:
    """Return that the disk is too full for a run."""
    try:
        expect_room(paths, settings.engine)
    except RunError:
        return "the disk has no room for a run; see: sleepcycle status"
    return None


def _backing_off(state: DaemonState) -> str | None:
    """Return that the service waits, as after a run that failed."""
    if state.word is not Activity.WAITING:
        return None
    return (
        "a run failed or could not begin, and the next try is waited for; see: "
        "sleepcycle status"
    )
