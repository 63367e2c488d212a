"""Backups: one moment of a home in one file, made while the service runs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path

from sleepcycle.backup import archive, workspace
from sleepcycle.errors import BackupError, DiskError
from sleepcycle.feed.parts import drop_abandoned
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.sealed import faults
from sleepcycle.records.version import Version
from sleepcycle.settings.config import StoreSettings
from sleepcycle.store import journal, version_table
from sleepcycle.store.database import Session, Store, open_store
from sleepcycle.store.integrity import damage
from sleepcycle.store.online_copy import copy_database
from sleepcycle.store.snapshot import read_snapshot

BACKUP_NAME = "sleepcycle-%Y%m%dT%H%M%S.%fZ.tar"  # such names sort by their time


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made, and read back."""

    file: Path
    versions: int
    """How many versions have their files in it."""

    examples: int
    size_bytes: int
    sha256: str
    left_out: tuple[str, ...]
    """Versions whose files are not what was sealed, and what no name points at."""


@dataclass(frozen=True, slots=True)
class KeptBackup:
    """A backup that lies in the home's own folder of them."""

    name: str
    size_bytes: int
    made_at: datetime


def list_backups(paths: HomePaths) -> list[KeptBackup]:
    """Return the whole backups in the home's own folder, newest first."""
    found = []
    for file in paths.backups.glob("[!.]*.tar*"):  # what is being written has a dot
        with suppress(FileNotFoundError):
            about = file.stat()
            made_at = datetime.fromtimestamp(about.st_mtime, UTC)
            found.append(KeptBackup(file.name, about.st_size, made_at))
    return sorted(found, key=lambda one: one.made_at, reverse=True)


def back_up(
    paths: HomePaths,
    settings: StoreSettings,
    file: Path | None = None,
    *,
    actor: str,
) -> Backup:
    """Write a home's database, versions and settings into one file.

    Feeds and runs may go on: the database is copied as it is at one moment, and then
    the versions that the copy names, whose bytes never change. The token, the cache,
    the inbox, the logs and the folders of runs are not in it: a restored home undoes
    the runs that were open, so that their examples are pending again.

    Args:
        paths: The home.
        settings: How long to wait for a writer.
        file: A new file, compressed if its name ends in `.gz`; or a folder, which gets
            one that is named by the time. None for the home's own `backups`.
        actor: Who asks, for the journal of the copy where a version is left out.

    Raises:
        BackupError: The file is there, cannot be written, or another backup is on; or
            the live version or another that has a name is damaged.
        StoreError: The database is damaged.
        DiskError: The disk could not keep it.
    """
    target = _target(paths, file)
    own = target.parent == paths.backups.absolute()
    partial = paths.scratch / target.name if own else disk.partial_of(target)
    with workspace.empty(paths) as place, _gone_on_failure(partial):
        copy = HomePaths(place / "copy")
        store = _copy_database(paths, copy, settings)
        left_out = _leave_out(store, paths.versions, actor)
        _copy_config(paths, copy)
        _expect_whole(store, copy, paths.versions)
        failpoint("backup.copied")
        with store.read() as session:
            files = _files(session, copy, paths.versions)
            saved = len(_with_files(session))
        contents = _describe(copy, saved)
        with suppress(FileNotFoundError):
            partial.unlink()  # of one that was killed
        written = archive.pack(partial, files, contents)
        if archive.unpack(partial, None) != written:
            raise BackupError(
                f"expected {partial} to be as it was written; {disk.MISTRUST}"
            )
        whole = archive.hash_file(partial)
        failpoint("backup.written")
        _expect_new(target)
        disk.move(partial, target)
    return Backup(
        file=target,
        versions=contents.versions,
        examples=contents.examples,
        size_bytes=whole.size_bytes,
        sha256=whole.sha256,
        left_out=left_out,
    )


def _target(paths: HomePaths, file: Path | None) -> Path:
    """Return where the backup goes, which must be new."""
    folder = paths.backups if file is None else file
    if file is None:
        disk.make(paths.backups)
    if folder.is_dir():
        file = folder / datetime.now(UTC).strftime(BACKUP_NAME)
    target = (file or folder).absolute()
    _expect_new(target)
    if not target.parent.is_dir():
        raise BackupError(
            f"expected the folder {target.parent} to be there, and it is not; make it"
        )
    return target


def _expect_new(target: Path) -> None:
    """Refuse to write over anything."""
    if target.exists():
        raise BackupError(f"expected a new file, but {target} exists already")


@contextmanager
def _gone_on_failure(partial: Path) -> Iterator[None]:
    """Delete the part of a file that failed, and turn its error into ours."""
    try:
        yield
    except BaseException as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, DiskError):
            raise BackupError(f"expected to write a backup, got: {error}") from error
        raise


def _copy_database(paths: HomePaths, copy: HomePaths, settings: StoreSettings) -> Store:
    """Copy the database as it is at one moment; writers wait while that goes on.

    `journal.head` is copied before, so that the copy must have its entry.
    """
    disk.make(copy.root)
    if paths.journal_head.exists():
        disk.write(copy.journal_head, paths.journal_head.read_text(encoding="utf-8"))
    copy_database(paths, copy.database, settings.busy_timeout_s)
    store = open_store(copy, settings)
    drop_abandoned(store)  # of a feed that is on
    return store


def _copy_config(paths: HomePaths, copy: HomePaths) -> None:
    """Copy the settings; a home without any has the defaults."""
    text = paths.config.read_text(encoding="utf-8") if paths.config.exists() else ""
    disk.write(copy.config, text)


def _leave_out(store: Store, folders: Path, actor: str) -> tuple[str, ...]:
    """Write down in the copy that damaged versions without a name are gone.

    One that was damaged years ago must not keep all the others from being saved.
    """
    with store.read() as session:
        names = version_table.aliases(session).values()
        saved = _with_files(session)
    broken = [
        (version, fault)
        for version in saved
        if (fault := next(faults(folders / str(version.folder)), None))
    ]
    with store.write() as session:
        for version, fault in broken:
            if version.number in names:
                raise BackupError(
                    f"{version.name} is damaged ({fault}) and a name points at it; "
                    "make another one live or restore an older backup, then back up"
                )
            version_table.remove(session, version.number, f"damaged: {fault}")
            journal.append(
                session, actor, "leave out", version=version.name, reason=fault
            )
        journal.anchor(session, store.paths)
    return tuple(version.name for version, _ in broken)


def _expect_whole(store: Store, copy: HomePaths, folders: Path) -> None:
    """Refuse to back up a damaged database: older backups are of a whole one."""
    found = list(damage(copy, folders))
    with store.read() as session:
        found += journal.check(session, copy)
    for fault in found[:1]:
        raise BackupError(
            f"expected a whole database to back up, but {fault}; see: sleepcycle doctor"
        )


def _with_files(session: Session) -> list[Version]:
    """Return the versions whose files must be there."""
    gone = version_table.removed(session)
    return [
        version
        for version in version_table.list_versions(session)
        if version.folder and version.number not in gone
    ]


def _files(session: Session, copy: HomePaths, folders: Path) -> dict[str, Path]:
    """Return where each file of the backup comes from, by its name in there."""
    own = copy.database, copy.config, copy.journal_head
    found = {path.name: path for path in own if path.exists()}
    for version in _with_files(session):
        for path in sorted((folders / str(version.folder)).iterdir()):
            found[f"versions/{version.folder}/{path.name}"] = path
    return found


def _describe(copy: HomePaths, saved: int) -> archive.Contents:
    """Return the contents of the backup, without its files."""
    return archive.Contents(
        format=archive.FORMAT,
        sleepcycle=package_version("sleepcycle"),
        created_at=datetime.now(UTC),
        versions=saved,
        examples=read_snapshot(copy).counts.accepted,
        files={},
    )
