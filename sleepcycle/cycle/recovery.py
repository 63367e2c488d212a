"""Recovery: finish or undo what a crash left half done, before anything new begins."""

import shutil

from loguru import logger

from sleepcycle.cycle.keeper import Keeper
from sleepcycle.cycle.run import undo
from sleepcycle.errors import ManifestError
from sleepcycle.publish import read_card, record
from sleepcycle.records import RunState
from sleepcycle.sealed import verify
from sleepcycle.store import runs, versions

ORPHANED = "the process that ran it ended before it was done"


def recover(keeper: Keeper) -> None:
    """Bring books and folders back to one state; the caller holds the home's lock.

    A sealed version whose run is still open was made whole before the crash, so it
    is recorded. Every other open run is undone: its examples are pending again.
    Staged and unrecorded folders are deleted. Doing it twice changes nothing more.
    """
    shutil.rmtree(keeper.paths.staging, ignore_errors=True)
    with keeper.store.read() as session:
        open_runs = {run.id for run in runs.running(session)}
        recorded = {version.folder for version in versions.list_versions(session)}
    for folder in sorted(keeper.paths.versions.iterdir()):
        if folder.name in recorded:
            continue
        try:
            verify(folder)
            run = read_card(folder).run
        except ManifestError:
            run = None
        if run in open_runs:
            with keeper.store.write() as session:
                version = record(session, folder, actor="recovery")
            open_runs.discard(run)
            logger.warning(
                "recorded {version}, sealed before a crash", version=version.name
            )
        else:
            shutil.rmtree(folder)
            logger.warning("deleted {folder}, which no run claims", folder=folder.name)
    for run in sorted(open_runs):
        released = undo(keeper, run, RunState.FAILED, ORPHANED)
        logger.warning(
            "undid run {run} after a crash, {released} examples are pending again",
            run=run,
            released=released,
        )
