"""A backup taken out, checked, and made a whole home that waits to be put in place."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sleepcycle.backup import archive
from sleepcycle.errors import BackupError, StoreError
from sleepcycle.files import disk
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.restore_advice import RESTORED
from sleepcycle.files.sealed import faults
from sleepcycle.records.codec import to_json
from sleepcycle.records.run_order import RunState
from sleepcycle.settings.config import StoreSettings
from sleepcycle.settings.configfile import load_settings
from sleepcycle.store import example_table, journal, migrate, run_table, version_table
from sleepcycle.store.database import Store, open_store
from sleepcycle.store.integrity import damage, planted
from sleepcycle.store.values import Alias

NOTE = "restored.json"  # in a home that is ready: what is to be done with it
ORPHANED = "it was open when the backup was made"
SIDECARS = ("-journal", "-wal", "-shm")  # SQLite's; never to lie beside another file


@dataclass(frozen=True, slots=True)
class Restored:
    """A home that was put back."""

    home: Path
    file: Path
    sha256: str
    live: str
    versions: int
    """How many versions have their files."""

    examples: int
    undone: tuple[int, ...]
    """Runs that were open when the backup was made; their examples are pending."""

    replaced: Path | None
    """Where the old database, versions, runs and settings are, if there were any."""


def make_ready(file: Path, paths: HomePaths, actor: str) -> HomePaths:
    """Take a backup out, check all of it, and let it be a whole home.

    Args:
        file: The backup.
        paths: The home that it is for; its scratch folder is empty.
        actor: Who asks, for the journal.

    Returns:
        The home that is ready, in the scratch folder.

    Raises:
        BackupError: It is no backup, is not whole, its database is damaged, or its
            schema is newer than this package's.
        ConfigError: Its settings are wrong.
    """
    stage = HomePaths(paths.scratch / "stage")
    sha256, contents = archive.hash_file(file).sha256, _take_out(file, stage)
    store = open_store(stage, StoreSettings())
    for fault in _all_faults(store):
        raise BackupError(
            f"expected a whole home in {file}, but {fault}; take another backup"
        )
    aside = _aside(paths)
    live, undone = _enter(
        store,
        actor,
        file=file.name,
        sha256=sha256,
        made_at=contents.created_at.isoformat(),
        replaced=aside.name if aside else None,
    )
    done = Restored(
        home=paths.root,
        file=file,
        sha256=sha256,
        live=live,
        versions=contents.versions,
        examples=contents.examples,
        undone=undone,
        replaced=aside,
    )
    disk.write(stage.root / NOTE, to_json(done))
    ready = HomePaths(paths.scratch / RESTORED)
    disk.move(stage.root, ready.root)
    return ready


def placed(paths: HomePaths) -> list[str]:
    """Return what is moved out of a home, in this order, and into it the other way."""
    database = paths.database.name
    own = paths.versions, paths.runs, paths.config, paths.journal_head
    return [
        database,
        *(database + suffix for suffix in SIDECARS),
        *(path.name for path in own),
    ]


def _take_out(file: Path, stage: HomePaths) -> archive.Contents:
    """Take a backup's files out, and bring its database to this package's schema."""
    disk.make(stage.root)
    contents = archive.unpack(file, stage.root)
    for path in (stage.config, stage.database):
        if not path.exists():
            raise BackupError(
                f"expected a whole backup in {file}, but {path.name} is missing"
            )
    load_settings(stage.config)
    disk.make(stage.versions)
    disk.make(stage.runs)
    try:
        for fault in planted(stage):
            raise BackupError(
                f"expected a backup of a home in {file}, but {fault}; take another one"
            )
        migrate.upgrade(stage, StoreSettings())
    except StoreError as error:
        raise BackupError(f"expected a whole home in {file}, but {error}") from error
    disk.remove(stage.backups)  # of the older schema
    return contents


def _all_faults(store: Store) -> Iterator[str]:
    """Yield what is wrong with a home that was taken out, the worst first."""
    yield from damage(store.paths)
    try:
        with store.read() as session:
            found = journal.check(session, store.paths)
        yield from found
        with store.read() as session:
            gone = version_table.removed(session)
            known = version_table.list_versions(session)
            names = version_table.aliases(session)
        there = {v.number: v.folder for v in known if v.folder and v.number not in gone}
        yield from _file_faults(store.paths.versions, there)
        yield from _alias_faults(names, gone)
    except (StoreError, ValueError, TypeError, LookupError) as error:
        yield f"its database cannot be read: {error}"


def _file_faults(place: Path, known: Mapping[int, str]) -> Iterator[str]:
    """Yield what is wrong with the files of the versions that must be there."""
    for path in sorted(place.iterdir()):
        if path.name not in known.values():
            yield f"its database does not know {path.name}"
    for number, folder in known.items():
        yield from (f"v{number}: {f}" for f in faults(place / folder))


def _alias_faults(names: Mapping[str, int], gone: Container[int]) -> Iterator[str]:
    """Yield what is wrong with the names of versions."""
    if Alias.LIVE not in names:
        yield "no version is live"
    for name, number in names.items():
        if number in gone:
            yield f"{name} is v{number}, whose files were removed"


def _aside(paths: HomePaths) -> Path | None:
    """Return where the old home's things go; None where there are none."""
    if not any((paths.root / name).exists() for name in placed(paths)):
        return None
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return paths.root / f"replaced-{moment}"


def _enter(store: Store, actor: str, **details: object) -> tuple[str, tuple[int, ...]]:
    """Write the restore into the database; return what is live, and which runs ended.

    A run that was open when the backup was made is undone, since its folder is not in
    it: its examples are pending again.
    """
    with store.write() as session:
        left = [
            run.id
            for run in (*run_table.running(session), *run_table.paused_runs(session))
        ]
        for run in left:
            released = example_table.release(session, run)
            run_table.finish(session, run, RunState.FAILED, report=None, error=ORPHANED)
            journal.append(
                session,
                actor,
                f"run {RunState.FAILED}",
                run=run,
                error=ORPHANED,
                released=released,
            )
        journal.append(session, actor, "restore", **details)
        return version_table.resolve(session, Alias.LIVE).name, tuple(left)
