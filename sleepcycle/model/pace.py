"""How fast a run learns: tokens a second, the time left, the share of the peak."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

SPEED_STEPS = 20  # over which the speed is measured
SURE_STEPS = 3  # before which nothing is said of the time left
SHORT_RUN = 10  # steps up to which it is said from the first on


@dataclass(frozen=True, slots=True)
class LearningCost:
    """What of a model decides how many operations it takes to learn with it frozen."""

    matrices: int
    """Weights of the frozen matrices that a token goes through."""

    adapter: int
    """Weights that learn."""

    head: int
    """Width times vocabulary; of learned tokens alone."""

    channels: int
    """Layers times width, which attention goes through for each pair of tokens."""

    def flop(self, lengths: Iterable[int], learned: int) -> float:
        """Return the operations of one step, whatever is computed in fact.

        A frozen weight is a multiplication and an addition forward, and as many for the
        gradient by what its matrix reads; one that learns has a gradient of its own as
        well: 4 M + 6 A a token, and 4 H a learned one. Of two tokens that see each
        other each channel costs 4 forward and 8 backward; half of all pairs do.

        Args:
            lengths: Of the sequences.
            learned: How many of their tokens are learned.
        """
        counts = list(lengths)
        pairs = sum(count**2 for count in counts) / 2
        each = 4.0 * self.matrices + 6.0 * self.adapter
        ends = 4.0 * self.head * learned
        return each * sum(counts) + ends + 12.0 * self.channels * pairs


@dataclass(frozen=True, slots=True)
class StepWork:
    """What one step of a run has to do."""

    tokens: int
    flop: float


class Pace:
    """Watches the clock of a run whose steps are known beforehand by their tokens."""

    def __init__(
        self,
        ahead: Sequence[StepWork],
        look_every: int,
        peak: float | None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Take what is to come.

        Args:
            ahead: Each step of the run.
            look_every: Steps between two looks at the held-out loss; 0 for none.
            peak: Operations a second that the device does at most, where it is known.
            clock: Returns seconds.
        """
        self._ahead = ahead
        self._look_every = look_every
        self._peak = peak
        self._clock = clock
        self._steps: deque[tuple[int, float]] = deque(maxlen=SPEED_STEPS)
        self._warm = False
        self._looks: list[float] = []
        self._done = 0
        self._flop = 0.0
        self._learning_s = 0.0
        self._at = clock()

    def begin(self, done: int = 0) -> None:
        """Start the clock, after so many steps that were done before."""
        self._done = done
        self._at = self._clock()

    def learned(self) -> None:
        """Take the end of a step; the first warms up, and counts until the second."""
        seconds = self._lap()
        if not self._warm and self._steps:
            self._warm = True
            self._steps.clear()
            self._flop = self._learning_s = 0.0
        work = self._ahead[self._done]
        self._done += 1
        self._flop += work.flop
        self._learning_s += seconds
        self._steps.append((work.tokens, seconds))

    def looked(self) -> None:
        """Take the end of a look at the held-out loss."""
        self._looks.append(self._lap())

    def paused(self) -> None:
        """Leave out the time since the last step or look."""
        self._lap()

    @property
    def tokens_per_second(self) -> float:
        """Tokens that the last steps learned in a second, looks not counted."""
        tokens = sum(count for count, _ in self._steps)
        return tokens / max(1e-9, sum(seconds for _, seconds in self._steps))

    @property
    def left_s(self) -> float | None:
        """Seconds until the last step, looks included; None before it can be told.

        Steps count by their tokens. A look takes as long as those before; until the
        first one nothing is known of them.
        """
        if self._done >= len(self._ahead):
            return 0.0
        if len(self._steps) < SURE_STEPS and len(self._ahead) > SHORT_RUN:
            return None
        tokens = sum(work.tokens for work in self._ahead[self._done :])
        looks = sum(self._looks) / max(1, len(self._looks))
        return tokens / self.tokens_per_second + looks * self._looks_left()

    @property
    def mfu(self) -> float | None:
        """Share of the device's peak that learning has used, looks not counted.

        None where the peak is not known.
        """
        if self._peak is None or not self._learning_s:
            return None
        return self._flop / self._learning_s / self._peak

    def _lap(self) -> float:
        """Return the seconds since the last time, and count from now."""
        before, self._at = self._at, self._clock()
        return self._at - before

    def _looks_left(self) -> int:
        """Return how many looks are to come, the last step's included."""
        if not self._look_every:
            return 0
        steps = len(self._ahead)
        regular = steps // self._look_every - self._done // self._look_every
        return regular + (steps % self._look_every > 0)
