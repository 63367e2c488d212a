"""CUDA graphs of a step's parts: thousands of kernels launched as one.

A graph has fixed shapes, so the parts of a run are sorted into a few sizes, and each is
padded to its own: with sequences of nothing, and with learned tokens of no weight.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from loguru import logger
from torch import Tensor
from torch.nn import functional

from sleepcycle.model.packed_attention import Sequences
from sleepcycle.model.token_batch import LearnedTokens, TokenBatch

PARTS_A_GRAPH = 25  # a capture costs about as much as so many parts save; a guess
MOST_GRAPHS = 8
WARM_UPS = 2  # what runs the first time allocates, or compiles

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
    count = min(MOST_GRAPHS, len(sizes) // PARTS_A_GRAPH)
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


class CudaGraphs:
    """Computes parts by graphs where there is one of their size, else as they come."""

    def __init__(
        self,
        compute: Compute,
        sizes: Sequence[PartSize],
        longest: int,
        gradient: Tensor,
    ) -> None:
        self._compute = compute
        self._sizes = list(sizes)
        self._longest = longest
        self._gradient = gradient
        self._graphs: dict[object, _Graph] = {}
        self._pool: Any = None

    def run(self, batch: TokenBatch, tokens: LearnedTokens, share: Tensor) -> Tensor:
        """Add the gradient of a part; return its share of the loss."""
        packed: Sequences = batch.inputs["packed"]
        size = PartSize(
            batch.inputs["input_ids"].shape[1], len(tokens), len(packed.lengths)
        )
        fitting = [one for one in self._sizes if one.holds(size, self._longest)]
        if not fitting or packed.longest > self._longest:
            return self._compute(batch, tokens, share)
        chosen = fitting[0]
        padded = _padded(batch, chosen, self._longest), _filled(tokens, chosen.learned)
        shapes = tuple(one.shape for one in vars(padded[1]).values())
        key = chosen, shapes  # where no teacher was asked, its scores are narrower
        if key not in self._graphs:
            try:
                self._graphs[key] = self._captured(*padded, share)
            except RuntimeError as error:
                logger.debug(f"no CUDA graphs: {error}")
                self._sizes.clear()
                return self._compute(batch, tokens, share)
        return self._graphs[key].replay(*padded, share)

    def _captured(
        self, batch: TokenBatch, tokens: LearnedTokens, share: Tensor
    ) -> "_Graph":
        """Capture the computation of parts of one size; the gradient is left as is."""
        before = self._gradient.clone()
        try:
            return self._graph_of(batch, tokens, share.clone())
        finally:
            self._gradient.copy_(before)

    def _graph_of(
        self, batch: TokenBatch, tokens: LearnedTokens, share: Tensor
    ) -> "_Graph":
        """Run a computation until all is allocated, and capture it."""
        still = batch, tokens, share
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._compute(*still)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            loss = self._compute(*still)
        self._pool = graph.pool()
        return _Graph(graph, *still, loss)


@dataclass(frozen=True, eq=False)
class _Graph:
    """A captured computation, with the tensors that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    batch: TokenBatch
    tokens: LearnedTokens
    share: Tensor
    loss: Tensor

    def replay(self, batch: TokenBatch, tokens: LearnedTokens, share: Tensor) -> Tensor:
        """Compute another part of the same size."""
        pairs = zip(
            (*_tensors(self.batch), *vars(self.tokens).values(), self.share),
            (*_tensors(batch), *vars(tokens).values(), share),
            strict=True,
        )
        for mine, other in pairs:
            mine.copy_(other)
        self.graph.replay()
        return self.loss.clone()


def _tensors(batch: TokenBatch) -> list[Tensor]:
    """Return the tensors of a packed batch."""
    packed: Sequences = batch.inputs["packed"]
    ids, positions = batch.inputs["input_ids"], batch.inputs["position_ids"]
    return [ids, positions, packed.starts, batch.places]


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
