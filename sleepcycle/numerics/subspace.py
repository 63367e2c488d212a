"""How far two changes of one layer are apart, whatever factors they are kept in."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sleepcycle.errors import RankError
from sleepcycle.numerics.lowrank import Decomposition, LowRank, compose, decompose


@dataclass(frozen=True, slots=True)
class Difference:
    """How two changes differ; factors of the same product do not differ at all."""

    distance: float
    """Frobenius norm of the difference."""

    relative_distance: float
    """Distance over the larger of the two norms; 0 where both are zero."""

    cosine: float | None
    """Of the two changes as long vectors, in [-1, 1]; None where one is zero."""

    mean_angle_deg: float | None
    """Mean principal angle between what the two can write, in [0, 90]."""

    largest_angle_deg: float | None
    """Largest of those angles, over the smaller of the two ranks."""

    rank_a: int
    """Directions of the first that are stronger than rounding."""

    rank_b: int


def compare(a: LowRank, b: LowRank) -> Difference:
    """Compare two changes of one layer, without forming either.

    Principal angles: Björck and Golub (1973), doi:10.2307/2005662.

    Raises:
        RankError: They are not of one shape.
        AdapterError: One holds NaN or infinity.
    """
    if a.shape != b.shape:
        raise RankError(f"expected changes of one shape, got {a.shape} and {b.shape}")
    first, second = (decompose({"": change})[""] for change in (a, b))
    norms = [float(side.sigma.norm()) for side in (first, second)]
    dot, distance = inner(a, b), difference_norm(a, b)
    largest = max(norms)
    angles = _angles_deg(first, second)
    return Difference(
        distance=distance,
        relative_distance=distance / largest if largest else 0.0,
        cosine=max(-1.0, min(1.0, dot / math.prod(norms))) if all(norms) else None,
        mean_angle_deg=float(angles.mean()) if len(angles) else None,
        largest_angle_deg=float(angles.max()) if len(angles) else None,
        rank_a=first.rank,
        rank_b=second.rank,
    )


def inner(a: LowRank, b: LowRank) -> float:
    """Return the inner product of two changes: the sum of their products by entry."""
    up = a.up.double().T @ b.up.double()  # (width a, width b)
    down = a.down.double() @ b.down.double().T
    return float((up * down).sum())


def difference_norm(a: LowRank, b: LowRank) -> float:
    """Return the Frobenius norm of the difference of two changes.

    From the singular values of the exact difference, since subtracting the squared
    norms would leave nothing of a small one but rounding.
    """
    difference = compose([a, LowRank(-b.up, b.down)])
    return float(decompose({"": difference})[""].sigma.norm())


def stable_rank(sigma: Float[Tensor, " k"]) -> float:
    """Return the squared Frobenius norm over the squared spectral norm, 0 for zero."""
    power = sigma.square()
    return float(power.sum() / power[0]) if power.numel() and power[0] > 0 else 0.0


def _angles_deg(a: Decomposition, b: Decomposition) -> Float[Tensor, " k"]:
    """Return the principal angles between the column spaces of two changes."""
    cosines = torch.linalg.svdvals(_basis(a).T @ _basis(b))
    return torch.rad2deg(torch.arccos(cosines.clamp(-1, 1)))


def _basis(layer: Decomposition) -> Float[Tensor, "out rank"]:
    """Return an orthonormal basis of what a change can write."""
    return layer.change.up.double() @ layer.mix_up[:, : layer.rank]
