"""An open run: put aside at a checkpoint, taken up again, or undone."""

import os
from collections.abc import Mapping

from loguru import logger

from sleepcycle.errors import ConfigError, DiskError, RunError
from sleepcycle.files import process_identity
from sleepcycle.files.runfolder import ExampleFile, RunFolder
from sleepcycle.records.run_order import RunOrder, RunState
from sleepcycle.runs.context import RunContext
from sleepcycle.runs.lineage import read_lineage
from sleepcycle.runs.phases import with_phase
from sleepcycle.settings.configfile import recorded_settings
from sleepcycle.store import example_table, journal, run_table

MAX_FAILURES = 3  # workers that one run may lose before it is undone

# A wake that was begun is the same whatever these say.
WITHOUT_EFFECT = {"capture", "feed", "log", "serve", "store"}
WITHOUT_EFFECT |= {f"sleep.{name}" for name in ("at", "timezone", "catch_up")}
WITHOUT_EFFECT |= {
    f"engine.{name}"
    for name in ("threads", "heartbeat_timeout_s", "backoff_s", "reserve_mb")
}
WITHOUT_EFFECT |= {
    f"wake.{name}"
    for name in ("window", "days", "min_pending", "max_duration_s", "checkpoint_every")
}
WITHOUT_EFFECT |= {"wake.curriculum"}  # its phase, if it has one, is in its order


def undo(context: RunContext, run: int, state: RunState, error: str) -> int:
    """Close a run that made nothing; give back the examples it had claimed.

    Those that its worker found the base cannot learn are set aside.

    A run that is already recorded is left as it is.

    Returns:
        How many examples are pending again.
    """
    folder = RunFolder(context.paths.run(run))
    with context.store.write() as session:
        if run_table.get(session, run).state not in {RunState.RUNNING, RunState.PAUSED}:
            return 0
        set_aside = folder.read_set_aside()
        example_table.set_aside(session, run, set_aside)
        released = example_table.release(session, run)
        run_table.finish(session, run, state, report=None, error=error)
        journal.append(
            session,
            context.actor,
            f"run {state}",
            run=run,
            error=error,
            released=released,
        )
    folder.forget()
    return released


def cancel(context: RunContext, run: int) -> int:
    """Undo a paused run; the caller holds the home's lock.

    Returns:
        How many examples are pending again.

    Raises:
        NotFoundError: There is no such run.
        RunError: It is not paused.
    """
    with context.store.read() as session:
        state = run_table.get(session, run).state
    if state is not RunState.PAUSED:
        raise RunError(
            f"expected run {run} to be paused, got one that is {state}; see: "
            "sleepcycle runs list"
        )
    return undo(context, run, RunState.CANCELLED, "cancelled by the user")


def record_pause(context: RunContext, run: int, reason: str) -> str:
    """Record a running wake as paused: its examples stay claimed, its checkpoint stays.

    Returns:
        What became of it, in words.
    """
    step, steps = RunFolder(context.paths.run(run)).reached()
    with context.store.write() as session:
        run_table.pause(session, run)
        journal.append(
            session,
            context.actor,
            "pause wake",
            run=run,
            step=step,
            steps=steps,
            reason=reason,
        )
    return (
        f"run {run} was paused at step {step} of {steps}; it goes on with the next wake"
    )


def can_go_on(context: RunContext, run: int, error: Exception) -> bool:
    """Return whether a run that failed may go on from a checkpoint.

    Not where its worker wrote a fault, since it would fail so again, nor once too many
    of its workers were killed. A disk that was full may have room the next time.
    """
    folder = RunFolder(context.paths.run(run))
    foreseen = folder.read_fault() is not None and not isinstance(error, DiskError)
    if foreseen or folder.checkpoint() is None:
        return False
    return folder.count_failure(str(error)) < MAX_FAILURES


def find_paused(context: RunContext) -> int | None:
    """Return the paused run that can go on; undo those that cannot.

    It can where live, the open day and the settings are what they were when it began;
    a wake of a phase goes on in that phase, whatever became of the curriculum.
    """
    with context.store.read() as session:
        paused = [run.id for run in run_table.paused_runs(session)]
    found = None
    for run in paused:
        obstacle = _obstacle(context, run) if found is None else "an older one goes on"
        if obstacle is None:
            found = run
            continue
        reason = f"it was paused, and could not go on: {obstacle}"
        undo(context, run, RunState.CANCELLED, reason)
        logger.warning("undid run {run}: {reason}", run=run, reason=reason)
    return found


def record_resume(context: RunContext, run: int) -> None:
    """Record a paused run as running again, in this process."""
    pid = os.getpid()
    folder = RunFolder(context.paths.run(run))
    folder.reopen()
    step, _ = folder.reached()
    with context.store.write() as session:
        run_table.resume(session, run, pid, process_identity.started(pid) or "")
        journal.append(session, context.actor, "resume wake", run=run, step=step)


def _obstacle(context: RunContext, run: int) -> str | None:
    """Return why a paused run cannot go on; None where it can."""
    folder = RunFolder(context.paths.run(run))
    try:
        order = folder.read_order()
        given = [example.id for example in folder.read_examples(ExampleFile.NEW)]
    except (OSError, ValueError, KeyError) as error:
        return f"its folder is damaged: {error}"
    if _has_other_parents(context, order):
        return "live or the open day is another version now"
    now = with_phase(context.settings, order.phase)
    try:  # a setting that is newer than the run was at its default then
        then = recorded_settings(dict(order.settings))
    except ConfigError as error:
        return f"its settings are of another release: {error}"
    changed = _changed(then.model_dump(mode="json"), now.model_dump(mode="json"))
    if changed:
        return f"other settings now: {', '.join(changed)}"
    with context.store.read() as session:
        held = [example.id for example in example_table.claimed(session, run)]
    return None if held == given else "its folder is of another run"


def _has_other_parents(context: RunContext, order: RunOrder) -> bool:
    """Return whether live or the open day is another version than the order names.

    The names of their folders decide, since the home may lie elsewhere now.
    """
    with context.store.read() as session:
        lineage = read_lineage(session)
    now = [
        (version and version.folder) or None for version in (lineage.live, lineage.day)
    ]
    then = [folder.name if folder else None for folder in (order.live, order.day)]
    return now != then


def _changed(then: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Return the names of settings that differ, of those that have any effect."""
    old, new = _named(then), _named(now)
    return sorted(
        name for name in old.keys() | new.keys() if old.get(name) != new.get(name)
    )


def _named(settings: Mapping[str, object]) -> dict[str, object]:
    """Return the settings that have an effect, such as `wake.lr`."""
    return {
        f"{section}.{name}": value
        for section, values in settings.items()
        if isinstance(values, Mapping)
        for name, value in values.items()
        if not {section, f"{section}.{name}"} & WITHOUT_EFFECT
    }
