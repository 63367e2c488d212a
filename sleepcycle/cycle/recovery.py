"""Recovery: finish or undo what a crash left half done, before anything new begins."""

import shutil
from dataclasses import replace
from pathlib import Path

from loguru import logger

from sleepcycle.cycle.keeper import Keeper
from sleepcycle.cycle.run import undo
from sleepcycle.errors import ManifestError
from sleepcycle.publish import read_card, record, set_aside
from sleepcycle.records import RunState
from sleepcycle.runfolder import RunFolder
from sleepcycle.sealed import verify
from sleepcycle.store import runs, versions

ORPHANED = "the process that ran it ended before it was done"
ACTOR = "recovery"


def recover(keeper: Keeper) -> None:
    """Bring books and folders back to one state; the caller holds the home's lock.

    A sealed version whose run is still open was made whole before the crash, so it
    is recorded. Every other open run is undone: its examples are pending again.
    Another whole version that the books do not know, such as after an older copy of
    the database was put back, is moved to `unclaimed`. Staged folders and damaged ones
    that are not in the books are deleted; a file among them is left alone. No folder
    of a run keeps the examples it was given. Doing it twice changes nothing more.
    """
    keeper = replace(keeper, actor=ACTOR)
    shutil.rmtree(keeper.paths.staging, ignore_errors=True)
    with keeper.store.read() as session:
        recorded = {version.folder for version in versions.list_versions(session)}
    for folder in sorted(keeper.paths.versions.iterdir()):
        if folder.is_dir() and folder.name not in recorded:
            _settle(keeper, folder)
    with keeper.store.read() as session:
        orphans = [run.id for run in runs.running(session)]
    for run in orphans:
        released = undo(keeper, run, RunState.FAILED, ORPHANED)
        logger.warning(
            "undid run {run} after a crash, {released} examples are pending again",
            run=run,
            released=released,
        )
    for path in keeper.paths.runs.iterdir():
        if path.is_dir():
            RunFolder(path).forget()


def _settle(keeper: Keeper, folder: Path) -> None:
    """Record a folder that the books do not know, or put it out of the way."""
    try:
        verify(folder)
    except ManifestError as fault:
        shutil.rmtree(folder)
        logger.warning("deleted a folder that no run claims: {fault}", fault=str(fault))
        return
    if _is_claimed(keeper, folder):
        with keeper.store.write() as session:
            version = record(session, folder, actor=keeper.actor)
        logger.warning(
            "recorded {version}, sealed before a crash", version=version.name
        )
        return
    aside = set_aside(keeper.paths, folder)
    logger.warning(
        "moved {folder}, which no run claims, to {aside}; to have it back: "
        "sleepcycle versions import {aside}",
        folder=folder.name,
        aside=str(aside),
    )


def _is_claimed(keeper: Keeper, folder: Path) -> bool:
    """Tell whether an open run made this version, and the books go on with it."""
    try:
        card = read_card(folder)
    except ManifestError:
        return False
    with keeper.store.read() as session:
        awaited = {run.id for run in runs.running(session)}
        return card.run in awaited and card.number == versions.next_number(session)
