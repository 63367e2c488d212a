"""What the checks look at, and what they find: a home, its machine, findings."""

import fcntl
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from sleepcycle.errors import ServiceError
from sleepcycle.files.paths import HomePaths
from sleepcycle.files.restore_advice import restore_command
from sleepcycle.files.sealed import faults
from sleepcycle.home.address import read_address
from sleepcycle.model.device_memory import host_memory
from sleepcycle.settings.config import Settings
from sleepcycle.store.connection import head, journal_mode, sqlite_version
from sleepcycle.store.reader import DatabaseReader


class Level(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    WARN = "warn"
    """Worth a look; the service runs."""

    FAIL = "fail"
    """Something does not work, or soon will not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    level: Level
    message: str
    fix: str | None = None
    """What to do, as a command where there is one; None where all is well."""

    figures: Mapping[str, object] | None = None
    """What was measured, for programs; None where there is nothing but the words."""


def ok(message: str) -> Finding:
    """Return a finding that nothing is wrong."""
    return Finding(Level.OK, message)


def warn(message: str, fix: str) -> Finding:
    """Return a finding that needs a look."""
    return Finding(Level.WARN, message, fix)


def fail(message: str, fix: str) -> Finding:
    """Return a finding that something does not work."""
    return Finding(Level.FAIL, message, fix)


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts of a machine that a home depends on."""

    sqlite: tuple[int, ...]
    """Version of the SQLite library."""

    file_system: str | None
    """Kind of the file system below the home; None where it cannot be told."""

    free_bytes: int
    """Free disk space below the home."""

    memory_bytes: int
    """Memory that can be had without swapping."""

    zone: str | None
    """The system's time zone; None where it cannot be told."""

    now: datetime
    read_only: bool = False
    """Whether the file system below the home takes no writes."""


def inspect(root: Path) -> Machine:
    """Return the facts of this machine, for a home that need not be there."""
    import psutil

    above = (root, *root.parents)
    place = next(path for path in above if os.path.exists(path))
    return Machine(
        sqlite=sqlite_version(),
        file_system=_file_system(place),
        free_bytes=psutil.disk_usage(str(place)).free,
        memory_bytes=host_memory()[0],
        zone=_zone(),
        now=datetime.now(UTC),
        read_only=bool(os.statvfs(place).f_flag & os.ST_RDONLY),
    )


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """A service that is recorded as the owner of the home."""

    pid: int
    alive: bool


@dataclass(frozen=True)
class Inspection:
    """A home that is checked; whatever is wrong with it, it can be looked at."""

    paths: HomePaths
    settings: Settings | None
    """None where they cannot be read."""

    database: DatabaseReader | None
    """None where it cannot be opened."""

    machine: Machine
    answers: Callable[[], bool]
    """Asks the running service whether it answers."""

    def command(self, words: str) -> str:
        """Return a command on this home, as a person types it."""
        return self.paths.command(words)

    @property
    def restore(self) -> str:
        """The command that puts back the newest backup of the home, or another."""
        return restore_command(self.paths)

    @cached_property
    def revision(self) -> str | None:
        """The schema's revision; None without a database, or in an empty one."""
        return None if self.database is None else self.database.revision()

    @cached_property
    def is_current(self) -> bool:
        """Whether the database has this package's schema and this SQLite's journal.

        To open any other as ours would change it.
        """
        if self.database is None or self.revision != head():
            return False
        mode = self.database.journal_mode().upper()
        return mode == journal_mode(self.machine.sqlite)

    @property
    def tables(self) -> DatabaseReader | None:
        """The database; None where it cannot be opened or has no tables."""
        return None if self.revision is None else self.database

    @cached_property
    def folders(self) -> dict[str, Path]:
        """The folder of each version, by its name; without a database those on disk.

        Versions whose files were removed have none.
        """
        below = self.paths.versions
        if self.tables is None:
            found = below.iterdir() if below.is_dir() else ()
            return {path.name: path for path in sorted(found) if path.is_dir()}
        folders, removed = self.tables.version_folders(), self.tables.removed_versions()
        return {
            f"v{number}": below / folder
            for number, folder in folders.items()
            if number not in removed
        }

    @cached_property
    def unsound(self) -> dict[str, str]:
        """What is wrong with each version that does not hold; every byte is read."""
        found = {name: fault_of(folder) for name, folder in self.folders.items()}
        return {name: fault for name, fault in found.items() if fault}

    @property
    def sound(self) -> set[str]:
        """Names of the versions that can be used: the bare base, and what holds."""
        return {"v0", *self.folders} - self.unsound.keys()

    @cached_property
    def service(self) -> ServiceProcess | None:
        """The service that is recorded in the home; None where none is."""
        try:
            said = read_address(self.paths)
        except ServiceError:
            return None
        return None if said is None else ServiceProcess(said.pid, alive=said.is_alive())


def fault_of(folder: Path) -> str:
    """Return what is wrong with a sealed folder; empty where it holds."""
    try:
        return "; ".join(faults(folder))
    except (OSError, ValueError, LookupError, TypeError) as error:
        return f"its manifest cannot be read: {error!r}"


def is_held(paths: HomePaths) -> bool:
    """Return whether a process holds the home's lock, without waiting for it."""
    try:
        handle = os.open(paths.lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _file_system(place: Path) -> str | None:
    """Return the kind of the file system that holds a place."""
    import psutil

    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    resolved = place.resolve()
    for path in (resolved, *resolved.parents):
        if str(path) in mounts:
            return str(mounts[str(path)])
    return None


def _zone() -> str | None:
    """Return the system's time zone."""
    import tzlocal

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns where it has to guess
            return str(tzlocal.get_localzone())
    except (LookupError, ValueError, OSError):
        return None
