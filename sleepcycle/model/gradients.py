"""The gradient of one step: its examples in as many parts as memory asks for."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.forward import Losses, token_nll
from sleepcycle.model.reading import Reader
from sleepcycle.model.student import Student
from sleepcycle.model.token_batch import Gather, LearnedTokens, learned_tokens

LEAST_WEIGHT = 1e-6  # of a batch: one that is cut to nothing learns nothing


def _itself(example: Any) -> Encoded:  # noqa: ANN401 - an `Encoded`, as it comes
    """Return an example that is a sequence already."""
    found: Encoded = example
    return found


@dataclass(frozen=True)
class Objective:
    """What training minimises: the mean of tokens' losses by weight, and a penalty."""

    losses: Losses = token_nll
    gather: Gather = learned_tokens
    sequence: Callable[[Any], Encoded] = _itself
    """Returns what the model reads of an example."""

    penalty: Callable[[], Tensor] | None = None
    """Returns what is added to the loss of each step, as a scalar."""


NLL = Objective()


class Gradients:
    """Makes gradients of a student by the examples of a step."""

    def __init__(self, base: Base, student: Student, objective: Objective) -> None:
        self._base = base
        self._student = student
        self._objective = objective
        self._reader = Reader(base)

    def tokens(self, examples: Sequence[Any]) -> int:
        """Return how many tokens examples have."""
        return sum(len(self._objective.sequence(one).ids) for one in examples)

    def make(self, examples: Sequence[Any], parts: int) -> Tensor:
        """Let the student's gradient be that of a step's mean loss.

        Args:
            examples: Of the step.
            parts: How many to make of them at least; each has its share of the whole
                by its weight.

        Returns:
            The loss, in nats per token by weight, with the penalty.
        """
        self._student.gradient.zero_()
        split = list(self._parts(examples, parts))
        weight = sum(float(tokens.weights.sum()) for _, tokens in split)
        share = 1 / max(weight, LEAST_WEIGHT)
        losses = [self._add(part, tokens, share) for part, tokens in split]
        if self._objective.penalty is not None:
            losses.append(self._add_penalty(self._objective.penalty))
        return torch.stack(losses).sum()

    def _parts(
        self, examples: Sequence[Any], count: int
    ) -> Iterator[tuple[list[Encoded], LearnedTokens]]:
        """Yield examples with their learned tokens, no more at once than may be."""
        size = math.ceil(len(examples) / count)
        for first in range(0, len(examples), size):
            for part in self._within_bound(examples[first : first + size]):
                sequences = [self._objective.sequence(one) for one in part]
                yield sequences, self._objective.gather(part)

    def _within_bound(self, examples: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Yield examples in order, as many at once as the base's bound allows."""
        lengths = [len(self._objective.sequence(one).ids) for one in examples]
        for part in self._reader.within(lengths, self._base.batch_tokens):
            yield examples[part]

    def _add(
        self, examples: Sequence[Encoded], tokens: LearnedTokens, share: float
    ) -> Tensor:
        """Add a part's gradient; return its share of the loss."""
        here = tokens.to(self._base.device)
        with self._reader.apart():
            batch = self._reader.batch(examples)
            loss = self._reader.summed_loss(batch, here, self._objective.losses) * share
            self._student.add_gradient(loss, self._student.working)
        return loss.detach()

    def _add_penalty(self, penalty: Callable[[], Tensor]) -> Tensor:
        """Add the penalty's gradient; return it."""
        found = penalty()
        self._student.add_gradient(found, self._student.masters)
        return found.detach()
