"""One wake or one night, from claimed examples to a recorded version.

Each begins by writing down what it will do, hands the run folder to the engine, and
publishes what comes back. Whatever stops it before the seal, `live` stays what it was,
and claimed examples are given back unless a wake has a checkpoint to go on from. After
the seal the work is kept, and recovery records it if this process could not.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from sleepcycle.errors import (
    ConfigError,
    DiskError,
    Interrupted,
    Paused,
    RunError,
    SleepcycleError,
)
from sleepcycle.files import disk
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.runfolder import Material, Report, RunFolder
from sleepcycle.records.example import Example
from sleepcycle.records.overrides import Gentler, PhasePlan
from sleepcycle.records.progress import OnProgress
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.runs.context import Keeper, Outcome, Reins
from sleepcycle.runs.lineage import Ground, stand
from sleepcycle.runs.phases import expect_open, find_barrier, find_course, follow
from sleepcycle.runs.prepare import order_run, replay, write_held_out, write_memory
from sleepcycle.runs.publish import card_of, record, seal_version, sealed_by
from sleepcycle.runs.resume import cancel as cancel
from sleepcycle.runs.resume import find_paused, put_aside, survives, take_up
from sleepcycle.runs.resume import undo as undo
from sleepcycle.runs.retry import plan_gentler, soften
from sleepcycle.store import example_table, journal, owner, run_table, version_table
from sleepcycle.store.database import Session

_Begun = tuple[int, Ground, list[Example], PhasePlan | None]
"""A wake's number, where it starts from, what it learns, and in which phase."""


def wake(
    keeper: Keeper, on_progress: OnProgress, reins: Reins | None = None
) -> Outcome:
    """Learn what is pending, as a new version of kind `wake`.

    With a curriculum that is what is pending of its first phase that has anything. A
    paused wake goes on instead, under its number, where it still can.

    Raises:
        ConfigError: The curriculum is missing or wrong; nothing is claimed.
        RunError: Nothing is pending, its phase needs a night first, or the worker
            failed.
        Paused: It was broken off as wished; the next wake goes on from there.
        Interrupted: It was stopped.
    """
    started, reins = time.monotonic(), reins or Reins()
    paused = find_paused(keeper)
    run, ground, claimed, phase = _go_on(keeper, paused) if paused else _claim(keeper)
    reins.run = run
    keeper = replace(keeper, settings=follow(keeper.settings, phase))
    with _undone_on_failure(keeper, run):
        failpoint("run.claimed")
        batches = Counter(example.batch for example in claimed)
        folder = RunFolder(keeper.paths.run(run))
        if run != paused:
            folder = order_run(keeper, run, RunKind.WAKE, ground, phase)
            folder.write_examples(Material.NEW, claimed)
            folder.write_examples(Material.REPLAY, replay(keeper, run, claimed, ground))
            write_held_out(keeper, folder, ground, today={**batches, **ground.learned})
        failpoint("run.ordered")
        keeper.engine.execute(folder, on_progress, reins)
        failpoint("run.computed")
        parent = ground.day or ground.live
        report = replace(folder.read_report(WakeReport), phase=phase)
        version = _publish(keeper, folder, report, [parent.number], batches)
    return Outcome(run, version, len(claimed), time.monotonic() - started, report)


def sleep(
    keeper: Keeper, on_progress: OnProgress, reins: Reins | None = None
) -> Outcome:
    """Fold live and the open day into one version; make it live if the gate accepts.

    After `gate.gentler_after` rejected nights it is planned gentler than the settings.
    A paused wake is left as it is; where the night moves live, it cannot go on.

    Raises:
        RunError: Nothing was learned since the last night, or the worker failed.
        Interrupted: It was stopped; a night begins anew.
    """
    started, reins = time.monotonic(), reins or Reins()
    with keeper.store.write() as session:
        ground = stand(session)
        if ground.day is None:
            raise RunError(
                "nothing to consolidate: nothing was learned since the last night; "
                "feed examples and wake first"
            )
        run = _start(session, keeper, RunKind.SLEEP)
        gentler = _plan(session, keeper, run, ground)
    reins.run = run
    if gentler is not None:
        keeper = replace(keeper, settings=soften(keeper.settings, gentler))
    with _undone_on_failure(keeper, run):
        failpoint("run.claimed")
        folder = order_run(keeper, run, RunKind.SLEEP, ground, gentler)
        write_memory(keeper, run, folder, ground)
        write_held_out(keeper, folder, ground, today=ground.learned)
        failpoint("run.ordered")
        keeper.engine.execute(folder, on_progress, reins)
        failpoint("run.computed")
        parents = [ground.live.number, ground.day.number]
        report = replace(folder.read_report(SleepReport), gentler=gentler)
        version = _publish(keeper, folder, report, parents, {})
    folded = sum(ground.learned.values())
    return Outcome(run, version, folded, time.monotonic() - started, report)


def _claim(keeper: Keeper) -> _Begun:
    """Begin a wake: claim what is pending, or what is of its phase."""
    course = find_course(keeper.paths, keeper.settings.wake)
    with keeper.store.write() as session:
        expect_open(find_barrier(session, course))
        phase = course.plan(session) if course else None
        run = _start(session, keeper, RunKind.WAKE, phase)
        limit = keeper.settings.wake.max_examples
        source = phase.source if phase else None
        claimed = example_table.claim(session, run, limit, source)
        if not claimed:
            raise RunError(
                "nothing to learn: no example is pending; feed some, or queue what a "
                "rollback left behind again: sleepcycle rollback live --requeue"
            )
        return run, stand(session), claimed, phase


def _go_on(keeper: Keeper, run: int) -> _Begun:
    """Go on with a paused wake, in its phase."""
    take_up(keeper, run)
    phase = RunFolder(keeper.paths.run(run)).read_order().phase
    with keeper.store.read() as session:
        return run, stand(session), example_table.claimed(session, run), phase


def _start(
    session: Session, keeper: Keeper, kind: RunKind, phase: PhasePlan | None = None
) -> int:
    """Write down that a run begins, and in which phase."""
    _expect_base(session, keeper)
    pid = os.getpid()
    run = run_table.start(session, kind, pid, owner.started(pid) or "")
    taught = {"curriculum": phase.curriculum, "phase": phase.name} if phase else {}
    journal.append(session, keeper.actor, f"start {kind}", run=run, **taught)
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
    home, asked = version_table.base(session).id, keeper.settings.model.base
    if home != asked:
        raise ConfigError(
            f"expected model.base to be {home!r}, which this home's versions belong "
            f"to, got {asked!r}; make a new home for another base"
        )


@contextmanager
def _undone_on_failure(keeper: Keeper, run: int) -> Iterator[None]:
    """Undo the run if the block raises before the seal, and say what stands.

    A sealed version is hours of work, so it is never undone: if it is not in the books
    yet, its run stays open and recovery records it. Nor is a wake that was paused, or
    lost its worker, and has a checkpoint.
    """
    try:
        yield
    except Paused as pause:
        raise Paused(put_aside(keeper, run, str(pause))) from pause
    except (Interrupted, KeyboardInterrupt) as stop:
        reason = str(stop) or "stopped by the user"
        raise Interrupted(_stop(keeper, run, reason)) from stop
    except Exception as error:
        if disk.is_failed(error):
            raise  # nothing more is written to a disk that failed; recovery settles it
        sealed = sealed_by(keeper.paths, run)
        if sealed is not None:
            raise _with(error, _kept(run, sealed)) from error
        if survives(keeper, run, error):
            raise _with(error, put_aside(keeper, run, str(error))) from error
        undo(keeper, run, RunState.FAILED, str(error))
        raise


def _with(error: Exception, words: str) -> SleepcycleError:
    """Return an error that also says what stands."""
    if not isinstance(error, DiskError):
        return RunError(f"{error}; {words}")
    full = DiskError(f"{error}; {words}")
    full.errno = error.errno
    return full


def _stop(keeper: Keeper, run: int, reason: str) -> str:
    """Undo a stopped run unless it is sealed, and say what stands."""
    sealed = sealed_by(keeper.paths, run)
    released = 0
    if sealed is None:
        released = undo(keeper, run, RunState.CANCELLED, reason)
    with keeper.store.read() as session:
        live = stand(session).live.name
        state = run_table.get(session, run).state
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
        number = version_table.next_number(session)
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
    failpoint("run.sealed")
    with keeper.store.write() as session:
        version = record(session, sealed, actor=keeper.actor)
    failpoint("run.recorded")
    folder.forget()
    return version
