"""One wake or one night, from claimed examples to a recorded version.

Each begins by writing down what it will do, hands the run folder to the engine, and
publishes what comes back. Whatever stops it before the seal, `live` stays what it was,
and claimed examples are given back unless a wake has a checkpoint to go on from. After
the seal the work is kept, and recovery records it if this process could not.
"""

import os
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from loguru import logger

from sleepcycle.errors import (
    ConfigError,
    DiskError,
    Interrupted,
    Paused,
    RunError,
    SleepcycleError,
)
from sleepcycle.files import disk, process_identity
from sleepcycle.files.anchors import find_anchors
from sleepcycle.files.failpoint import failpoint
from sleepcycle.files.runfolder import ExampleFile, Report, RunFolder
from sleepcycle.records.example import Example
from sleepcycle.records.overrides import PhasePlan, RetryPlan
from sleepcycle.records.progress import OnProgress
from sleepcycle.records.reports import SleepReport, WakeReport
from sleepcycle.records.run_order import RunKind, RunState
from sleepcycle.records.version import Version, VersionKind
from sleepcycle.runs.context import Outcome, RunContext
from sleepcycle.runs.control import RunControl
from sleepcycle.runs.lineage import Lineage, read_lineage
from sleepcycle.runs.phases import (
    expect_open,
    find_barrier,
    find_curriculum,
    with_phase,
)
from sleepcycle.runs.prepare import (
    order_run,
    replay,
    write_anchors,
    write_held_out,
    write_memory,
)
from sleepcycle.runs.publish import card_of, record, seal_version, sealed_by
from sleepcycle.runs.resume import (
    can_go_on,
    find_paused,
    record_pause,
    record_resume,
    undo,
)
from sleepcycle.runs.retry import plan_gentler, with_retry_plan
from sleepcycle.store import (
    batch_table,
    example_table,
    journal,
    run_table,
    version_table,
)
from sleepcycle.store.database import Session

_Begun = tuple[int, Lineage, list[Example], PhasePlan | None]
"""A wake's number, where it starts from, what it learns, and in which phase."""


def wake(
    context: RunContext, on_progress: OnProgress, control: RunControl | None = None
) -> Outcome:
    """Learn what is pending, as a new version of kind `wake`.

    With a curriculum that is what is pending of its first phase that has anything. A
    paused wake goes on instead, under its number, where it still can.

    Raises:
        ConfigError: The curriculum or the anchors are missing or wrong; nothing is
            claimed.
        RunError: Nothing is pending, its phase needs a night first, or the worker
            failed.
        Paused: It was stopped as requested; the next wake goes on from there.
        Interrupted: It was stopped.
    """
    started, control = time.monotonic(), control or RunControl()
    anchors = find_anchors(context.paths, context.settings.gate)
    paused = find_paused(context)
    run, lineage, claimed, phase = (
        _go_on(context, paused) if paused else _claim(context)
    )
    control.run = run
    context = replace(context, settings=with_phase(context.settings, phase))
    with _undone_on_failure(context, run):
        failpoint("run.claimed")
        batches = Counter(example.batch for example in claimed)
        folder = RunFolder(context.paths.run(run))
        if run != paused:
            folder = order_run(context, run, RunKind.WAKE, lineage, phase)
            folder.write_examples(ExampleFile.NEW, claimed)
            write_anchors(folder, anchors)
            folder.write_examples(
                ExampleFile.REPLAY, replay(context, run, claimed, lineage)
            )
            write_held_out(
                context, folder, lineage, today={**batches, **lineage.learned}
            )
        failpoint("run.ordered")
        context.engine.execute(folder, on_progress, control)
        failpoint("run.computed")
        parent = lineage.day or lineage.live
        report = replace(folder.read_report(WakeReport), phase=phase)
        _tell_of_anchors(run, report.anchors_left_out, "are too long to be learned")
        learned = _learned(claimed, report)
        version = _publish(context, folder, report, [parent.number], learned, learned)
    return Outcome(run, version, learned.total(), time.monotonic() - started, report)


def sleep(
    context: RunContext, on_progress: OnProgress, control: RunControl | None = None
) -> Outcome:
    """Fold live and the open day into one version; make it live if the gate accepts.

    After `gate.gentler_after` rejected nights it is planned gentler than the settings.
    A paused wake is left as it is; where the night moves live, it cannot go on.

    Raises:
        ConfigError: The anchors are missing or wrong.
        RunError: Nothing was learned since the last night, or the worker failed.
        Interrupted: It was stopped; a night begins anew.
    """
    started, control = time.monotonic(), control or RunControl()
    anchors = find_anchors(context.paths, context.settings.gate)
    with context.store.write() as session:
        lineage = read_lineage(session)
        if lineage.day is None:
            raise RunError(
                "nothing to consolidate: nothing was learned since the last night; "
                "feed examples and wake first"
            )
        run = _start(session, context, RunKind.SLEEP)
        gentler = _plan(session, context, run, lineage)
    control.run = run
    if gentler is not None:
        context = replace(context, settings=with_retry_plan(context.settings, gentler))
    with _undone_on_failure(context, run):
        failpoint("run.claimed")
        folder = order_run(context, run, RunKind.SLEEP, lineage, gentler)
        write_memory(context, run, folder, lineage)
        write_anchors(folder, anchors)
        write_held_out(context, folder, lineage, today=lineage.learned)
        failpoint("run.ordered")
        context.engine.execute(folder, on_progress, control)
        failpoint("run.computed")
        parents = [lineage.live.number, lineage.day.number]
        report = replace(folder.read_report(SleepReport), gentler=gentler)
        if kept := report.verdict.anchors:
            _tell_of_anchors(run, kept.unasked, "were not asked")
        version = _publish(context, folder, report, parents, {}, lineage.learned)
    folded = sum(lineage.learned.values())
    return Outcome(run, version, folded, time.monotonic() - started, report)


def _claim(context: RunContext) -> _Begun:
    """Begin a wake: claim what is pending, or what is of its phase."""
    curriculum = find_curriculum(context.paths, context.settings.wake)
    with context.store.write() as session:
        expect_open(find_barrier(session, curriculum))
        phase = curriculum.plan(session) if curriculum else None
        run = _start(session, context, RunKind.WAKE, phase)
        limit = context.settings.wake.max_examples
        source = phase.source if phase else None
        claimed = example_table.claim(session, run, limit, source)
        if not claimed:
            raise RunError(
                "nothing to learn: no example is pending; feed some, or queue what a "
                "rollback left behind again: sleepcycle rollback live --requeue"
            )
        return run, read_lineage(session), claimed, phase


def _tell_of_anchors(run: int, count: int, words: str) -> None:
    """Log how many anchors a run could not use, if any."""
    if count:
        logger.bind(run=run).info(
            "{count} anchors {words}; see: sleepcycle doctor", count=count, words=words
        )


def _learned(claimed: Sequence[Example], report: WakeReport) -> Counter[int]:
    """Return how many examples of each batch a wake learned, less what it set aside."""
    aside = {number for one in report.set_aside for number in one.examples}
    return Counter(one.batch for one in claimed if one.id not in aside)


def _go_on(context: RunContext, run: int) -> _Begun:
    """Go on with a paused wake, in its phase."""
    record_resume(context, run)
    phase = RunFolder(context.paths.run(run)).read_order().phase
    with context.store.read() as session:
        return run, read_lineage(session), example_table.claimed(session, run), phase


def _start(
    session: Session, context: RunContext, kind: RunKind, phase: PhasePlan | None = None
) -> int:
    """Write down that a run begins, and in which phase."""
    _expect_base(session, context)
    pid = os.getpid()
    run = run_table.start(session, kind, pid, process_identity.started(pid) or "")
    taught = {"curriculum": phase.curriculum, "phase": phase.name} if phase else {}
    journal.append(session, context.actor, f"start {kind}", run=run, **taught)
    return run


def _plan(
    session: Session, context: RunContext, run: int, lineage: Lineage
) -> RetryPlan | None:
    """Plan the night, and write down where it differs from the settings."""
    gentler = plan_gentler(session, lineage, context.settings)
    if gentler is not None:
        journal.append(
            session, context.actor, "plan gentler sleep", run=run, **asdict(gentler)
        )
    return gentler


def _expect_base(session: Session, context: RunContext) -> None:
    """Refuse another base than the one this home was made for."""
    home, asked = version_table.base(session).id, context.settings.model.base
    if home != asked:
        raise ConfigError(
            f"expected model.base to be {home!r}, which this home's versions belong "
            f"to, got {asked!r}; make a new home for another base"
        )


@contextmanager
def _undone_on_failure(context: RunContext, run: int) -> Iterator[None]:
    """Undo the run if the block raises before the seal; the error says what is live.

    A sealed version is hours of work, so it is never undone: if it is not recorded yet,
    its run stays open and recovery records it. Nor is a wake that was paused, or whose
    worker was killed, and that has a checkpoint.
    """
    try:
        yield
    except Paused as pause:
        raise Paused(record_pause(context, run, str(pause))) from pause
    except (Interrupted, KeyboardInterrupt) as stop:
        reason = str(stop) or "stopped by the user"
        raise Interrupted(_stop(context, run, reason)) from stop
    except Exception as error:
        if disk.is_failed(error):
            raise  # nothing more is written to a disk that failed; recovery settles it
        sealed = sealed_by(context.paths, run)
        if sealed is not None:
            raise _with(error, _kept(run, sealed)) from error
        if can_go_on(context, run, error):
            raise _with(error, record_pause(context, run, str(error))) from error
        undo(context, run, RunState.FAILED, str(error))
        raise


def _with(error: Exception, words: str) -> SleepcycleError:
    """Return the error with words added to its message."""
    if not isinstance(error, DiskError):
        return RunError(f"{error}; {words}")
    full = DiskError(f"{error}; {words}")
    full.errno = error.errno
    return full


def _stop(context: RunContext, run: int, reason: str) -> str:
    """Undo a stopped run unless it is sealed; return what is live, in words."""
    sealed = sealed_by(context.paths, run)
    released = 0
    if sealed is None:
        released = undo(context, run, RunState.CANCELLED, reason)
    with context.store.read() as session:
        live = read_lineage(session).live.name
        state = run_table.get(session, run).state
    if sealed is None:
        again = f", and {released} examples are pending again" if released else ""
        return f"run {run} was stopped: {live} is still live{again}"
    if state is RunState.DONE:
        return f"run {run} was done before it could be stopped: {live} is live"
    return f"run {run} was stopped: {live} is still live; {_kept(run, sealed)}"


def _kept(run: int, sealed: Path) -> str:
    """Return what becomes of a version that is sealed, but not recorded, in words."""
    return (
        f"run {run} has sealed {sealed.name}, which the next wake, sleep or rollback "
        "records"
    )


def _publish(
    context: RunContext,
    folder: RunFolder,
    report: Report,
    parents: Sequence[int],
    batches: Mapping[int, int],
    day: Collection[int],
) -> Version:
    """Seal the result with its card, record it, and delete what it learned from.

    `batches` is what it learned itself, and `day` the batches that its day did.
    """
    order = folder.read_order()
    with context.store.read() as session:
        number = version_table.next_number(session)
        conversations = batch_table.conversations(session, day)
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
        conversations=tuple(conversations),
        seed=order.seed,
        settings=order.settings,
        report=report,
        live_rank=report.live_rank if isinstance(report, WakeReport) else 0,
        day_rank=report.day_rank if isinstance(report, WakeReport) else 0,
    )
    sealed = seal_version(context.paths, folder.result, card)
    failpoint("run.sealed")
    with context.store.write() as session:
        version = record(session, sealed, actor=context.actor)
    failpoint("run.recorded")
    folder.forget()
    return version
