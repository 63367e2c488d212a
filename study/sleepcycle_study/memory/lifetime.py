"""Live through a stream of lessons in one way, and return what was kept.

A way is measured by what it does: a night that the gate would refuse goes live all the
same, where the service would keep what was live before. Each verdict is booked.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import mean

from sleepcycle.learning import night
from sleepcycle.learning.replay import ArchivedVersion, ReplayInputs
from sleepcycle.model.base import Base
from sleepcycle.numerics.lowrank import LayerChanges, trim
from sleepcycle.records.progress import ignore_progress
from sleepcycle.settings.config import Settings
from sleepcycle_study.experiment.asking import loss
from sleepcycle_study.experiment.common_knowledge import Knowledge, asked, knowledge
from sleepcycle_study.memory.base_drift import unlearned_turns
from sleepcycle_study.memory.day import Lifetime, Today, begin
from sleepcycle_study.memory.lessons import TaughtLesson
from sleepcycle_study.memory.methods import METHODS, Method, Schedule, settings
from sleepcycle_study.memory.records import LifetimeRun, Result
from sleepcycle_study.memory.scoring import Marks, StreamExam, ask
from sleepcycle_study.memory.streams import Stream

KNOWN = 64  # held-out examples of earlier days that a night looks at


def live(base: Base, stream: Stream, run: LifetimeRun) -> Result:
    """Live through the lessons once, on a base that carries no adapter."""
    arm = METHODS[run.arm]
    taught = [_cut(one, run.questions) for one in stream.draw(run.seed, run.lessons)]
    random.Random(f"order/{run.order}").shuffle(taught)
    days = _days(arm, taught)
    turns = unlearned_turns(base) if days else []
    exam = StreamExam(taught, stream.common, stream.answer_tokens, turns)
    started = time.perf_counter()
    marks, life = [ask(base, {}, exam)], Lifetime(asked=asked(stream.common))
    shown = int(arm.more * run.examples * len(taught)) // max(1, len(days))
    for number, lesson in enumerate(days):
        chosen = settings(arm, shown, stream.dream_tokens, first=number == 0)
        _live_through(base, arm, life, begin(lesson, number, run.seed), chosen)
        marks.append(ask(base, life.live, exam))
    return Result(
        run=run,
        names=[lesson.name for lesson in taught],
        base=marks[0].lessons,
        matrix=[one.lessons for one in marks[1:]],
        acc=mean(marks[-1].lessons),
        rank=max((change.rank for change in life.live.values()), default=0),
        stories=_stories(base, stream, life),
        cost=life.cost,
        seconds=time.perf_counter() - started,
        common=_common(marks),
        drift=[one.drift for one in marks[1:] if one.drift is not None],
    )


def _cut(lesson: TaughtLesson, questions: int) -> TaughtLesson:
    """Return a lesson with so many questions at most; 0 leaves all."""
    return replace(lesson, questions=lesson.questions[: questions or None])


def _common(marks: Sequence[Marks]) -> list[Knowledge]:
    """Return how much common knowledge was there at first, and after each day."""
    if not marks[0].common:
        return []
    return [knowledge(one.common, marks[0].common) for one in marks]


def _stories(base: Base, stream: Stream, life: Lifetime) -> list[float] | None:
    """Return the loss on what the base was trained on, before and after."""
    if not stream.general:
        return None
    return [loss(base, change, stream.general) for change in ({}, life.live)]


def _days(arm: Method, taught: Sequence[TaughtLesson]) -> Sequence[TaughtLesson]:
    """Return what is taught on each day."""
    everything = TaughtLesson(
        "all",
        tuple(row for lesson in taught for row in lesson.rows),
        tuple(row for lesson in taught for row in lesson.held_out),
        (),
    )
    return {
        Schedule.IN_TURN: taught,
        Schedule.AT_ONCE: [everything],
        Schedule.NEVER: [],
    }[arm.schedule]


def _live_through(
    base: Base, arm: Method, life: Lifetime, today: Today, chosen: Settings
) -> None:
    """Learn one lesson, and sleep on it if the arm does."""
    before, started = life.cost.trained, time.perf_counter()
    whole = arm.learn(base, life, today, chosen)
    life.cost.wake_seconds.append(time.perf_counter() - started)
    if arm.stages:
        learned = life.cost.trained - before
        _sleep(base, life, _inputs(arm, life, today, whole, learned), chosen)
        life.archive.append(ArchivedVersion(today.number + 1, partial(dict, whole)))
    else:
        life.live = whole
    life.stored += today.new
    life.held_out += today.held_out


def _inputs(
    arm: Method, life: Lifetime, today: Today, whole: LayerChanges, learned: int
) -> night.NightInputs:
    """Return what stands before a night."""
    known = life.held_out
    return night.NightInputs(
        past=ReplayInputs(
            whole=whole,
            live=life.live,
            new=today.new,
            replay=life.stored if "store" in arm.memory else (),
            archive=tuple(life.archive),
            dreamt=life.dreamt,
            version=today.number + 1,
        ),
        today=today.held_out,
        known=random.Random(today.seed).sample(known, min(KNOWN, len(known))),
        wake_tokens=learned,
        seed=today.seed,
    )


def _sleep(
    base: Base, life: Lifetime, inputs: night.NightInputs, chosen: Settings
) -> None:
    """Sleep, and book the night's cost."""
    folded, report, dreams = night.sleep(
        base, inputs, chosen, on_progress=ignore_progress
    )
    life.live = trim(folded)
    life.dreamt += dreams
    cost = life.cost
    cost.night_seconds.append(report.seconds)
    cost.night_cost.append(report.rem.cost if report.rem else 0.0)
    verdict = report.verdict
    cost.accepted.append(verdict.accepted)
    agreed, drift = verdict.agreement, verdict.drift
    cost.agreement.append(agreed.candidate if agreed else None)
    cost.gate_drift.append(drift.candidate if drift else None)
    if report.rem:
        cost.add_rem(report.rem, inputs.wake_tokens)
