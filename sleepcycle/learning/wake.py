"""One wake: train the day adapter on new examples, over the frozen live adapter."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from sleepcycle.files.dream_archive import key
from sleepcycle.learning.bank import Bank
from sleepcycle.learning.distillation import (
    DISTILLATION,
    TaughtExample,
    as_heavy,
    reduced_taught,
    untaught,
)
from sleepcycle.learning.encoded_lesson import EncodedLesson, encode_new
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.batching import BatchSource
from sleepcycle.model.checkpoint import Checkpoints
from sleepcycle.model.dream_start import (
    can_dream,
)
from sleepcycle.model.encode import (
    Encoded,
    encode_all,
)
from sleepcycle.model.fit import fit, learning_rate
from sleepcycle.model.gradients import NLL
from sleepcycle.model.loss_reduction import reduced
from sleepcycle.model.monitor import FitPlan, FitResult
from sleepcycle.model.score import (
    compare,
    encode_counted,
    encode_held_out,
    held_out_loss,
    least_confidence,
)
from sleepcycle.numerics.lowrank import LayerChanges, LowRank, compose_layers
from sleepcycle.records.example import Example
from sleepcycle.records.progress import HEARTBEAT, OnProgress
from sleepcycle.records.reports import WakeReport
from sleepcycle.records.verdict import Loss, Verdict, losses_text
from sleepcycle.settings import base_hold, training_steps
from sleepcycle.settings.config import WakeSettings

LOOK_EVERY = 2  # steps, at least: looks whether all is learned are a third of a step
LIVE = "live"
DAY = "day"


@dataclass(frozen=True, eq=False)
class Lesson:
    """What one wake learns from."""

    new: Sequence[Example]
    replay: Sequence[Example]
    """Known examples shown again."""

    today: Sequence[Example]
    """Held-out examples of today's batches."""

    known: Sequence[Example]
    """Held-out examples of known batches."""

    anchors: Sequence[Example] = ()
    """Questions of the owner, with answers that must stay right."""


@dataclass(frozen=True, eq=False)
class WakeStart:
    """What stands before the wake begins."""

    live: LayerChanges
    """The frozen live adapter; empty for the bare base."""

    day: LayerChanges
    """What earlier wakes of the same day learned; empty on the first."""

    holds_zeros: bool = False
    """Whether what is zero in `day` stays zero: a pruned adapter."""


def learn(  # noqa: PLR0913 - where it goes on is an option
    base: Base,
    start_from: WakeStart,
    lesson: Lesson,
    settings: WakeSettings,
    *,
    seed: int,
    on_progress: OnProgress,
    bank: Bank | None = None,
    keep: Checkpoints | None = None,
) -> tuple[LayerChanges, WakeReport]:
    """Learn one lesson; with `keep` from where it was broken off before.

    With a `bank` the base's own turns are learned beside it, in their share.

    Its adapters are off the base afterwards.

    Returns:
        Live and day as one exact change per layer, live's columns first, and the
        report.

    Raises:
        UnlearnableError: No example can be learned.
        DivergedError: The loss exploded or is not a number.
        Paused: `keep` asked for it.
    """
    settings = _settled(settings, base)
    new = encode_new(base, lesson.new, settings, on_progress)
    contents = (example.content for example in lesson.replay)
    replay = encode_all(contents, base, prompt_weight=settings.prompt_weight)
    anchors, unfit_anchors = encode_counted(
        base, lesson.anchors, settings.prompt_weight
    )
    source = _source(
        reduced(new.sequences, settings.loss_reduction),
        reduced(replay, settings.loss_reduction),
        reduced(anchors, settings.loss_reduction),
        reduced_taught(
            _turns(bank, lesson, len(new.sequences), settings, seed),
            settings.loss_reduction,
        ),
        settings,
    )
    fit_plan = replace(
        _plan(base, settings, source, seed), holds_zeros=start_from.holds_zeros
    )
    today, unfit_today = encode_counted(base, lesson.today)
    known, unfit_known = encode_counted(base, lesson.known)
    measured = held_out_loss(base, [today], on_progress, settings.loss_reduction)
    with adapters.removed_after(base, [LIVE, DAY]):
        live = _attach(base, start_from, settings, seed)
        adapters.activate(base, [*live, DAY])
        result = fit(
            base,
            fit_plan,
            source.draw(fit_plan.steps, seed),
            on_progress=on_progress,
            held_out_loss=measured,
            confidence=_confidence(base, lesson, source, fit_plan, on_progress),
            objective=DISTILLATION if source.general else NLL,
            keep=keep,
        )
        day = adapters.read(base, DAY)
        verdict = _measure(base, live, (today, known), day, on_progress)
    report = _report(result, source, new, start_from, day, verdict)
    report = replace(
        report,
        held_out_left_out=unfit_today + unfit_known,
        anchors_left_out=unfit_anchors,
    )
    whole = compose_layers(start_from.live, day) if start_from.live else day
    return whole, report


def wake_verdict(
    acquisition: Loss | None, retention: Loss | None, *, finite: bool
) -> Verdict:
    """Sum up a wake, which is never live: only broken weights refuse it."""
    reason = losses_text(acquisition, retention) if finite else "weights are not finite"
    bits = acquisition.bits if acquisition else None
    return Verdict(
        finite, reason, retention, acquisition, finite=finite, learned_bits=bits
    )


def split(whole: LayerChanges, live_rank: int, day_rank: int) -> LayerChanges:
    """Take the day's columns out of a wake version, which holds live's before them.

    Args:
        whole: What `learn` returned, zero-padded or not.
        live_rank: Columns of the live adapter.
        day_rank: Columns of the day adapter.
    """
    columns = slice(live_rank, live_rank + day_rank)
    return {
        name: LowRank(change.up[:, columns], change.down[columns])
        for name, change in whole.items()
    }


def _attach(
    base: Base, start_from: WakeStart, settings: WakeSettings, seed: int
) -> list[str]:
    """Put the frozen live adapter and the trainable day adapter on the base.

    Returns:
        Names of the adapters that make up live: none on the bare base.
    """
    live = [LIVE] if start_from.live else []
    if live:
        adapters.attach(base, LIVE, start_from.live)
    adapters.new_day(
        base,
        DAY,
        adapters.day_config(
            rank=max(settings.rank, _rank(start_from.day)),
            alpha=settings.alpha,
            dropout=settings.dropout,
        ),
        seed=seed,
        start=start_from.day or None,
    )
    return live


def _source(
    new: Sequence[Encoded],
    replay: Sequence[Encoded],
    anchors: Sequence[Encoded],
    general: Sequence[TaughtExample],
    settings: WakeSettings,
) -> BatchSource[Any]:
    """Return what batches are drawn from; each example with a teacher where one has."""
    if not general:
        return BatchSource(
            new,
            replay,
            settings.replay_share,
            settings.batch_size,
            anchors=anchors,
        )
    return BatchSource(
        new=untaught(new),
        replay=untaught(replay),
        replay_share=settings.replay_share,
        batch_size=settings.batch_size,
        general=as_heavy(general, [*new, *replay], _times(settings)),
        general_share=float(settings.general_share),
        anchors=untaught(anchors),
    )


def _times(settings: WakeSettings) -> float:
    """Return how many times as much as an example a turn of the base weighs.

    So their mean losses count as `general_weight` says, whatever their share.
    """
    share = float(settings.general_share)
    return settings.general_weight * (1 - share) / share


def _settled(settings: WakeSettings, base: Base) -> WakeSettings:
    """Return settings with a number for the share of the base's own turns.

    An automatic one is 0 where the base cannot begin a turn.
    """
    if settings.general_share == "auto" and not can_dream(base):
        return settings.model_copy(update={"general_share": 0.0})
    return base_hold.settled(settings, base.model.num_parameters())


def _turns(
    bank: Bank | None, lesson: Lesson, new: int, settings: WakeSettings, seed: int
) -> list[TaughtExample]:
    """Return the base's own turns that a wake of `new` sequences has places for.

    None asks what an example or an anchor asks, since the base has its own answer.
    """
    places = training_steps.general_limit(settings, new)
    if bank is None or not places:
        return []
    near = round(places * bank.settings.near_share)
    taught = [one.content for one in (*lesson.new, *lesson.replay)]
    others = (one.content for one in (*lesson.anchors, *lesson.today, *lesson.known))
    found = bank.near(taught, near, seed, set(map(key, chain(taught, others))))
    return found + bank.learned(places - len(found), seed)


def _measure(
    base: Base,
    live: list[str],
    held_out: tuple[Sequence[Encoded], Sequence[Encoded]],
    day: LayerChanges,
    on_progress: OnProgress,
) -> Verdict:
    """Compare what was learned with live, on what is held out: of today, and known."""
    today, known = held_out
    moved = partial(
        compare,
        base,
        live=live,
        candidate=[*live, DAY],
        on_batch=lambda: on_progress(HEARTBEAT),
    )
    return wake_verdict(
        moved(today),
        moved(known),
        finite=adapters.is_finite(day),
    )


def _plan(
    base: Base, settings: WakeSettings, source: BatchSource[Any], seed: int
) -> FitPlan:
    """Turn epochs into steps: each batch has room for its share of new examples.

    Steps beyond the epochs are there for a handful of examples to be learned.
    """
    new = len(source.new)
    steps = training_steps.step_count(settings, new, source.room)
    shown = training_steps.epoch_steps(settings, new, source.room)
    return FitPlan(
        adapter=DAY,
        lr=learning_rate(settings, base.width, held=bool(source.general)),
        steps=steps,
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        max_loss=settings.max_loss,
        check_every=settings.check_every,
        patience=settings.patience,
        seed=seed,
        ends_from=shown if settings.patience and shown < steps else 0,
        ends_every=max(LOOK_EVERY, math.ceil(new / source.room)),
    )


def _confidence(
    base: Base,
    lesson: Lesson,
    source: BatchSource[Any],
    plan: FitPlan,
    on_progress: OnProgress,
) -> Callable[[], float] | None:
    """Return what says how sure all is learned; None where that does not end the wake.

    Anchors count too, where each has its turn: what destroys one goes on until it is
    back.
    """
    if not plan.ends_from:
        return None
    all_come = source.anchors_in(plan.steps) == len(source.anchors)
    examples = [*lesson.new, *(lesson.anchors if all_come else ())]
    return least_confidence(base, encode_held_out(base, examples), on_progress)


def _report(
    result: FitResult,
    source: BatchSource[Any],
    new: EncodedLesson,
    start_from: WakeStart,
    day: LayerChanges,
    verdict: Verdict,
) -> WakeReport:
    """Return the wake's report."""
    return WakeReport(
        examples=new.learned,
        cut=new.cut,
        split=new.split,
        set_aside=new.set_aside,
        replayed=len(source.replay),
        general=source.general_in(result.steps),
        anchors=source.anchors_in(result.steps),
        steps=result.steps,
        tokens=result.tokens,
        seconds=result.seconds,
        tokens_per_second=result.tokens / result.seconds,
        loss_first=result.loss_first,
        loss_last=result.loss_last,
        best_step=result.best_step,
        stopped_early=result.stopped_early,
        held_out=result.held_out,
        verdict=verdict,
        live_rank=_rank(start_from.live),
        day_rank=_rank(day),
        mfu=result.mfu,
        confidence=result.confidence,
        learned=result.learned,
    )


def _rank(changes: LayerChanges) -> int:
    """Return the largest rank of any layer, 0 where there is none."""
    return max((change.rank for change in changes.values()), default=0)
