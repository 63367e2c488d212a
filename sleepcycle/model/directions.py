"""The strongest directions of a base's weights, alone or changed by an adapter."""

import json
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from sleepcycle.model.base import Base
from sleepcycle.model.four_bit import dense_weight
from sleepcycle.model.score import ignore_batch
from sleepcycle.model.tensor_cache import Remembered, recall, remember
from sleepcycle.numerics.downscale import (
    OVERSAMPLE,
    POWER_STEPS,
    TopDirections,
    top_directions,
)
from sleepcycle.numerics.lowrank import LayerChanges

MEMORY = "directions.safetensors"
SEED = 0  # a constant, so that what is remembered is what would be computed


def own_directions(
    base: Base, count: int, *, on_layer: Callable[[], None] = ignore_batch
) -> dict[str, Tensor]:
    """Return the strongest left directions of each target layer of the bare base.

    They are computed once for a base and a count, and then remembered in one file of
    the base's cache. A file that is damaged, or of another base, other layers or
    another count, is computed anew and replaced.

    Args:
        base: The base; what is attached to it is not looked at.
        count: How many; fewer where a layer has not so many.
        on_layer: Called after each layer, since many take long.

    Returns:
        By layer, (out, count) in float32 on the CPU, strongest first.
    """
    memory = base.cache / MEMORY
    key = _key(base, count)
    known = recall(memory, key)
    if known is not None:
        return dict(known.tensors)
    found = {}
    for path in base.targets.shapes:
        found[path] = _directions(_weight(base, path), count).left
        on_layer()
    remember(memory, key, Remembered(found))
    return found


def changed_directions(
    base: Base, changes: LayerChanges, count: int
) -> Iterator[tuple[str, TopDirections]]:
    """Yield the strongest directions of base + change, layer by layer.

    One layer's sum is formed at a time, since its weight is dense anyway; its whole
    SVD is not.

    Args:
        base: The base; what is attached to it is not looked at.
        changes: What is added; other layers are left out.
        count: How many; fewer where a layer has not so many.
    """
    for path, change in changes.items():
        weight = _weight(base, path)
        yield (
            path,
            _directions(weight + change.up.to(weight) @ change.down.to(weight), count),
        )


def _directions(weight: Tensor, count: int) -> TopDirections:
    """Return a weight's strongest directions, on the CPU."""
    found = top_directions(weight, count, torch.Generator().manual_seed(SEED))
    return TopDirections(
        found.left.cpu().contiguous(), found.sigma.cpu(), found.right.cpu()
    )


def _weight(base: Base, path: str) -> Tensor:
    """Return a layer's frozen weight, (out, in) in float32 on the base's device."""
    module = base.model.get_submodule(path)
    weight = dense_weight(getattr(module, "base_layer", module)).float()
    return weight.T if base.targets.transposed else weight


def _key(base: Base, count: int) -> str:
    """Return what directions depend on: the base's bytes, its layers, the method."""
    method = {"count": count, "oversample": OVERSAMPLE, "power": POWER_STEPS}
    known = [
        base.identity.sha256,
        str(base.model.dtype),
        dict(base.targets.shapes),
        method | {"seed": SEED},
    ]
    return json.dumps(known, sort_keys=True)
