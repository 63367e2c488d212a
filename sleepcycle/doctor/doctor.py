"""The doctor: checks a home and its machine, reports what is wrong, changes nothing."""

from collections.abc import Callable, Collection, Mapping
from contextlib import closing, nullcontext
from pathlib import Path

from sleepcycle.doctor import database_checks, home_checks, machine_checks
from sleepcycle.doctor.inspection import (
    Finding,
    Inspection,
    Level,
    Machine,
    fail,
    inspect,
)
from sleepcycle.errors import SleepcycleError, StoreError
from sleepcycle.files.paths import HomePaths
from sleepcycle.settings.config import Settings
from sleepcycle.settings.configfile import load_settings
from sleepcycle.store.reader import DatabaseReader, open_reader

Check = Callable[[Inspection], Finding | None]

CHECKS: dict[str, Check] = {
    "sqlite": machine_checks.check_sqlite,
    "home": home_checks.check_home,
    "token": home_checks.check_token,
    "tokens": home_checks.check_tokens,
    "settings": home_checks.check_settings,
    "curriculum": home_checks.check_curriculum,
    "anchors": home_checks.check_anchors,
    "lock": home_checks.check_lock,
    "database": database_checks.check_database,
    "schema": database_checks.check_schema,
    "integrity": database_checks.check_integrity,
    "journal": database_checks.check_journal,
    "versions": database_checks.check_versions,
    "aliases": database_checks.check_aliases,
    "runs": database_checks.check_runs,
    "base": home_checks.check_base,
    "chat template": home_checks.check_template,
    "inbox": home_checks.check_inbox,
    "disk": machine_checks.check_disk,
    "file system": machine_checks.check_file_system,
    "memory": machine_checks.check_memory,
    "speed": machine_checks.check_speed,
    "clock": machine_checks.check_clock,
    "time zone": machine_checks.check_zone,
}
"""Every check by its name; one that has nothing to look at finds None."""


QUICK = (
    "sqlite",
    "home",
    "token",
    "tokens",
    "settings",
    "curriculum",
    "lock",
    "database",
    "schema",
    "runs",
    "inbox",
    "disk",
    "file system",
    "clock",
    "time zone",
)
"""Checks that take milliseconds: they read no version, load no model, scan no table."""


def examine(
    root: Path,
    *,
    answers: Callable[[], bool],
    machine: Machine | None = None,
    checks: Collection[str] = CHECKS.keys(),
) -> dict[str, Finding]:
    """Run checks on a home; what is broken is a finding and never an error.

    Args:
        root: The state directory; it need not be there.
        answers: Asks the running service whether it answers.
        machine: Facts of the machine; None to look.
        checks: Names of those to run.

    Returns:
        What each check found that had anything to look at, by its name.
    """
    paths = HomePaths(root)
    database = _database(paths)
    with closing(database) if database else nullcontext():
        inspection = Inspection(
            paths, _settings(paths), database, machine or inspect(root), answers
        )
        found = {
            name: _look(check, inspection)
            for name, check in CHECKS.items()
            if name in checks
        }
    return {name: finding for name, finding in found.items() if finding is not None}


def is_healthy(found: Mapping[str, Finding]) -> bool:
    """Return whether nothing failed."""
    return all(finding.level is not Level.FAIL for finding in found.values())


def _look(check: Check, inspection: Inspection) -> Finding | None:
    """Run one check; what it raises is what it found."""
    try:
        return check(inspection)
    except SleepcycleError as error:
        said, _, advice = str(error).partition("; ")
        return fail(said, advice or inspection.command("bugreport"))
    except Exception as error:  # noqa: BLE001 - a home may be broken in any way
        return fail(
            f"it could not be looked at: {type(error).__name__}: {error}",
            inspection.command("bugreport"),
        )


def _settings(paths: HomePaths) -> Settings | None:
    """Return the settings, if they can be read."""
    try:
        return load_settings(paths.config)
    except (SleepcycleError, OSError):
        return None


def _database(paths: HomePaths) -> DatabaseReader | None:
    """Return the database, if it can be opened."""
    try:
        return open_reader(paths) if paths.database.exists() else None
    except (StoreError, OSError):
        return None
