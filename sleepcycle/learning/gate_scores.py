"""How one side does on all that the gate measures by."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sleepcycle.model.adapters import only_active
from sleepcycle.model.agreement import agreeing, askable, holding
from sleepcycle.model.base import Base
from sleepcycle.model.drift import drifts
from sleepcycle.model.encode import Encoded
from sleepcycle.model.exam import ExamScore, examine
from sleepcycle.model.score import each_nll
from sleepcycle.records.content import Completion
from sleepcycle.records.example import Example
from sleepcycle.records.progress import HEARTBEAT, OnProgress


@dataclass(frozen=True, eq=False)
class GateInputs:
    """What both sides are measured on."""

    today: Sequence[Example]
    """Held-out examples of today's batches."""

    known: Sequence[Example]
    """Held-out examples of known batches."""

    dreams: Sequence[Encoded]
    """What the bare base dreamt, and no night learned."""

    turns: Sequence[Completion] = ()
    """Prompts that the bare base answered greedily, and no night learned."""

    anchors: Sequence[Completion] = ()
    """Questions of the owner, with answers that must stay right."""


@dataclass(frozen=True, eq=False)
class SideScores:
    """What was found of one side, example by example."""

    today: Sequence[ExamScore]
    known: Sequence[ExamScore]
    dreams: Sequence[float]
    """Nats of each dream."""

    drift: float = 0.0
    """KL from the bare base on all dreams together, in nats."""

    turns: Sequence[bool] = field(default_factory=tuple)
    """Which of the base's turns are answered as the base does."""

    anchors: Sequence[bool] = field(default_factory=tuple)
    """Which anchors are answered right."""


@dataclass(frozen=True, eq=False)
class GateExam:
    """What is asked of each side, on one base."""

    base: Base
    inputs: GateInputs
    max_asked: int
    """Most prompts of each kind to be answered."""

    on_progress: OnProgress
    """Gets a heartbeat for each batch scored."""

    def score(self, names: Sequence[str]) -> SideScores:
        """Score what is attached under some names; none is the bare base.

        No adapter is active on the base afterwards.
        """
        base, inputs, beat = self.base, self.inputs, self._beat
        turns = askable(base, inputs.turns, self.max_asked)
        with only_active(base, names):
            dreams = each_nll(base, inputs.dreams, on_batch=beat)
            kept = (
                agreeing(base, turns, on_batch=beat) if names else [True] * len(turns)
            )
        drift, _ = drifts(base, inputs.dreams, [names], on_batch=beat)
        return SideScores(
            today=self._examine(inputs.today, names),
            known=self._examine(inputs.known, names),
            dreams=dreams,
            drift=drift[0],
            turns=kept,
            anchors=self.hold(names),
        )

    def hold(self, names: Sequence[str]) -> list[bool]:
        """Ask the anchors alone."""
        anchors = askable(self.base, self.inputs.anchors, self.max_asked)
        with only_active(self.base, names):
            return holding(self.base, anchors, on_batch=self._beat)

    def _examine(
        self, examples: Sequence[Example], names: Sequence[str]
    ) -> list[ExamScore]:
        """Score one side on held-out examples."""
        contents = [example.content for example in examples]
        return examine(
            self.base, contents, [names], self.max_asked, on_batch=self._beat
        )

    def _beat(self) -> None:
        """Send a heartbeat."""
        self.on_progress(HEARTBEAT)
