"""Downscaling: weaken what a night leaves, evenly or only where it intrudes.

Intruder dimensions are strong directions of the changed weight that are like none of
the base's own; they go with forgetting (Shuttleworth et al., 2024, arXiv:2410.21228).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sleepcycle.numerics.lowrank import NOISE, LowRank, compose

OVERSAMPLE = 32  # behind the strongest few, a trained weight's spectrum is nearly flat,
POWER_STEPS = 8  # and with the 8 and 4 that are usual, directions of `nano` come mixed


@dataclass(frozen=True, eq=False)
class TopDirections:
    """The strongest directions of a matrix: left.T @ matrix = sigma[:, None] * right.T.

    Both have orthonormal columns, strongest first.
    """

    left: Float[Tensor, "out k"]
    sigma: Float[Tensor, " k"]
    right: Float[Tensor, "size k"]


def top_directions(
    weight: Float[Tensor, "out size"], count: int, generator: torch.Generator
) -> TopDirections:
    """Find the strongest directions of a matrix without its whole SVD.

    Randomised range finder with power steps: Halko, Martinsson and Tropp (2011),
    doi:10.1137/090771806.

    Args:
        weight: The matrix.
        count: How many directions; fewer where the matrix has not so many.
        generator: Draws the start; the same gives the same.
    """
    count = min(count, *weight.shape)
    width = min(count + OVERSAMPLE, *weight.shape)
    start = torch.randn(weight.shape[1], width, generator=generator)
    basis = torch.linalg.qr(weight @ start.to(weight)).Q
    for _ in range(POWER_STEPS):
        basis = torch.linalg.qr(weight.T @ basis).Q
        basis = torch.linalg.qr(weight @ basis).Q
    left, sigma, right = torch.linalg.svd(basis.T @ weight, full_matrices=False)
    return TopDirections(
        (basis @ left)[:, :count], sigma[:count], right[:count].T.contiguous()
    )


def scaled(change: LowRank, factor: float) -> LowRank:
    """Return a change times a number of 0 or more, the root of it in each factor."""
    root = factor**0.5
    return LowRank(change.up * root, change.down * root)


def damp_intruders(
    change: LowRank,
    changed: TopDirections,
    own: Float[Tensor, "out own"],
    *,
    max_cosine: float,
    factor: float,
) -> tuple[LowRank, int]:
    """Weaken the directions of the changed weight that the base does not have.

    The other directions of base + change stay as they are.

    Args:
        change: The layer's change.
        changed: Strongest directions of base + change.
        own: Strongest left directions of the base alone.
        max_cosine: A direction intrudes if it is less like each of the base's.
        factor: What an intruder's strength is multiplied with, in [0, 1].

    Returns:
        The change, wider by one for each intruder, and how many there were.
    """
    cosines = (changed.left.T @ own).abs().amax(dim=1)
    real = changed.sigma > NOISE * changed.sigma[:1]  # the others are anywhere
    intruding = real & (cosines < max_cosine)
    count = int(intruding.sum())
    if count == 0:
        return change, 0
    up = changed.left[:, intruding] * changed.sigma[intruding] * (factor - 1)
    return compose([change, LowRank(up, changed.right[:, intruding].T)]), count
