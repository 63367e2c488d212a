"""The gradient of one step: its examples in as many parts as memory asks for."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sleepcycle.model.base import Base
from sleepcycle.model.compiled_layers import compiled_layers
from sleepcycle.model.encode import Encoded
from sleepcycle.model.forward import Losses, token_nll
from sleepcycle.model.pace import LearningCost, StepWork
from sleepcycle.model.reading import Reader
from sleepcycle.model.student import Student
from sleepcycle.model.token_batch import (
    Gather,
    LearnedTokens,
    TokenBatch,
    learned_tokens,
)
from sleepcycle.model.training_graphs import (
    PartSize,
    StepPart,
    TrainingGraphs,
    few_sizes,
)

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

    def work(self, examples: Sequence[Any], cost: LearningCost) -> StepWork:
        """Return what it takes to learn examples in one step."""
        sequences = [self.sequence(one) for one in examples]
        lengths = [len(one.ids) for one in sequences]
        learned = sum(one.learned for one in sequences)
        return StepWork(sum(lengths), cost.flop(lengths, learned))


NLL = Objective()


@dataclass(frozen=True)
class _Prepared:
    """A step's examples, put together."""

    examples: Sequence[Any]
    count: int
    """How many parts to make of them at least."""

    parts: Sequence[StepPart]
    weight: float
    """Of all that is learned."""

    def are(self, examples: Sequence[Any], count: int) -> bool:
        """Return whether these are examples, in so many parts."""
        return self.examples is examples and self.count == count


class Gradients:
    """Makes gradients of a student by the examples of a run's steps."""

    def __init__(
        self,
        base: Base,
        student: Student,
        objective: Objective,
        batches: Sequence[Sequence[Any]],
        compiled: bool = False,
    ) -> None:
        """Take a run's examples.

        Args:
            base: With the student and what else is active.
            student: What learns.
            objective: What is minimised.
            batches: The examples of each step.
            compiled: Whether layers are compiled for CUDA graphs, if those are made.
        """
        self._base = base
        self._student = student
        self._objective = objective
        self._compiles = compiled
        self._losses = objective.losses
        self._reader = Reader(base)
        self._next: _Prepared | None = None
        self._ahead = [
            self._sequences(part) for batch in batches for part in self._parts(batch, 1)
        ]
        self._graphs = self._captured() if self._reader.has_fixed_shapes else None

    @property
    def most_at_once(self) -> int:
        """Most tokens that pass through the model at once, if all goes well.

        Those are counted that batches are padded with.
        """
        return max(
            self._reader.passing([len(one.ids) for one in part]) for part in self._ahead
        )

    @property
    def longest(self) -> int:
        """How many tokens the longest example has."""
        return max(len(one.ids) for part in self._ahead for one in part)

    def tokens(self, examples: Sequence[Any]) -> int:
        """Return how many tokens examples have."""
        return sum(len(self._objective.sequence(one).ids) for one in examples)

    def close(self) -> None:
        """Let go of the graphs, which hold as much memory as a step takes."""
        self._graphs = self._next = None

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
        if self._next is None or not self._next.are(examples, parts):
            self.prepare(examples, parts)
        ready, self._next = self._next, None
        assert ready is not None  # noqa: S101 - just made, if it was not there
        whole = max(ready.weight, LEAST_WEIGHT)
        share = torch.full((), 1 / whole, device=self._base.device)
        losses = [self._add(part, share) for part in ready.parts]
        if self._objective.penalty is not None:
            losses.append(self._add_penalty(self._objective.penalty))
        return torch.stack(losses).sum()

    def prepare(self, examples: Sequence[Any], parts: int) -> None:
        """Put the examples of the next step together, while the device computes."""
        made = [self._part(some) for some in self._parts(examples, parts)]
        weight = sum(float(part.tokens.weights.sum()) for part in made)
        self._next = _Prepared(examples, parts, made, weight)

    def _part(self, examples: Sequence[Any]) -> StepPart:
        """Put some examples together, on the CPU."""
        batch = self._reader.laid_out(self._sequences(examples))
        part = StepPart(batch, self._objective.gather(examples))
        if self._graphs is not None:
            part = self._graphs.fitted(part)
        return part.pin_memory() if self._base.device.type == "cuda" else part

    def _captured(self) -> TrainingGraphs:
        """Return what computes the parts of a run by graphs of a few sizes."""
        longest = max(one.read for part in self._ahead for one in part)
        sizes = [
            PartSize(
                tokens=sum(one.read for one in part),
                learned=sum(one.learned for one in part),
                sequences=len(part),
            )
            for part in self._ahead
        ]
        return TrainingGraphs(
            self._base.model,
            self._compute,
            few_sizes(sizes, longest),
            longest,
            self._student.gradient,
            self._compiling,
        )

    @contextmanager
    def _compiling(self) -> Iterator[None]:
        """Let layers and losses be compiled meanwhile, if they are to be."""
        if not self._compiles:
            yield
            return
        self._losses = torch.compile(self._objective.losses, dynamic=True)
        try:
            with compiled_layers(self._base.model):
                yield
        finally:
            self._losses = self._objective.losses

    def _sequences(self, examples: Sequence[Any]) -> list[Encoded]:
        """Return what the model reads of examples."""
        return [self._objective.sequence(one) for one in examples]

    def _parts(self, examples: Sequence[Any], count: int) -> Iterator[Sequence[Any]]:
        """Yield examples, no more at once than may be."""
        size = math.ceil(len(examples) / count)
        for first in range(0, len(examples), size):
            some = examples[first : first + size]
            lengths = [len(one.ids) for one in self._sequences(some)]
            for part in self._reader.within(lengths, self._base.batch_tokens):
                yield some[part]

    def _add(self, part: StepPart, share: Tensor) -> Tensor:
        """Add a part's gradient; return its share of the loss."""
        if self._graphs is not None:
            return self._graphs.run(part, share)
        here = part.to(self._base.device)
        return self._compute(here.batch, here.tokens, share)

    def _compute(
        self, batch: TokenBatch, tokens: LearnedTokens, share: Tensor
    ) -> Tensor:
        """Add the gradient of a batch; return its share of the loss."""
        with self._reader.apart():
            loss = self._reader.summed_loss(batch, tokens, self._losses)
            self._student.add_gradient(loss * share, self._student.working)
        return loss.detach() * share

    def _add_penalty(self, penalty: Callable[[], Tensor]) -> Tensor:
        """Add the penalty's gradient; return it."""
        found = penalty()
        if found.requires_grad:  # one over nothing is a constant
            self._student.add_gradient(found, self._student.masters)
        return found.detach()
