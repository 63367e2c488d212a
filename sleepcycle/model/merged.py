"""Merged weights: for answers the active adapters are added to the weights, and undone.

A token that is written passes through every layer alone, and an adapter beside a small
layer costs as much there as the layer itself. Losses are not scored this way: in
bfloat16 a sum of weights is rounded, and a gate shall measure what is sealed.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from accelerate.utils.memory import clear_device_cache
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from sleepcycle.model.base import Base
from sleepcycle.model.device_memory import memory_for
from sleepcycle.model.memory_need import MERGED_SHARE
from sleepcycle.model.out_of_memory import is_full

FLOATS = {torch.float64, torch.float32, torch.bfloat16, torch.float16}


@contextmanager
def merged(base: Base, answers: int) -> Iterator[bool]:
    """Let merged weights compute what is active; all is as it was afterwards.

    The very tensors that were there are put back, so nothing is left of the sums,
    however it ends. PEFT's layers are off the model meanwhile: nothing can be attached,
    activated or removed.

    Where a weight is quantised, or copies would take more than `MERGED_SHARE` of
    the free memory, or have no room after all, adapters stay beside the weights. They
    do on a CPU for one answer
    alone too: merging takes as long as some 25 tokens win by it, and most answers are
    shorter.

    Args:
        base: The base.
        answers: How many will be written.

    Yields:
        Whether they are merged.
    """
    layers = _adapted(base)
    pays = answers > 1 or base.device.type == "cuda"
    sums = merged_copies(base) if pays else None
    if sums is None:
        yield False
        return
    kept = [(weight, weight.data) for weight, _ in sums]
    try:
        while sums:
            weight, total = sums.popleft()
            weight.data = total
        for path, layer in layers.items():
            base.model.set_submodule(path, layer.base_layer)
        yield True
    finally:
        for path, layer in layers.items():
            base.model.set_submodule(path, layer)
        for weight, data in kept:
            weight.data = data


def merged_copies(base: Base) -> deque[tuple[nn.Parameter, Tensor]] | None:
    """Return what each weight of the base becomes by what is active.

    Returns:
        The changed weights, each with its sum; None where they are quantised, or copies
        would take more than `MERGED_SHARE` of the free memory.
    """
    changed = [layer for layer in _adapted(base).values() if _active(layer)]
    sums = _sums(changed) if _can_merge(changed, base.device) else None
    if sums is None:
        return None
    weights = [layer.base_layer.weight for layer in changed]
    return deque(zip(weights, sums, strict=True))


def _adapted(base: Base) -> dict[str, LoraLayer]:
    """Return all layers that carry an adapter, by their path."""
    modules = base.model.named_modules()
    return {path: one for path, one in modules if isinstance(one, LoraLayer)}


def _active(layer: LoraLayer) -> list[str]:
    """Return a layer's active adapters."""
    return [name for name in layer.active_adapters if name in layer.lora_A]


def _can_merge(layers: Sequence[LoraLayer], device: torch.device) -> bool:
    """Return whether weights are plain numbers, and there is room for a copy."""
    weights = [layer.base_layer.weight for layer in layers]
    if not all(type(w) is nn.Parameter and w.dtype in FLOATS for w in weights):
        return False
    needed: int = sum(weight.nbytes for weight in weights)
    return needed <= MERGED_SHARE * memory_for(str(device)).free_bytes


def _sums(layers: Sequence[LoraLayer]) -> deque[Tensor] | None:
    """Return layers' weights with their active changes; None where they do not fit."""
    try:
        return deque(_sum(layer) for layer in layers)
    except RuntimeError as error:
        if not is_full(error):
            raise
    clear_device_cache(garbage_collection=True)
    return None


@torch.no_grad()
def _sum(layer: LoraLayer) -> Tensor:
    """Return a layer's weight with its active changes, added up in float32."""
    weight = layer.base_layer.weight.data
    total: Tensor = weight.float()
    for name in _active(layer):
        up = layer.lora_B[name].weight.float() * layer.scaling[name]
        down = layer.lora_A[name].weight.float()
        if isinstance(layer.base_layer, Conv1D):  # keeps it transposed
            up, down = down.T, up.T
        total = torch.addmm(total, up, down)
    return total.to(weight.dtype)
