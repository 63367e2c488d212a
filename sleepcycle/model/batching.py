"""Training batches: each has its share of new examples, replayed ones, and others."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Generic, TypeVar

from sleepcycle.settings import training_steps

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class BatchSource(Generic[T]):
    """What batches are drawn from."""

    new: Sequence[T]
    replay: Sequence[T]
    """Known examples; where there are none, their part is new."""

    replay_share: float
    """Part of what is not general that is replayed, in [0, 1)."""

    batch_size: int
    general: Sequence[T] = ()
    """The base's own turns; where there are none, their part is new or replayed."""

    general_share: float = 0.0
    """Part of all drawn examples that they are, in [0, 1)."""

    anchors: Sequence[T] = ()
    """The owner's; a part of what is replayed, also where nothing else is."""

    @property
    def room(self) -> Fraction:
        """How many new examples a batch holds on average."""
        new, *_ = self._shares
        return training_steps.room(self.batch_size, 1 - new, len(self.new))

    def anchors_in(self, steps: int) -> int:
        """Return how many anchors come in so many steps, each counted once."""
        *_, share = self._shares
        return self._come_in(steps, len(self.anchors), share)

    def general_in(self, steps: int) -> int:
        """Return how many of the base's turns come in so many steps, each once."""
        _, _, share, _ = self._shares
        return self._come_in(steps, len(self.general), share)

    def _come_in(self, steps: int, count: int, share: Fraction) -> int:
        """Return how many of `count` come in so many steps, by their share."""
        return min(count, int(self._size * share * steps))

    def draw(self, steps: int, seed: int) -> list[list[T]]:
        """Draw the batches of a whole run.

        New examples come in shuffled rounds: none is seen a second time before all
        were seen once. Others too. What a batch cannot hold of a share is carried over
        to the next, so that over the run each share is exact.
        """
        kinds = (self.new, self.replay, self.general, self.anchors)
        parts = list(zip(kinds, self._shares, strict=True))
        return mix(parts, self._size, steps, seed)

    @property
    def _size(self) -> Fraction:
        """How many examples a batch holds on average."""
        return self.room / self._shares[0]

    @property
    def _shares(self) -> tuple[Fraction, Fraction, Fraction, Fraction]:
        """Parts of a batch that are new, replayed, general and anchors."""
        general = Fraction(self.general_share) if self.general else Fraction(0)
        known = (1 - general) * Fraction(self.replay_share)
        anchors = training_steps.anchor_share(len(self.anchors), self.batch_size, known)
        replay = known - anchors if self.replay else Fraction(0)
        return 1 - general - replay - anchors, replay, general, anchors


def mix(
    parts: Sequence[tuple[Sequence[T], Fraction]], size: Fraction, steps: int, seed: int
) -> list[list[T]]:
    """Draw batches in which each part has its share, exactly over the run.

    Args:
        parts: Examples, and their share of a batch; shares add up to 1, and a part
            without examples has none.
        size: How many examples a batch holds on average.
        steps: How many batches.
        seed: Of the order; each part comes in shuffled rounds.
    """
    rng = random.Random(seed)
    rounds = [_rounds(examples, rng) for examples, _ in parts]
    ends = list(accumulate(share * size for _, share in parts))
    batches = []
    for step in range(steps):
        counts = [_whole(end, step) for end in ends]
        takes = [count - before for before, count in pairwise([0, *counts])]
        batches.append(
            [
                next(examples)
                for examples, take in zip(rounds, takes, strict=True)
                for _ in range(take)
            ]
        )
    return batches


def _whole(average: Fraction, step: int) -> int:
    """Return how many of `average` a step this one takes: whole, and adding up."""
    return int(average * (step + 1)) - int(average * step)


def _rounds(examples: Sequence[T], rng: random.Random) -> Iterator[T]:
    """Yield examples forever, shuffled anew each round."""
    order = list(examples)
    while order:
        rng.shuffle(order)
        yield from order
