"""Checks of the machine: its SQLite, disk, memory, speed and clock."""

from dataclasses import asdict
from datetime import datetime, timedelta

from sleepcycle.doctor import learning_time
from sleepcycle.doctor.inspection import (
    Finding,
    Inspection,
    Level,
    fail,
    ok,
    warn,
)
from sleepcycle.doctor.learning_time import by_last_wake, by_product
from sleepcycle.errors import ModelError
from sleepcycle.home.disk_space import wanted_bytes
from sleepcycle.home.memory_report import advice, in_words, report_memory
from sleepcycle.model.device_memory import memory_for
from sleepcycle.model.model_size import read_size
from sleepcycle.settings import base_hold
from sleepcycle.store.connection import OLDEST, SAFE_WAL, journal_mode

MB = 1_000_000
LAST_RUNS = 100  # among which a wake is looked for
NETWORK = {
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "davfs",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
    "smbfs",
    "sshfs",
    "vboxsf",
}
FIRST_YEAR = 2025  # before this package was; the clock of a machine without one is 1970
LAST_YEAR = 2100
SLACK = timedelta(minutes=1)  # by which a clock may be set back unnoticed


def check_sqlite(inspection: Inspection) -> Finding:
    """Look whether the SQLite library is one that keeps a write-ahead log safely."""
    version = inspection.machine.sqlite
    name = ".".join(map(str, version))
    look = "python3 -c 'import sqlite3; print(sqlite3.sqlite_version)'"
    if version < OLDEST:
        return fail(
            f"SQLite is {name}, and 3.38.0 is the oldest that will do",
            f"use a Python where this prints 3.38.0 or more: {look}",
        )
    if version < SAFE_WAL:
        safe = ".".join(map(str, SAFE_WAL))
        return warn(
            f"SQLite is {name}; before {safe} a write-ahead log can damage the "
            "database, so the slower DELETE journal is used",
            f"use a Python where this prints {safe} or more: {look}",
        )
    return ok(f"SQLite is {name}, and its journal is {journal_mode(version)}")


def check_file_system(inspection: Inspection) -> Finding:
    """Look whether the home is on a disk of this machine that can be written."""
    kind = inspection.machine.file_system
    if inspection.machine.read_only:
        return fail(
            f"the file system of {inspection.paths.root} is read-only, so nothing can "
            "be learned or fed",
            "mount it for writing, or name a home elsewhere with --home",
        )
    if kind is None:
        return ok("the file system of the home cannot be told")
    if kind.removeprefix("fuse.").lower() in NETWORK:
        return warn(
            f"the home is on {kind}, and neither SQLite nor the lock can be trusted on "
            "a network file system",
            f"mv {inspection.paths.root} to a local disk, and name it with --home",
        )
    return ok(f"the home is on {kind}")


def check_disk(inspection: Inspection) -> Finding | None:
    """Look whether a run has the room that it wants."""
    if inspection.settings is None or not inspection.paths.versions.is_dir():
        return None
    need = wanted_bytes(inspection.paths, inspection.settings.engine)
    free = inspection.machine.free_bytes
    said = f"{free / MB:,.0f} MB are free, and a run wants {need / MB:,.0f} MB"
    if free < need:
        return fail(said, inspection.command("versions gc"))
    return ok(said)


def check_memory(inspection: Inspection) -> Finding | None:
    """Look whether a wake and a night have the memory that they need, as estimated.

    What is wrong with the base is another check's to tell.
    """
    if inspection.settings is None:
        return None
    free = inspection.machine.memory_bytes
    try:
        report = report_memory(inspection.settings, free_bytes=free)
    except ModelError:
        return None
    if report.fits:
        return Finding(Level.OK, in_words(report), figures=asdict(report))
    fix = f"{advice(report)}, in {inspection.paths.config}"
    return Finding(Level.WARN, in_words(report), fix, asdict(report))


def check_speed(inspection: Inspection) -> Finding | None:
    """Look how long learning takes: by the last wake, else by a guess on a CPU."""
    if inspection.settings is None:
        return None
    try:
        size = read_size(inspection.settings.model)
    except ModelError:
        size = None
    parameters = size.parameters if size else 0
    settings = base_hold.settled(inspection.settings.wake, parameters)
    runs = inspection.tables.last_runs(LAST_RUNS) if inspection.tables else []
    found = by_last_wake(runs, settings)
    if found is None:
        if size is None or memory_for(inspection.settings.engine.device).on_gpu:
            return None
        found = by_product(size, settings)
    return Finding(Level.OK, learning_time.in_words(found), figures=asdict(found))


def check_clock(inspection: Inspection) -> Finding:
    """Look whether the clock can be right, and is not before what was written down."""
    now = inspection.machine.now
    fix = "sudo timedatectl set-ntp true"
    if not FIRST_YEAR <= now.year < LAST_YEAR:
        return fail(f"the clock says {_day(now)}, which cannot be right", fix)
    newest = inspection.tables.newest_time() if inspection.tables else None
    if newest is not None and now < newest - SLACK:
        return warn(
            f"the clock says {_moment(now)}, and the database has an entry of "
            f"{_moment(newest)}: it is wrong, or was",
            fix,
        )
    return ok(f"the clock says {_moment(now)}")


def check_zone(inspection: Inspection) -> Finding | None:
    """Look whether it is known by which clock the nights come."""
    if inspection.settings is None:
        return None
    if inspection.settings.sleep.timezone:
        return ok(f"nights come by the clock of {inspection.settings.sleep.timezone}")
    if inspection.machine.zone is None:
        return fail(
            "the system does not tell its time zone, so no night can be planned",
            f"set sleep.timezone in {inspection.paths.config}, such as "
            'timezone = "Europe/Rome"',
        )
    return ok(f"nights come by the system's clock, which is {inspection.machine.zone}")


def _day(moment: datetime) -> str:
    """Return a date."""
    return moment.strftime("%Y-%m-%d")


def _moment(moment: datetime) -> str:
    """Return a time in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
