"""Magnitude pruning of factors: the baseline that consolidation is compared with."""

import torch
from jaxtyping import Float
from torch import Tensor

from sleepcycle.numerics.lowrank import LowRank


def prune(change: LowRank, share: float) -> LowRank:
    """Set the smallest entries of both factors to zero.

    Each factor loses `share` of its entries, rounded down; among equals the later
    one stays. Width and shape stay as they are.

    Args:
        change: What to prune.
        share: Part of the entries, in [0, 1).
    """
    return LowRank(_prune(change.up, share), _prune(change.down, share))


def _prune(
    factor: Float[Tensor, "rows columns"], share: float
) -> Float[Tensor, "rows columns"]:
    """Zero the smallest entries of one factor."""
    flat = factor.flatten()
    order = torch.argsort(flat.abs(), stable=True)
    kept = flat.clone()
    kept[order[: int(share * flat.numel())]] = 0
    return kept.view_as(factor)
