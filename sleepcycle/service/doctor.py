"""The doctor: looks at a home and its machine, says what is wrong, changes nothing."""

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from pathlib import Path

from sleepcycle.errors import SleepcycleError
from sleepcycle.files.paths import HomePaths
from sleepcycle.service import bookchecks, homechecks, machinechecks
from sleepcycle.service.patient import (
    Finding,
    Level,
    Machine,
    Patient,
    fail,
    inspect,
    open_books,
)
from sleepcycle.settings.config import Settings
from sleepcycle.settings.configfile import load_settings
from sleepcycle.store.connection import explain

Check = Callable[[Patient], Finding | None]

CHECKS: dict[str, Check] = {
    "sqlite": machinechecks.check_sqlite,
    "home": homechecks.check_home,
    "token": homechecks.check_token,
    "settings": homechecks.check_settings,
    "curriculum": homechecks.check_curriculum,
    "lock": homechecks.check_lock,
    "database": bookchecks.check_database,
    "schema": bookchecks.check_schema,
    "integrity": bookchecks.check_integrity,
    "journal": bookchecks.check_journal,
    "versions": bookchecks.check_versions,
    "aliases": bookchecks.check_aliases,
    "runs": bookchecks.check_runs,
    "base": homechecks.check_base,
    "inbox": homechecks.check_inbox,
    "disk": machinechecks.check_disk,
    "file system": machinechecks.check_file_system,
    "memory": machinechecks.check_memory,
    "clock": machinechecks.check_clock,
    "time zone": machinechecks.check_zone,
}
"""Every check by its name; one that has nothing to look at finds None."""


def examine(
    root: Path, *, answers: Callable[[], bool], machine: Machine | None = None
) -> dict[str, Finding]:
    """Look at a home in every way; what is broken is a finding and never an error.

    Args:
        root: The state directory; it need not be there.
        answers: Asks the running service for a sign of life.
        machine: Facts of the machine; None to look.

    Returns:
        What each check found that had anything to look at, by its name.
    """
    paths = HomePaths(root)
    books = _books(paths)
    with closing(books) if books else nullcontext():
        patient = Patient(
            paths, _settings(paths), books, machine or inspect(root), answers
        )
        found = {name: _look(check, patient) for name, check in CHECKS.items()}
    return {name: finding for name, finding in found.items() if finding is not None}


def is_healthy(found: Mapping[str, Finding]) -> bool:
    """Say whether nothing failed."""
    return all(finding.level is not Level.FAIL for finding in found.values())


def _look(check: Check, patient: Patient) -> Finding | None:
    """Run one check; what it raises is what it found."""
    try:
        return check(patient)
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the text of a row, too
        said = str(explain(error, patient.paths)).partition("; ")[0]
        return fail(said, patient.restore)
    except SleepcycleError as error:
        said, _, advice = str(error).partition("; ")
        return fail(said, advice or patient.command("bugreport"))
    except Exception as error:  # noqa: BLE001 - a home may be broken in any way
        return fail(
            f"it could not be looked at: {type(error).__name__}: {error}",
            patient.command("bugreport"),
        )


def _settings(paths: HomePaths) -> Settings | None:
    """Return the settings, if they can be read."""
    try:
        return load_settings(paths.config)
    except (SleepcycleError, OSError):
        return None


def _books(paths: HomePaths) -> sqlite3.Connection | None:
    """Return the database, if it can be opened."""
    try:
        return open_books(paths) if paths.database.exists() else None
    except (sqlite3.Error, OSError):
        return None
