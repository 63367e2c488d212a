"""The CUDA graphs of training: one for each of a few sizes of a step's parts.

A graph has fixed shapes, so the parts of a run are sorted into a few sizes, and each is
padded to its own: with sequences of nothing, and with learned tokens of no weight.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sleepcycle.model.cuda_graph import GraphMaker
from sleepcycle.model.packed_attention import Sequences
from sleepcycle.model.token_batch import LearnedTokens, TokenBatch

FEWEST_PARTS = 25  # of a run that is captured: a capture takes 2 s, a part saves 0.3
PARTS_A_GRAPH = 100  # which of a second size save less padding than its capture costs
MOST_GRAPHS = 8

_MAKER = GraphMaker("a part of a step of training")

Compute = Callable[[TokenBatch, LearnedTokens, Tensor], Tensor]
"""Adds the gradient of a part by its share, a scalar; returns its share of the loss."""


@dataclass(frozen=True, order=True)
class PartSize:
    """How large a part is."""

    tokens: int
    learned: int
    sequences: int

    def holds(self, other: "PartSize", longest: int) -> bool:
        """Return whether another can be padded to this, by sequences of that length."""
        padding = math.ceil((self.tokens - other.tokens) / longest)
        return (
            self.tokens >= other.tokens
            and self.learned >= other.learned
            and self.sequences >= other.sequences + padding
        )


def few_sizes(sizes: Sequence[PartSize], longest: int) -> list[PartSize]:
    """Return the sizes to which the parts of a run are padded, the smallest first.

    Each is as large as the parts of its share of the run, so that every part has one.

    Args:
        sizes: Of all parts.
        longest: Tokens that a sequence of padding may have.
    """
    if len(sizes) < FEWEST_PARTS:
        return []
    count = min(MOST_GRAPHS, max(1, len(sizes) // PARTS_A_GRAPH))
    ordered = sorted(sizes)
    found: list[PartSize] = []
    for number in range(count):
        some = ordered[: math.ceil(len(ordered) * (number + 1) / count)]
        tokens = max(one.tokens for one in some)
        learned = max(one.learned for one in some)
        sequences = max(
            one.sequences + math.ceil((tokens - one.tokens) / longest) for one in some
        )
        found.append(PartSize(tokens, learned, sequences))
    return sorted(set(found))


@dataclass(frozen=True, eq=False)
class StepPart:
    """Some examples of a step, put together."""

    batch: TokenBatch
    tokens: LearnedTokens
    size: PartSize | None = None
    """What they are padded to for a graph; None where they are as they come."""

    unpadded: "StepPart | None" = None
    """What they were before that."""

    def to(self, device: torch.device) -> "StepPart":
        """Return it on a device."""
        batch, tokens = self.batch.to(device), self.tokens.to(device)
        return replace(self, batch=batch, tokens=tokens)

    def pin_memory(self) -> "StepPart":
        """Return it where a GPU can copy from while other work goes on."""
        batch, tokens = self.batch.pin_memory(), self.tokens.pin_memory()
        return replace(self, batch=batch, tokens=tokens)


class TrainingGraphs:
    """Computes parts by graphs where there is one of their size, else as they come."""

    def __init__(
        self,
        model: nn.Module,
        compute: Compute,
        sizes: Sequence[PartSize],
        longest: int,
        gradient: Tensor,
        while_capturing: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._model = model
        self._compute = compute
        self._while_capturing = while_capturing
        self._sizes = list(sizes) if _MAKER.may_try(model) else []
        self._longest = longest
        self._gradient = gradient
        self._graphs: dict[object, _Graph] = {}
        self._pool: Any = None

    def fitted(self, part: StepPart) -> StepPart:
        """Return a part as large as a graph's, if there is to be one that holds it."""
        packed: Sequences = part.batch.inputs["packed"]
        size = PartSize(
            part.batch.inputs["input_ids"].shape[1],
            len(part.tokens),
            len(packed.lengths),
        )
        fitting = [one for one in self._sizes if one.holds(size, self._longest)]
        if not fitting or packed.longest > self._longest:
            return part
        batch = _padded(part.batch, fitting[0], self._longest)
        return StepPart(
            batch, _filled(part.tokens, fitting[0].learned), fitting[0], part
        )

    def run(self, part: StepPart, share: Tensor) -> Tensor:
        """Add the gradient of a part; return its share of the loss."""
        graph = self._graph_for(part, share) if part.size else None
        if graph is not None:
            return graph.replay(part, share)
        here = (part.unpadded or part).to(share.device)
        return self._compute(here.batch, here.tokens, share)

    def _graph_for(self, part: StepPart, share: Tensor) -> "_Graph | None":
        """Return the graph of parts like one; it is captured the first time.

        None if that has failed, as it does for the parts after it too.
        """
        shapes = tuple(one.shape for one in vars(part.tokens).values())
        key = part.size, shapes  # where no teacher was asked, its scores are narrower
        if key not in self._graphs and self._sizes:
            found = self._captured(part.to(share.device), share)
            if found is None:
                self._give_up()
                return None
            self._graphs[key] = found
        return self._graphs.get(key)

    def _captured(self, part: StepPart, share: Tensor) -> "_Graph | None":
        """Capture the computation of parts of one size; the gradient is left as is."""
        before = self._gradient.clone()
        still = share.clone()
        try:
            with self._while_capturing():
                found = _MAKER.capture(
                    self._model,
                    lambda: self._compute(part.batch, part.tokens, still),
                    lambda: self._gradient.copy_(before),
                    self._pool,
                )
        except torch.OutOfMemoryError:
            return None
        if found is None:
            return None
        self._pool = found.graph.pool()
        return _Graph(found.graph, part, still, found.result)

    def _give_up(self) -> None:
        """Compute all parts as they come from now on, with the memory of the graphs."""
        self._sizes.clear()
        self._graphs.clear()
        self._pool = None


@dataclass(frozen=True, eq=False)
class _Graph:
    """A captured computation, with the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    part: StepPart
    share: Tensor
    loss: Tensor

    def replay(self, part: StepPart, share: Tensor) -> Tensor:
        """Compute another part of the same size."""
        for mine, other in zip(_tensors(self.part), _tensors(part), strict=True):
            mine.copy_(other, non_blocking=True)
        self.share.copy_(share)
        self.graph.replay()
        return self.loss.clone()


def _tensors(part: StepPart) -> list[Tensor]:
    """Return the tensors of a part that is packed."""
    inputs = part.batch.inputs
    packed: Sequences = inputs["packed"]
    read = [inputs["input_ids"], inputs["position_ids"], packed.starts]
    return [*read, part.batch.places, *vars(part.tokens).values()]


def _padded(batch: TokenBatch, size: PartSize, longest: int) -> TokenBatch:
    """Return a packed batch of a size, filled up with sequences of padding.

    None is longer than what the kernel is told, beyond which it writes nothing.
    """
    packed: Sequences = batch.inputs["packed"]
    ids, positions = batch.inputs["input_ids"], batch.inputs["position_ids"]
    more = size.tokens - ids.shape[1]
    count = size.sequences + 1 - len(packed.starts)
    steps = torch.arange(1, count + 1, dtype=torch.int32, device=ids.device) * longest
    filling = (packed.starts[-1] + steps).clamp_max(size.tokens)
    starts = torch.cat([packed.starts, filling])
    inputs = {
        "input_ids": functional.pad(ids, (0, more)),
        "position_ids": functional.pad(positions, (0, more)),
        "packed": replace(packed, starts=starts, longest=longest, lengths=()),
    }
    return TokenBatch(inputs, _filled_up(batch.places, size.learned), packed=True)


def _filled(tokens: LearnedTokens, learned: int) -> LearnedTokens:
    """Return learned tokens with others that have no weight."""
    return replace(
        tokens, **{name: _filled_up(one, learned) for name, one in vars(tokens).items()}
    )


def _filled_up(rows: Tensor, count: int) -> Tensor:
    """Return rows with zeros behind them."""
    return functional.pad(rows, (0, 0) * (rows.ndim - 1) + (0, count - len(rows)))
