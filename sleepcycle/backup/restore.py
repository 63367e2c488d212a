"""Restoring: a backup is checked to its last byte, then put in place by renames.

The home that it holds is made ready beside the old one, in the scratch folder. The
database goes first out of the old home and comes last into the new: as long as there is
none, nothing else can run there, and restoring again goes on where it was.
"""

from contextlib import ExitStack, suppress
from pathlib import Path

from sleepcycle.backup import archive, workspace
from sleepcycle.backup.staging import NOTE, Restored, make_ready, placed
from sleepcycle.errors import BackupError, HomeError
from sleepcycle.feed import feed_lock
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.restore_advice import RESTORED
from sleepcycle.home.lock import owned
from sleepcycle.records.codec import from_json
from sleepcycle.store.write_lock import no_writers

FEED_S = 1.0  # for one that is just ending


def restore(file: Path, root: Path, *, in_place: bool = False, actor: str) -> Restored:
    """Make a home of a backup, or put the backup in place of a home's database.

    Nothing is changed before every name, hash, row, version and alias was checked, and
    nothing is lost then: what was there is set aside. Token, inbox, logs, backups and
    cache of a home stay where they are.

    Args:
        file: The backup.
        root: A new or empty directory, or a home.
        in_place: Whether a home that is there may be set aside.
        actor: Who asks, for the journal.

    Raises:
        BackupError: It is no backup, is not whole, its database is damaged, or its
            schema is newer than this package's.
        ConfigError: Its settings are wrong.
        HomeError: There is a home, or something else, or another process owns it.
        DiskError: The disk could not keep it.
    """
    paths, file = HomePaths(root.absolute()), file.absolute()
    fresh = _expect_room(paths, in_place)
    if not file.is_file():
        raise BackupError(f"expected a backup in {file}, and there is no such file")
    disk.make(paths.root)
    with owned(paths), workspace.held(paths):
        try:
            return _restore(file, paths, in_place, actor)
        except BaseException:
            if fresh:
                _leave(paths)
            raise


def _restore(file: Path, paths: HomePaths, in_place: bool, actor: str) -> Restored:
    """Restore in a directory that is held."""
    ready = HomePaths(paths.scratch / RESTORED)
    if ready.database.exists() and not paths.database.exists():
        done = _put_in_place(paths, ready)
        if done.sha256 == archive.hash_file(file).sha256:
            return done
        _expect_room(paths, in_place)
    workspace.clear(paths)
    ready = make_ready(file, paths, actor)
    failpoint("restore.checked")
    with ExitStack() as stack:
        if paths.database.exists():  # what a feed adds in parts stays in one database
            stack.enter_context(feed_lock.held(paths, FEED_S))
        stack.enter_context(no_writers(paths))
        return _put_in_place(paths, ready)


def _expect_room(paths: HomePaths, in_place: bool) -> bool:
    """Refuse to replace what may not be; return whether the place is new or empty.

    The lock and the scratch folder, which a restore may have left, do not count.
    """
    if paths.database.exists() and not in_place:
        raise HomeError(
            f"there is a home at {paths.root}; to set its database, versions and "
            "settings aside: sleepcycle restore BACKUP --replace"
        )
    if paths.database.exists() or (paths.scratch / RESTORED).exists():
        return False
    if not paths.root.exists():
        return True
    if paths.root.is_dir() and set(paths.root.iterdir()) <= {paths.lock, paths.scratch}:
        return True
    if in_place and (paths.versions.is_dir() or paths.config.is_file()):
        return False  # a home that lost its database
    raise HomeError(
        f"expected {paths.root} to be new or empty, but there are other things in it; "
        "name another directory with --at, or if it is a home that lost its database: "
        "sleepcycle restore BACKUP --replace"
    )


def _leave(paths: HomePaths) -> None:
    """Leave a directory as new as it was, unless a whole home waits in it."""
    if paths.database.exists() or (paths.scratch / RESTORED).exists():
        return
    disk.remove(paths.scratch, paths.lock)
    with suppress(OSError):
        paths.root.rmdir()


def _put_in_place(paths: HomePaths, ready: HomePaths) -> Restored:
    """Put a home that is ready in place; done again, it goes on where it was.

    A thing that is still in `ready` was not put in place yet, so that what has its
    name in the home is the old one.
    """
    done = from_json((ready.root / NOTE).read_text(encoding="utf-8"), Restored)
    if done.replaced is not None:
        disk.make(done.replaced)
        for name in placed(paths):
            if (paths.root / name).exists() and _waits(ready, name):
                disk.move(paths.root / name, done.replaced / name)
                failpoint("restore.aside")
    for folder in (paths.staging, paths.cache, paths.logs):
        disk.make(folder)
    for name in reversed(placed(paths)):
        if (ready.root / name).exists():
            disk.move(ready.root / name, paths.root / name)
            failpoint("restore.placed")
    workspace.clear(paths)
    return done


def _waits(ready: HomePaths, name: str) -> bool:
    """Return whether what goes by a name was not put in place yet."""
    if name.startswith(ready.database.name):
        return ready.database.exists()
    return (ready.root / name).exists()
