"""Checks of the database: schema, integrity, versions, aliases, journal, runs."""

from sleepcycle.doctor.inspection import Finding, Inspection, fail, ok, warn
from sleepcycle.files.restore_advice import RESTORED, is_free
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.settings.config import StoreSettings
from sleepcycle.store import journal
from sleepcycle.store.connection import head
from sleepcycle.store.database import open_store
from sleepcycle.store.integrity import damage
from sleepcycle.store.reader import DatabaseReader, open_reader
from sleepcycle.store.values import Alias

SHOWN = 3  # faults that are named; there may be thousands


def check_database(inspection: Inspection) -> Finding | None:
    """Look whether the database can be opened."""
    if not inspection.paths.root.is_dir():
        return None
    if not inspection.paths.database.exists():
        return fail(f"there is no {inspection.paths.database}", _init(inspection))
    open_reader(inspection.paths).close()  # raises what kept it from being opened
    if inspection.revision is None:
        return fail(f"{inspection.paths.database} is empty", _init(inspection))
    return ok("the database can be opened")


def check_schema(inspection: Inspection) -> Finding | None:
    """Look whether the schema is this package's."""
    found = inspection.revision
    if found is None:
        return None
    if found < head():
        return fail(
            f"the schema is {found}, and this package needs {head()}",
            inspection.command("db upgrade"),
        )
    if found > head():
        return fail(
            f"the schema is {found}, and this package knows up to {head()}",
            "pip install --upgrade sleepcycle",
        )
    return ok(f"the schema is {found}, the newest")


def check_integrity(inspection: Inspection) -> Finding | None:
    """Look whether the database is one that a backup would be made of.

    One that must be brought to this package first, by its schema or by its SQLite, is
    read by SQLite alone.
    """
    if inspection.database is None:
        return None
    if inspection.is_current:
        broken = {int(name[1:]) for name in inspection.unsound}
        if faults := list(damage(inspection.paths, broken=broken)):
            return fail(f"the database is damaged: {_some(faults)}", inspection.restore)
        return ok("the database is whole, and so is every row that is kept twice")
    if faults := inspection.database.integrity_faults():
        return fail(f"the database is damaged: {_some(faults)}", inspection.restore)
    if dangling := inspection.database.dangling_rows():
        return fail(
            f"{len(dangling)} rows refer to rows that are not there, in "
            f"{', '.join(sorted(set(dangling)))}",
            inspection.restore,
        )
    return ok("SQLite finds the database whole")


def check_versions(inspection: Inspection) -> Finding:
    """Look whether the files of every version are what was sealed.

    One that is damaged fails where it is needed: a name points at it, or an open run
    began from it. Without a database, any may be needed.
    """
    if not inspection.folders:
        return ok("no version is sealed yet")
    if not inspection.unsound:
        return ok(f"all {len(inspection.folders)} sealed versions hold")
    bad, database = inspection.unsound, inspection.tables
    used = set(bad) if database is None else bad.keys() & _used(inspection, database)
    faults = [
        f"{name}: {bad[name]}" for name in sorted(bad, key=lambda n: n not in used)
    ]
    said = f"{len(faults)} versions do not hold: {_some(faults)}"
    if used:
        return fail(said, inspection.restore)
    return warn(
        f"{said}; nothing needs them, and backups leave them out",
        inspection.command("versions gc --dry-run"),
    )


def check_aliases(inspection: Inspection) -> Finding | None:
    """Look whether every name points at a version that holds."""
    if (database := inspection.tables) is None:
        return None
    names = {name: f"v{number}" for name, number in database.aliases().items()}
    if Alias.LIVE not in names:
        return fail("no version is live", inspection.restore)
    sound = inspection.sound
    bad = {name: version for name, version in names.items() if version not in sound}
    if not bad:
        return ok(f"live is {names[Alias.LIVE]}, and all names point at what holds")
    said = ", ".join(f"{name} is {version}" for name, version in bad.items())
    fix = _back(inspection, database) if Alias.LIVE in bad else inspection.restore
    return fail(f"{said}, which does not hold", fix)


def check_journal(inspection: Inspection) -> Finding | None:
    """Look whether the journal is as it was written."""
    database = inspection.tables
    if database is None or inspection.revision != head():
        return None
    if not inspection.is_current:
        mode = database.journal_mode()
        return warn(
            f"the database was last used with another SQLite (journal {mode}), so its "
            "rows and the chain of the journal are not checked before it is used again",
            inspection.command("status"),
        )
    settings = inspection.settings.store if inspection.settings else StoreSettings()
    with open_store(inspection.paths, settings).read() as session:
        faults = journal.check(session, inspection.paths)
    if faults:
        return fail(_some(faults), inspection.restore)
    return ok("the journal is as it was written")


def check_runs(inspection: Inspection) -> Finding | None:
    """Look for runs whose process is gone."""
    if (database := inspection.tables) is None:
        return None
    dead = [
        f"run {run.id}, a {run.kind}"
        for run in database.running_runs()
        if not run.is_alive()
    ]
    if dead:
        return warn(
            f"{_some(dead)}: its process is gone, and the next wake or start of the "
            "service settles it",
            inspection.command("wake"),
        )
    return ok("no run was left open by a process that is gone")


def _used(inspection: Inspection, database: DatabaseReader) -> set[str]:
    """Return the versions that a name points at, or that an open run began from."""
    used = {f"v{number}" for number in database.aliases().values()}
    names = {folder.name: name for name, folder in inspection.folders.items()}
    for run in database.open_runs():
        try:
            order = RunFolder(inspection.paths.run(run)).read_order()
        except (OSError, ValueError, LookupError):
            continue  # it was not ordered yet, or cannot go on
        needed = (order.live, order.day, *order.archive.values())
        used |= {names[path.name] for path in needed if path and path.name in names}
    return used


def _some(faults: list[str]) -> str:
    """Return the first faults, and how many more there are."""
    more = f"; {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return "; ".join(faults[:SHOWN]) + more


def _init(inspection: Inspection) -> str:
    """Return the command for a home without a database: an old copy, or a new home."""
    paths = inspection.paths
    if (paths.scratch / RESTORED).exists():
        return inspection.command("restore BACKUP")
    return inspection.command("init") if is_free(paths) else inspection.restore


def _back(inspection: Inspection, database: DatabaseReader) -> str:
    """Return the command that makes the newest version live that holds."""
    names = (f"v{number}" for number in database.rollback_targets())
    good = next((name for name in names if name in inspection.sound), None)
    return inspection.command(f"rollback {good}") if good else inspection.restore
