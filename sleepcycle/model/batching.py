"""Training batches: each holds its share of new examples and of replayed ones."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import TypeVar

from sleepcycle.model.encode import Encoded
from sleepcycle.settings import training_steps

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class BatchSource:
    """What batches are drawn from."""

    new: Sequence[Encoded]
    replay: Sequence[Encoded]
    """Known examples; where there are none, batches are all new."""

    replay_share: float
    """Part of all drawn examples that are replayed, in [0, 1)."""

    batch_size: int

    @property
    def room(self) -> Fraction:
        """How many new examples a batch holds on average."""
        return training_steps.room(self.batch_size, self._share, len(self.new))

    def draw(self, steps: int, seed: int) -> list[list[Encoded]]:
        """Draw the batches of a whole run.

        New examples come in shuffled rounds: none is seen a second time before all
        were seen once. Replayed ones too. What a batch cannot hold of its share is
        carried over to the next, so that over the run the share is exact.
        """
        share = self._share
        parts = [(self.new, 1 - share), (self.replay, share)]
        return mix(parts, self.room / (1 - share), steps, seed)

    @property
    def _share(self) -> Fraction:
        """Part of a batch that is replayed."""
        return Fraction(self.replay_share) if self.replay else Fraction(0)


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
