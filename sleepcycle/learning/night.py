"""One night: fold live and day into one small adapter, maybe relearn, ask the gate."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sleepcycle.learning.downscaling import damp, shrink
from sleepcycle.learning.fold import FoldResult, fold_adapter
from sleepcycle.learning.gate_scores import GateExam, GateInputs
from sleepcycle.learning.mending import GateTrials, judge_or_mend
from sleepcycle.learning.rem import (
    PASSES_TO_LEARN,
    Budget,
    RemPlan,
    relearn,
    steps_within,
)
from sleepcycle.learning.replay import ReplayBuilder, ReplayInputs
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import encode_all
from sleepcycle.model.fit import learning_rate
from sleepcycle.model.moments import moments
from sleepcycle.model.monitor import FitResult
from sleepcycle.model.score import (
    encode_contents,
    encode_held_out,
    held_out_loss,
)
from sleepcycle.numerics.lowrank import LayerChanges, Moments, trim
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Dream, Example
from sleepcycle.records.progress import HEARTBEAT, OnProgress, Progress
from sleepcycle.records.reports import RemReport, SleepReport
from sleepcycle.records.verdict import Verdict
from sleepcycle.settings import base_hold
from sleepcycle.settings.choices import Compression, Stage, Weighting
from sleepcycle.settings.config import Settings, SleepSettings

CANDIDATE = "candidate"
KEEP_ALL = SleepSettings(compression=Compression.NONE)
LOOKED_AT = 200  # examples whose mean length stands for all
MOMENT_EXAMPLES = 256  # enough for a matrix of the adapter's width


@dataclass(frozen=True, eq=False)
class NightInputs:
    """What stands before the night begins."""

    past: ReplayInputs
    """What the night may learn from: live, the day, and what both learned."""

    today: Sequence[Example] = ()
    """Held-out examples of today's batches."""

    known: Sequence[Example] = ()
    """Held-out examples of known batches."""

    anchors: Sequence[Example] = ()
    """Questions of the owner, with answers that must stay right."""

    wake_tokens: int = 0
    """Tokens that the day trained on."""

    seed: int = 0


def sleep(
    base: Base, inputs: NightInputs, settings: Settings, *, on_progress: OnProgress
) -> tuple[LayerChanges, SleepReport, list[Dream]]:
    """Consolidate one day, relearn if set to, and judge; what is live stays as it is.

    Returns:
        The candidate's change per layer, the report with the gate's verdict, and
        what was dreamt.

    Raises:
        DivergedError: The loss of REM, or of the dreamer, exploded or is not a number.
        AdapterError: The day's change holds NaN or infinity.
    """
    started = time.perf_counter()
    night = _Night(base, inputs, settings, on_progress)
    candidate: LayerChanges = inputs.past.whole
    stages = base_hold.night_stages(settings, base.model.num_parameters())
    for number, stage in enumerate(stages):
        on_progress(Progress(str(stage), number, len(stages)))
        candidate = {Stage.SVD: night.fold, Stage.REM: night.relearn}[stage](candidate)
    on_progress(Progress("gate", 0, 1))
    candidate, verdict = night.judge(candidate)
    on_progress(Progress("gate", 1, 1))
    folded = night.folded or fold_adapter(candidate, KEEP_ALL)
    report = SleepReport(
        seconds=time.perf_counter() - started,
        rank=max((layer.rank for layer in trim(candidate).values()), default=0),
        kept_energy=folded.kept_energy,
        verdict=verdict,
        layers=folded.layers,
        rem=night.rem,
        damped=folded.damped,
    )
    return candidate, report, night.replay_builder.dreams


class _Night:
    """The stages of one night, and what they found."""

    def __init__(
        self,
        base: Base,
        inputs: NightInputs,
        settings: Settings,
        on_progress: OnProgress,
    ) -> None:
        self._base = base
        self._inputs = inputs
        self._settings = settings
        self._on_progress = on_progress
        self.folded: FoldResult | None = None
        self.rem: RemReport | None = None
        self.replay_builder = ReplayBuilder(
            base,
            inputs.past,
            settings,
            seed=inputs.seed,
            on_progress=on_progress,
        )

    def fold(self, change: LayerChanges) -> LayerChanges:
        """Fold the adapter to a small rank, and weaken what the settings name."""
        settings = self._settings.sleep
        weakened, damped = damp(
            self._base, change, settings.downscale, on_layer=self._beat
        )
        found = fold_adapter(weakened, settings, self._moments(weakened))
        small = shrink(found.change, settings.downscale)
        self.folded = replace(found, change=small, damped=damped)
        return small

    def relearn(self, change: LayerChanges) -> LayerChanges:
        """Relearn what the day or the fold made worse, within the night's budget."""
        started = time.perf_counter()
        settings = self._settings.sleep.rem
        whole = settings.max_share_of_wake * PASSES_TO_LEARN * self._inputs.wake_tokens
        sources = self.replay_builder.gather(self._count(whole), self._inputs.anchors)
        paid = whole + self.replay_builder.unpaid_tokens
        budget = Budget(paid, self.replay_builder.tokens)
        steps = steps_within(sources, settings.batch_size, budget, settings.max_steps)
        counts = {source.name: len(source.taught) for source in sources}
        if not any(counts.values()):
            return change
        if steps == 0 or all(layer.rank == 0 for layer in change.values()):
            self.rem = self._report(started, counts, budget.spent, None)
            return change
        terms = RemPlan(
            steps,
            self._lr(),
            self._inputs.seed,
            self._on_progress,
            self._held_out_loss(),
            self._settings.wake.loss_reduction,
        )
        learned, result = relearn(self._base, change, sources, settings, terms)
        self.rem = self._report(started, counts, budget.spent, result)
        return learned

    def _report(
        self,
        started: float,
        sources: Mapping[str, int],
        spent: int,
        result: FitResult | None,
    ) -> RemReport:
        """Return the report of REM; `result` is None where it took no step."""
        tokens = result.tokens if result else 0
        wake_cost = max(1, PASSES_TO_LEARN * self._inputs.wake_tokens)
        return RemReport(
            steps=result.steps if result else 0,
            tokens=tokens,
            seconds=time.perf_counter() - started,
            loss_first=result.loss_first if result else None,
            loss_last=result.loss_last if result else None,
            best_step=result.best_step if result else 0,
            stopped_early=result.stopped_early if result else False,
            sources=sources,
            cost=(spent + PASSES_TO_LEARN * tokens) / wake_cost,
            held_out=result.held_out if result else (),
        )

    def judge(self, candidate: LayerChanges) -> tuple[LayerChanges, Verdict]:
        """Measure the candidate against live; weaken it until the gate is met.

        Returns:
            What is left of the candidate, and the gate's verdict.
        """
        inputs, settings = self._inputs, self._settings
        parameters = self._base.model.num_parameters()
        limits = base_hold.gate_limits(settings, parameters)
        measured = GateInputs(
            inputs.today,
            inputs.known,
            self.replay_builder.probe(limits.probe_dreams),
            turns=self.replay_builder.turns(limits.probe_dreams),
            anchors=[
                one.content
                for one in inputs.anchors
                if isinstance(one.content, Completion)
            ],
        )
        exam = GateExam(self._base, measured, limits.max_asked, self._on_progress)
        live = inputs.past.live
        trials = GateTrials(exam, live, limits)
        return judge_or_mend(
            trials, live, candidate, mend=limits.mend, on_progress=self._on_progress
        )

    def _count(self, whole: float) -> int:
        """Return how many examples the budget pays for, if nothing else cost any."""
        looked = self._inputs.past.new[:LOOKED_AT]
        contents = (example.content for example in looked)
        encoded = encode_all(contents, self._base, prompt_weight=0)
        tokens = sum(len(part.ids) for part in encoded)
        length = tokens / max(1, len(looked)) or 1
        return int(whole / (PASSES_TO_LEARN * length))

    def _lr(self) -> float:
        """Return the student's peak learning rate."""
        lr = self._settings.sleep.rem.lr
        if lr != "auto":
            return lr
        return learning_rate(self._settings.wake, self._base.width) / 2

    def _moments(self, change: LayerChanges) -> Moments | None:
        """Measure what the layers read, if directions are weighed by it and any is."""
        if self._settings.sleep.svd.weighting is Weighting.PLAIN:
            return None
        past = self._inputs.past
        contents = [example.content for example in (*past.new, *past.replay)]
        contents += [dream.content for dream in past.dreamt]
        if not contents:
            return None
        random.Random(self._inputs.seed).shuffle(contents)
        encoded = encode_contents(self._base, contents[:MOMENT_EXAMPLES])
        with adapters.on_base(self._base, {CANDIDATE: change}):
            found = moments(self._base, CANDIDATE, encoded)
        return {
            name: found[name][: layer.rank, : layer.rank]
            for name, layer in change.items()
        }

    def _held_out_loss(self) -> Callable[[], float] | None:
        """Return what measures the mean loss on today, the past, and the base's dreams.

        Of each what is held out; a night that brings no part of them is not kept.
        """
        parts = [
            encode_held_out(self._base, self._inputs.today),
            encode_held_out(self._base, self._inputs.known),
            self.replay_builder.watched(self._settings.gate.probe_dreams),
        ]
        reduction = self._settings.wake.loss_reduction
        return held_out_loss(self._base, parts, self._on_progress, reduction)

    def _beat(self) -> None:
        """Send a heartbeat."""
        self._on_progress(HEARTBEAT)
