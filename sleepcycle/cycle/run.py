"""One wake or one night, from claimed examples to a recorded version.

Each begins by writing down what it will do, hands the run folder to the engine, and
publishes what comes back. Whatever stops it before the seal, `live` stays what it was
and claimed examples are given back; after the seal the work is kept, and recovery
records it if this process could not.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from sleepcycle.cycle.gentler import plan_gentler, soften
from sleepcycle.cycle.ground import Ground, stand
from sleepcycle.cycle.keeper import Keeper, Outcome
from sleepcycle.cycle.order import order_run, replay, write_held_out, write_memory
from sleepcycle.errors import ConfigError, Interrupted, RunError
from sleepcycle.publish import (
    card_of,
    record,
    seal_version,
    sealed_by,
)
from sleepcycle.records import (
    Gentler,
    OnProgress,
    RunKind,
    RunState,
    SleepReport,
    Version,
    VersionKind,
    WakeReport,
)
from sleepcycle.runfolder import Material, Report, RunFolder
from sleepcycle.store import examples, journal, owner, runs, versions
from sleepcycle.store.engine import Session


def wake(keeper: Keeper, on_progress: OnProgress) -> Outcome:
    """Learn what is pending, as a new version of kind `wake`.

    Raises:
        RunError: Nothing is pending, or the worker failed.
        Interrupted: The user stopped it.
    """
    started = time.monotonic()
    with keeper.store.write() as session:
        run = _start(session, keeper, RunKind.WAKE)
        claimed = examples.claim(session, run, keeper.settings.wake.max_examples)
        if not claimed:
            raise RunError(
                "nothing to learn: no example is pending; feed some, or queue what a "
                "rollback left behind again: sleepcycle rollback live --requeue"
            )
        ground = stand(session)
    with _undone_on_failure(keeper, run):
        batches = Counter(example.batch for example in claimed)
        folder = order_run(keeper, run, RunKind.WAKE, ground)
        folder.write_examples(Material.NEW, claimed)
        folder.write_examples(Material.REPLAY, replay(keeper, run, claimed, ground))
        write_held_out(keeper, folder, ground, today={**batches, **ground.learned})
        keeper.engine.execute(folder, on_progress)
        parent = ground.day or ground.live
        report = folder.read_report(WakeReport)
        version = _publish(keeper, folder, report, [parent.number], batches)
    return Outcome(run, version, len(claimed), time.monotonic() - started, report)


def sleep(keeper: Keeper, on_progress: OnProgress) -> Outcome:
    """Fold live and the open day into one version; make it live if the gate accepts.

    After `gate.gentler_after` rejected nights it is planned gentler than the settings.

    Raises:
        RunError: Nothing was learned since the last night, or the worker failed.
        Interrupted: The user stopped it.
    """
    started = time.monotonic()
    with keeper.store.write() as session:
        ground = stand(session)
        if ground.day is None:
            raise RunError(
                "nothing to consolidate: nothing was learned since the last night; "
                "feed examples and wake first"
            )
        run = _start(session, keeper, RunKind.SLEEP)
        gentler = _plan(session, keeper, run, ground)
    if gentler is not None:
        keeper = replace(keeper, settings=soften(keeper.settings, gentler))
    with _undone_on_failure(keeper, run):
        folder = order_run(keeper, run, RunKind.SLEEP, ground, gentler)
        write_memory(keeper, run, folder, ground)
        write_held_out(keeper, folder, ground, today=ground.learned)
        keeper.engine.execute(folder, on_progress)
        parents = [ground.live.number, ground.day.number]
        report = replace(folder.read_report(SleepReport), gentler=gentler)
        version = _publish(keeper, folder, report, parents, {})
    folded = sum(ground.learned.values())
    return Outcome(run, version, folded, time.monotonic() - started, report)


def undo(keeper: Keeper, run: int, state: RunState, error: str) -> int:
    """Close a run that made nothing; give back the examples it had claimed.

    A run that is already recorded is left as it is.

    Returns:
        How many examples are pending again.
    """
    with keeper.store.write() as session:
        if runs.get(session, run).state is not RunState.RUNNING:
            return 0
        released = examples.release(session, run)
        runs.finish(session, run, state, report=None, error=error)
        journal.append(
            session,
            keeper.actor,
            f"run {state}",
            run=run,
            error=error,
            released=released,
        )
    RunFolder(keeper.paths.run(run)).forget()
    return released


def _start(session: Session, keeper: Keeper, kind: RunKind) -> int:
    """Write down that a run begins."""
    _expect_base(session, keeper)
    pid = os.getpid()
    run = runs.start(session, kind, pid, owner.started(pid) or "")
    journal.append(session, keeper.actor, f"start {kind}", run=run)
    return run


def _plan(session: Session, keeper: Keeper, run: int, ground: Ground) -> Gentler | None:
    """Plan the night, and write down where it differs from the settings."""
    gentler = plan_gentler(session, ground, keeper.settings)
    if gentler is not None:
        journal.append(
            session, keeper.actor, "plan gentler sleep", run=run, **asdict(gentler)
        )
    return gentler


def _expect_base(session: Session, keeper: Keeper) -> None:
    """Refuse another base than the one this home was made for."""
    home, asked = versions.base(session).id, keeper.settings.model.base
    if home != asked:
        raise ConfigError(
            f"expected model.base to be {home!r}, which this home's versions belong "
            f"to, got {asked!r}; make a new home for another base"
        )


@contextmanager
def _undone_on_failure(keeper: Keeper, run: int) -> Iterator[None]:
    """Undo the run if the block raises before the seal, and say what stands.

    A sealed version is hours of work, so it is never undone: if it is not in the books
    yet, its run stays open and recovery records it.
    """
    try:
        yield
    except (Interrupted, KeyboardInterrupt) as stop:
        raise Interrupted(_stop(keeper, run)) from stop
    except Exception as error:
        sealed = sealed_by(keeper.paths, run)
        if sealed is not None:
            raise RunError(f"{error}; {_kept(run, sealed)}") from error
        undo(keeper, run, RunState.FAILED, str(error))
        raise


def _stop(keeper: Keeper, run: int) -> str:
    """Undo a stopped run unless it is sealed, and say what stands."""
    sealed = sealed_by(keeper.paths, run)
    released = 0
    if sealed is None:
        released = undo(keeper, run, RunState.CANCELLED, "stopped by the user")
    with keeper.store.read() as session:
        live = stand(session).live.name
        state = runs.get(session, run).state
    if sealed is None:
        again = f", and {released} examples are pending again" if released else ""
        return f"run {run} was stopped: {live} is still live{again}"
    if state is RunState.DONE:
        return f"run {run} was done before it could be stopped: {live} is live"
    return f"run {run} was stopped: {live} is still live; {_kept(run, sealed)}"


def _kept(run: int, sealed: Path) -> str:
    """Say what becomes of a version that is sealed, but not in the books."""
    return (
        f"run {run} has sealed {sealed.name}, which the next wake, sleep or rollback "
        "enters in the books"
    )


def _publish(
    keeper: Keeper,
    folder: RunFolder,
    report: Report,
    parents: Sequence[int],
    batches: Mapping[int, int],
) -> Version:
    """Seal the result with its card, record it, and forget what it learned from."""
    order = folder.read_order()
    with keeper.store.read() as session:
        number = versions.next_number(session)
    version = Version(
        number=number,
        kind=VersionKind(order.kind),
        folder=None,
        parents=tuple(parents),
        rank=folder.portable_rank(),
        accepted=report.verdict.accepted,
        created_at=datetime.now(UTC),
        run=order.run,
    )
    card = replace(
        card_of(version, folder.read_base()),
        batches=dict(batches),
        seed=order.seed,
        settings=order.settings,
        report=report,
        live_rank=report.live_rank if isinstance(report, WakeReport) else 0,
        day_rank=report.day_rank if isinstance(report, WakeReport) else 0,
    )
    sealed = seal_version(keeper.paths, folder.result, card)
    with keeper.store.write() as session:
        version = record(session, sealed, actor=keeper.actor)
    folder.forget()
    return version
