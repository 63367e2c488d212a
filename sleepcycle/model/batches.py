"""Training batches: each holds its share of new examples and of replayed ones."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from sleepcycle.model.encode import Encoded


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
        return min(self.batch_size * (1 - self._share), Fraction(len(self.new)))

    def draw(self, steps: int, seed: int) -> list[list[Encoded]]:
        """Draw the batches of a whole run.

        New examples come in shuffled rounds: none is seen a second time before all
        were seen once. Replayed ones too. What a batch cannot hold of its share is
        carried over to the next, so that over the run the share is exact.
        """
        rng = random.Random(seed)
        new, replay = _rounds(self.new, rng), _rounds(self.replay, rng)
        room = self.room
        size = room / (1 - self._share)
        batches = []
        for step in range(steps):
            fresh = _whole(room, step)
            known = _whole(size, step) - fresh
            batches.append(
                [
                    *(next(new) for _ in range(fresh)),
                    *(next(replay) for _ in range(known)),
                ]
            )
        return batches

    @property
    def _share(self) -> Fraction:
        """Part of a batch that is replayed."""
        return Fraction(self.replay_share) if self.replay else Fraction(0)


def _whole(average: Fraction, step: int) -> int:
    """Return how many of `average` a step this one takes: whole, and adding up."""
    return int(average * (step + 1)) - int(average * step)


def _rounds(examples: Sequence[Encoded], rng: random.Random) -> Iterator[Encoded]:
    """Yield examples forever, shuffled anew each round."""
    order = list(examples)
    while order:
        rng.shuffle(order)
        yield from order
