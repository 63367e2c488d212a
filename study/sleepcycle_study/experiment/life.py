"""One run of the study: an arm learns a course by the service's own wake and night."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sleepcycle.learning import night, wake
from sleepcycle.learning.bank import Bank
from sleepcycle.learning.replay import ReplayInputs
from sleepcycle.model.base import Base
from sleepcycle.model.encode import encode_all
from sleepcycle.model.fit import learning_rate
from sleepcycle.numerics.lowrank import LayerChanges, trim
from sleepcycle.records.example import Example
from sleepcycle.records.progress import OnProgress, Progress
from sleepcycle.records.reports import RemReport
from sleepcycle.settings.choices import Compression, Stage
from sleepcycle.settings.config import BankSettings, Settings, WakeSettings
from sleepcycle_study.experiment.arms import Arm
from sleepcycle_study.experiment.common_knowledge import QUESTIONS, asked
from sleepcycle_study.experiment.plan import StudyPlan
from sleepcycle_study.experiment.results import Curve, Fold, Relearned
from sleepcycle_study.experiment.teaching import Course, TaughtPhase
from sleepcycle_study.experiment.token_count import TokenCount
from sleepcycle_study.experiment.traces import curve, fold

LOOKED_AT = 200  # examples whose mean length stands for a phase's
SEEDS = 1_000  # more days and nights than a course has
DAY, NIGHT = 0, SEEDS // 2  # where their seeds begin
REPLAY = 0.5  # of a cycle's wakes, the service's default
CYCLE = 1.5  # at most: a cycle's days and nights over its days, by the REM budget
GATE: dict[str, Any] = {"probe_dreams": 16, "max_asked": 0, "mend": False}
"""The verdict is computed and a refusal ignored: an arm is measured by what it does, so
nothing is weakened either."""


@dataclass
class Life(TokenCount):
    """What one run has learned, and what that took."""

    whole: LayerChanges = field(default_factory=dict)
    """All that was learned, as one change."""

    rank: int = 0
    """With which learning goes on; 0 for the plan's."""

    known: list[TaughtPhase] = field(default_factory=list)
    """Learned before the last night."""

    today: list[TaughtPhase] = field(default_factory=list)
    """Learned since."""

    slept: int = 0
    """Tokens that nights trained on, among those trained on."""

    since_night: int = 0
    """Tokens trained on since the last night."""

    steps: int = 0
    curves: list[Curve] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)
    rems: list[Relearned] = field(default_factory=list)

    @property
    def cycle(self) -> float:
        """How many tokens a day and the night after it train on, over the day's."""
        days = self.trained - self.slept
        return self.trained / days if self.slept else CYCLE

    def end_day(self) -> None:
        """Count what was learned today among what is known."""
        self.known += self.today
        self.today, self.since_night = [], 0


def live(
    base: Base,
    arm: Arm,
    course: Course,
    study: StudyPlan,
    *,
    seed: int,
    on_progress: OnProgress,
) -> Iterator[tuple[str, Life]]:
    """Learn a course in one way, on a base that carries no adapter.

    Yields what has just been done and the life so far, after every phase and every
    night; the base is bare whenever it does, and may be asked something.

    Every arm that teaches trains on as many tokens: those of all phases, each with
    its epochs. What a night trains on is taken from the phases behind it. Only the arm
    of the last phase alone trains on no more than that phase has.

    Raises:
        DivergedError: The loss exploded or is not a number.
    """
    if not arm.teaches:
        return
    run = _Run(base, arm, study, seed, on_progress)
    phases = _phases(arm, course)
    planned = [_tokens(base, taught) for taught in phases]
    whole = phases if arm.last_only else course.phases
    goal = sum(_tokens(base, taught) for taught in whole)
    first = len(course.phases) - 1 if arm.last_only else 0
    naps = arm.is_cycle and bool(arm.stages)
    relearns = naps and arm.relearns
    for number, taught in enumerate(phases, first):
        name, is_last = taught.phase.name, taught is phases[-1]
        if arm.stages and number and taught.phase.consolidate and not arm.is_cycle:
            run.sleep(f"before {name}", number)
            yield f"sleep before {name}", run.life
        left = max(0, goal - run.life.trained)
        share = left / sum(planned[number - first :])
        run.learn(taught, share / run.life.cycle if relearns else share, number)
        yield name, run.life
        if naps or (arm.sleeps_last and is_last):
            run.sleep(f"after {name}", number)
            yield f"sleep after {name}", run.life
        elif arm.is_cycle:
            run.life.end_day()


class _Run:
    """The days and nights of one run."""

    def __init__(
        self,
        base: Base,
        arm: Arm,
        study: StudyPlan,
        seed: int,
        on_progress: OnProgress,
    ) -> None:
        self._base, self._arm, self._study = base, arm, study
        self._seed, self._on_progress = seed * SEEDS, on_progress
        self._is_pruned = False
        self.life = Life(rank=arm.rank or 0)

    def learn(self, taught: TaughtPhase, share: float, number: int) -> None:
        """Learn a phase, counted from 0; `share` scales its epochs.

        Its batches are drawn alike in every arm, whatever nights came before.
        """
        life = self.life
        settings = self._wake_settings(taught, share)
        if settings is None:
            return
        fresh = self._arm.is_cycle
        start_from = (
            wake.WakeStart(life.whole, {})
            if fresh
            else wake.WakeStart({}, life.whole, self._is_pruned)
        )
        losses: list[tuple[int, float]] = []

        def hear(progress: Progress) -> None:
            if progress.loss is not None:
                losses.append((progress.step, progress.loss))
            self._on_progress(progress)

        replay = _examples(life.known) if fresh else []
        life.whole, report = wake.learn(
            self._base,
            start_from,
            wake.Lesson(taught.examples, replay, (), ()),
            settings,
            seed=self._seed + DAY + number,
            on_progress=hear,
            bank=Bank(
                self._base,
                BankSettings(),
                on_progress=self._on_progress,
                avoid=asked(QUESTIONS),
            ),
        )
        life.trained += report.tokens
        life.since_night += report.tokens
        life.today.append(taught)
        life.curves.append(curve(taught.phase.name, losses, life.steps))
        life.steps += report.steps

    def sleep(self, when: str, number: int) -> None:
        """Consolidate and relearn as the arm says.

        Args:
            when: What the fold is told by, such as `before consolidation`.
            number: The phase that the night is before or behind.
        """
        arm, life = self._arm, self.life
        inputs = night.NightInputs(
            past=ReplayInputs(
                whole=life.whole,
                live={},
                new=_examples(life.today),
                replay=_examples(life.known),
            ),
            today=[one for taught in life.today for one in taught.held_out],
            known=[one for taught in life.known for one in taught.held_out],
            wake_tokens=life.since_night,
            seed=self._seed + NIGHT + number,
        )
        settings = self._night_settings()
        folded, report, _ = night.sleep(
            self._base, inputs, settings, on_progress=self._on_progress
        )
        life.whole = trim(folded)
        self._book(when, report.rem)
        if Stage.SVD in arm.stages:
            life.folds.append(fold(when, report, settings))
            is_svd = settings.sleep.compression is Compression.SVD
            self._is_pruned = not is_svd
            if is_svd and not arm.is_cycle:
                life.rank = report.rank
        life.end_day()

    def _book(self, when: str, rem: RemReport | None) -> None:
        """Write down what a night trained on and read."""
        if rem is not None:
            self.life.add_rem(rem, self.life.since_night)
            self.life.slept += rem.tokens
            self.life.rems.append(
                Relearned(when, rem.steps, rem.best_step, rem.held_out)
            )

    def _wake_settings(self, taught: TaughtPhase, share: float) -> WakeSettings | None:
        """Return how a phase is learned; None where no token is left for it."""
        wakes, phase = self._study.wake, taught.phase
        replays = self._arm.is_cycle and bool(self.life.known)
        general = self._arm.general_share
        epochs = phase.epochs * share * (1 - REPLAY if replays else 1) * (1 - general)
        if epochs <= 0:
            return None
        lr = wakes.lr if phase.lr == "auto" else phase.lr
        peak = learning_rate(wakes, self._base.width) if lr == "auto" else lr
        scale = max(phase.lr_scale, self._study.lr_floor)
        rank = self.life.rank or wakes.rank
        return wakes.model_copy(
            update={
                "rank": rank,
                "alpha": wakes.alpha / wakes.rank * rank,
                "lr": peak * (1.0 if self._arm.full_rate else scale),
                "lr_scale": 1.0,
                "epochs": epochs,
                "min_steps": 1,
                "max_steps": 0,
                "patience": 0,
                "replay_share": REPLAY if replays else 0.0,
                "general_share": general,
            }
        )

    def _night_settings(self) -> Settings:
        """Return the settings of a night."""
        own = dict(self._arm.sleep)
        plain = self._study.sleep.model_dump()
        svd = plain["svd"] | dict(own.pop("svd", {}))  # type: ignore[call-overload]
        sleep = plain | own | {"svd": svd, "stages": list(self._arm.stages)}
        return Settings(wake=self._study.wake, sleep=sleep, gate=GATE)


def _phases(arm: Arm, course: Course) -> list[TaughtPhase]:
    """Return what an arm is taught, in its order."""
    phases = list(course.phases)
    if arm.last_only:
        return phases[-1:]
    if not arm.mixed:
        return phases
    shown = [
        example
        for taught in phases
        for example in _repeated(taught.examples, taught.phase.epochs)
    ]
    examples = tuple(
        Example(place + 1, example.batch, example.content)
        for place, example in enumerate(shown)
    )
    update = {"name": "all phases", "epochs": 1.0, "consolidate": False}
    return [TaughtPhase(phases[0].phase.model_copy(update=update), examples)]


def _examples(taught: Sequence[TaughtPhase]) -> list[Example]:
    """Return the examples of several phases."""
    return [example for one in taught for example in one.examples]


def _repeated(examples: Sequence[Example], epochs: float) -> list[Example]:
    """Return examples as often as a phase shows them; a broken epoch is a part."""
    whole, part = divmod(epochs, 1)
    return [*examples] * int(whole) + [*examples[: round(part * len(examples))]]


def _tokens(base: Base, taught: TaughtPhase) -> int:
    """Return about how many tokens a phase trains on."""
    stride = max(1, len(taught.examples) // LOOKED_AT)
    looked = taught.examples[::stride]  # from all phases, where they are mixed
    encoded = encode_all((e.content for e in looked), base, prompt_weight=0)
    mean = sum(len(part.ids) for part in encoded) / len(looked)
    return round(mean * len(taught.examples) * taught.phase.epochs)
