"""The fold: make one adapter into one of bounded rank, and report layer by layer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sleepcycle.numerics.lowrank import (
    Decomposition,
    LayerChanges,
    LowRank,
    Moments,
    decompose,
)
from sleepcycle.numerics.prune import prune
from sleepcycle.numerics.rank import BudgetRank, EnergyRank, FixedRank, Policy
from sleepcycle.numerics.subspace import difference_norm, stable_rank
from sleepcycle.records.reports import LayerReport
from sleepcycle.settings.choices import Compression, RankPolicy
from sleepcycle.settings.config import SleepSettings, SvdSettings

POLICIES: dict[RankPolicy, Callable[[SvdSettings], Policy]] = {
    RankPolicy.FIXED: lambda svd: FixedRank(svd.rank),
    RankPolicy.ENERGY: lambda svd: EnergyRank(svd.energy, svd.min_rank, svd.rank),
    RankPolicy.BUDGET: lambda svd: BudgetRank(svd.rank, svd.max_rank),
}


@dataclass(frozen=True, eq=False)
class FoldResult:
    """A folded adapter, and what the fold did."""

    change: dict[str, LowRank]
    layers: tuple[LayerReport, ...]
    kept_energy: float
    """Share of the whole adapter's squared norm kept; 1 for a zero adapter."""

    rank: int
    """Largest rank of any layer."""

    damped: int = 0
    """Intruding directions that were weakened before, over all layers."""


def fold_adapter(
    change: LayerChanges, settings: SleepSettings, moments: Moments | None = None
) -> FoldResult:
    """Make an adapter small.

    Args:
        change: The adapter.
        settings: How; what a night does besides is not looked at.
        moments: What its layers read, to weigh directions by; None for plain SVD.

    Raises:
        AdapterError: A factor holds NaN or infinity.
    """
    before = decompose(change)
    match settings.compression:
        case Compression.SVD:
            weighed = before if moments is None else decompose(change, moments)
            return _fold(before, weighed, policy(settings.svd))
        case Compression.MAGNITUDE:
            kept = {n: prune(c, settings.prune_share) for n, c in change.items()}
        case Compression.NONE:
            ranks = {name: layer.rank for name, layer in before.items()}
            return _report(before, dict(change), ranks, dict.fromkeys(before, 0.0))
    after = decompose(kept)
    ranks = {name: layer.rank for name, layer in after.items()}
    lost = {n: difference_norm(before[n].change, kept[n]) ** 2 for n in before}
    return _report(before, kept, ranks, lost)


def _fold(
    before: Mapping[str, Decomposition],
    weighed: Mapping[str, Decomposition],
    policy: Policy,
) -> FoldResult:
    """Keep each layer's strongest directions; the others are orthogonal to them."""
    ranks = policy.choose(weighed)
    kept = {name: weighed[name].keep(rank) for name, rank in ranks.items()}
    lost = {
        name: float(weighed[name].length[rank:].square().sum())
        for name, rank in ranks.items()
    }
    return _report(before, kept, ranks, lost)


def policy(settings: SvdSettings) -> Policy:
    """Return the rank policy that the settings name."""
    return POLICIES[settings.policy](settings)


def _report(
    before: Mapping[str, Decomposition],
    kept: dict[str, LowRank],
    ranks: Mapping[str, int],
    lost: Mapping[str, float],
) -> FoldResult:
    """Return what a fold did to each layer, and to all of them.

    Args:
        before: What was folded.
        kept: What is left.
        ranks: How many directions each layer has left.
        lost: Squared Frobenius norm of what each layer lost.
    """
    norms = {name: float(layer.sigma.square().sum()) for name, layer in before.items()}
    layers = tuple(
        LayerReport(
            name=name,
            shape=layer.change.shape,
            rank_before=layer.rank,
            rank=ranks[name],
            kept_energy=_share(lost[name], norms[name]),
            stable_rank=stable_rank(layer.sigma),
            spectrum=tuple(layer.sigma.tolist()),
        )
        for name, layer in before.items()
    )
    return FoldResult(
        change=kept,
        layers=layers,
        kept_energy=_share(sum(lost.values()), sum(norms.values())),
        rank=max((layer.rank for layer in layers), default=0),
    )


def _share(lost: float, whole: float) -> float:
    """Return the share of squared norm that is left, in [0, 1]."""
    return max(0.0, 1 - lost / whole) if whole > 0 else 1.0
