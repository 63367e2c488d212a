"""Whether the disk has room for a run, or for what comes in, asked before."""

import errno
from pathlib import Path

from sleepcycle.errors import DiskError, RunError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths
from sleepcycle.settings.config import EngineSettings

COPIES = 3  # of an adapter: the worker's checkpoint, its result, and one to spare
MB = 1_000_000


def expect_room(paths: HomePaths, settings: EngineSettings) -> None:
    """Refuse to begin what the disk has no room for.

    Free must be `engine.reserve_mb`, and three times the newest version.

    Raises:
        RunError: There is less.
    """
    want = wanted_bytes(paths, settings)
    free = disk.free_bytes(paths.root)
    if free < want:
        raise RunError(
            f"expected {want / MB:,.0f} MB of free space at {paths.root} "
            f"(engine.reserve_mb, and three times the newest version), got "
            f"{free / MB:,.0f} MB; free some, such as with: sleepcycle versions gc"
        )


def expect_room_for(
    paths: HomePaths, settings: EngineSettings, size: int, *, beside: int
) -> int:
    """Return how much may come in, where that is enough: a run has its room after it.

    Args:
        paths: The home.
        settings: What must stay free.
        size: Bytes that are to come.
        beside: Bytes that others are yet to bring.

    Raises:
        DiskError: There is less, as `disk.is_full` tells.
    """
    free = disk.free_bytes(paths.root)
    taken = wanted_bytes(paths, settings) + beside
    if size > free - taken:
        lacking = DiskError(
            f"expected {(size + taken) / MB:,.1f} MB of free space at {paths.root} "
            f"(for what comes in, what is on its way, engine.reserve_mb, and three "
            f"times the newest version), got {free / MB:,.1f} MB; {disk.FREE}"
        )
        lacking.errno = errno.ENOSPC
        raise lacking
    return free - taken


def wanted_bytes(paths: HomePaths, settings: EngineSettings) -> int:
    """Return how much space must be free before a run begins."""
    reserve = settings.reserve_mb * MB
    return reserve + COPIES * _newest_bytes(paths.versions)


def _newest_bytes(versions: Path) -> int:
    """Return the size of the version that was sealed last; 0 where there is none."""
    folders = [folder for folder in versions.iterdir() if folder.is_dir()]
    newest = max(folders, key=lambda f: (len(f.name), f.name), default=None)
    if newest is None:
        return 0
    return sum(file.stat().st_size for file in newest.iterdir())
