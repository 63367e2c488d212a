"""Downscaling around the fold: intruders before it, the whole change after."""

from collections.abc import Callable

from sleepcycle.model.base import Base
from sleepcycle.model.directions import changed_directions, own_directions
from sleepcycle.model.score import ignore_batch
from sleepcycle.numerics.downscale import damp_intruders, scaled
from sleepcycle.numerics.lowrank import LayerChanges, LowRank
from sleepcycle.settings.choices import Downscaling
from sleepcycle.settings.config import DownscaleSettings

LOOKED_AT = 10  # strongest directions of each changed layer, as in arXiv:2410.21228


def damp(
    base: Base,
    change: LayerChanges,
    settings: DownscaleSettings,
    *,
    on_layer: Callable[[], None] = ignore_batch,
) -> tuple[LayerChanges, int]:
    """Weaken the directions that are new beside the base's, if the settings say so.

    Args:
        base: The base; what is attached to it is not looked at.
        change: The adapter, before it is folded.
        settings: How; any other `kind` than `intruders` leaves the adapter as it is.
        on_layer: Called after each layer, since many take long.

    Returns:
        The adapter, each layer wider by one for each of its intruders, and how many
        there were in all.
    """
    if settings.kind is not Downscaling.INTRUDERS:
        return change, 0
    own = own_directions(base, settings.directions, on_layer=on_layer)
    damped, total = dict(change), 0
    used = {name: layer for name, layer in change.items() if _looked_at(layer)}
    for name, changed in changed_directions(base, used, LOOKED_AT):
        damped[name], count = damp_intruders(
            change[name],
            changed,
            own[name],
            max_cosine=settings.max_cosine,
            factor=settings.factor,
        )
        total += count
        on_layer()
    return damped, total


def shrink(change: LayerChanges, settings: DownscaleSettings) -> dict[str, LowRank]:
    """Weaken a folded adapter evenly, if the settings say so."""
    if settings.kind is not Downscaling.UNIFORM:
        return dict(change)
    return {name: scaled(layer, settings.factor) for name, layer in change.items()}


def _looked_at(layer: LowRank) -> bool:
    """Return whether a change is one; what is not finite the fold refuses."""
    return all(
        bool(factor.isfinite().all() and factor.any())
        for factor in (layer.up, layer.down)
    )
