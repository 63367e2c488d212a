"""Recovery: finish or undo what a crash left half done, before anything new begins."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from loguru import logger

from sleepcycle.errors import ManifestError, StoreError
from sleepcycle.feed import feed_lock
from sleepcycle.feed.parts import drop_abandoned
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.runfolder import RunFolder
from sleepcycle.files.sealed import verify
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.runs.context import RunContext
from sleepcycle.runs.publish import move_unclaimed, read_card, record
from sleepcycle.runs.resume import record_pause, undo
from sleepcycle.store import run_table, version_table

ORPHANED = "the process that ran it ended before it was done"
LOST = "it was paused, and files of its folder are missing"
ACTOR = "recovery"
DROP_S = 3.0  # for rows of a killed feed; a start must not wait for millions of them


def recover(context: RunContext) -> None:
    """Make database and folders agree again; the caller holds the home's lock.

    A sealed version whose run is still open was made whole before the crash, so it
    is recorded. Of the other runs that are on, a wake with a whole checkpoint is
    paused, to go on with the next wake, and the rest are undone: their examples are
    pending again. So is a paused wake whose folder is gone.
    Another whole version that the database lacks, such as after an older copy of
    the database was put back, is moved to `unclaimed`. Staged folders and damaged ones
    that the database lacks are deleted; a file among them is left alone. So are the
    rows of a feed that was killed. No folder of a run that is over keeps the examples
    it was given. Doing it twice changes nothing more.
    """
    context = replace(context, actor=ACTOR)
    disk.make(context.paths.staging)
    disk.remove(*context.paths.staging.iterdir())
    failpoint("recovery.staging")
    with context.store.read() as session:
        recorded = {version.folder for version in version_table.list_versions(session)}
    for folder in sorted(context.paths.versions.iterdir()):
        if folder.is_dir() and folder.name not in recorded:
            _settle(context, folder)
    failpoint("recovery.settled")
    _settle_runs(context)
    failpoint("recovery.undone")
    _drop_abandoned(context)
    with context.store.read() as session:
        kept = {context.paths.run(run.id) for run in run_table.paused_runs(session)}
    for path in context.paths.runs.iterdir():
        if path.is_dir() and path not in kept:
            RunFolder(path).forget()


def _drop_abandoned(context: RunContext) -> None:
    """Delete what a killed feed left, unless another is on, which does so itself."""
    with ExitStack() as stack:
        try:
            stack.enter_context(feed_lock.held(context.paths, patience_s=0.0))
        except StoreError:
            return
        drop_abandoned(context.store, DROP_S)


def _settle_runs(context: RunContext) -> None:
    """Pause or undo each run whose process is gone, or whose folder is."""
    with context.store.read() as session:
        orphans, paused = run_table.running(session), run_table.paused_runs(session)
    for run in orphans:
        folder = RunFolder(context.paths.run(run.id))
        is_wake = run.kind is RunKind.WAKE
        if is_wake and folder.is_given() and folder.checkpoint() is not None:
            logger.warning("{words}", words=record_pause(context, run.id, ORPHANED))
        else:
            _undo(context, run.id, ORPHANED)
    for run in paused:
        if not RunFolder(context.paths.run(run.id)).is_given():
            _undo(context, run.id, LOST)


def _undo(context: RunContext, run: int, reason: str) -> None:
    """Undo one run, and log it."""
    released = undo(context, run, RunState.FAILED, reason)
    logger.warning(
        "undid run {run}: {reason}; {released} examples are pending again",
        run=run,
        reason=reason,
        released=released,
    )


def _settle(context: RunContext, folder: Path) -> None:
    """Record a folder that the database lacks, or move it aside."""
    try:
        verify(folder)
    except ManifestError as fault:
        disk.remove(folder)
        logger.warning("deleted a folder that no run claims: {fault}", fault=str(fault))
        return
    if _is_claimed(context, folder):
        disk.sync(folder.parent)  # the crash may have come before this was done
        with context.store.write() as session:
            version = record(session, folder, actor=context.actor)
        logger.warning(
            "recorded {version}, sealed before a crash", version=version.name
        )
        return
    aside = move_unclaimed(context.paths, folder)
    logger.warning(
        "moved {folder}, which no run claims, to {aside}; to have it back: "
        "sleepcycle versions import {aside}",
        folder=folder.name,
        aside=str(aside),
    )


def _is_claimed(context: RunContext, folder: Path) -> bool:
    """Return whether an open run made this version, and its number is the next."""
    try:
        card = read_card(folder)
    except ManifestError:
        return False
    with context.store.read() as session:
        awaited = {run.id for run in run_table.running(session)}
        return card.run in awaited and card.number == version_table.next_number(session)
