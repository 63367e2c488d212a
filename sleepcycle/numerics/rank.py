"""Rank policies: how many directions each layer keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch

from sleepcycle.numerics.lowrank import Decomposition


class Policy(Protocol):
    """Chooses ranks for all layers at once, so that they may share a budget."""

    def choose(self, layers: Mapping[str, Decomposition]) -> dict[str, int]:
        """Return the rank of each layer; 0 for one that learned nothing."""


@dataclass(frozen=True)
class FixedRank:
    """The same rank for every layer, as far as it has directions."""

    rank: int

    def choose(self, layers: Mapping[str, Decomposition]) -> dict[str, int]:
        """Return the rank of each layer."""
        return {name: min(self.rank, layer.rank) for name, layer in layers.items()}


@dataclass(frozen=True)
class EnergyRank:
    """For each layer the smallest rank that keeps a share of its squared norm."""

    share: float
    """In [0, 1], of the sum of squared singular values."""

    at_least: int
    at_most: int

    def choose(self, layers: Mapping[str, Decomposition]) -> dict[str, int]:
        """Return the rank of each layer, within the bounds."""
        return {name: self._rank(layer) for name, layer in layers.items()}

    def _rank(self, layer: Decomposition) -> int:
        """Return the rank of one layer."""
        energy = layer.sigma.square().cumsum(dim=0)
        if layer.rank == 0:
            return 0
        wanted = self.share * energy[-1]
        enough = int(torch.searchsorted(energy, wanted)) + 1
        return min(max(enough, self.at_least), self.at_most, layer.rank)


@dataclass(frozen=True)
class BudgetRank:
    """One parameter budget for all layers, spent where a direction brings most.

    A direction costs out + in parameters and brings its squared strength; the best
    of all layers are kept until the next one does not fit.
    """

    rank: int
    """The budget: what this rank in every layer would cost."""

    at_most: int
    """Most directions of any one layer."""

    def choose(self, layers: Mapping[str, Decomposition]) -> dict[str, int]:
        """Return the rank of each layer; together they cost no more than the budget."""
        cost = {name: sum(layer.change.shape) for name, layer in layers.items()}
        left = self.rank * sum(cost.values())
        ranks = dict.fromkeys(layers, 0)
        for _, name in sorted(self._offers(layers), reverse=True):
            if cost[name] > left:
                break
            ranks[name] += 1
            left -= cost[name]
        return ranks

    def _offers(
        self, layers: Mapping[str, Decomposition]
    ) -> Iterator[tuple[float, str]]:
        """Yield what each direction brings for each parameter that it costs."""
        for name, layer in layers.items():
            for sigma in layer.sigma[: min(layer.rank, self.at_most)].tolist():
                yield sigma**2 / sum(layer.change.shape), name
