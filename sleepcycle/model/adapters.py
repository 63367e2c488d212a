"""Adapters on a base: changes go in as factors and come out as factors.

PEFT computes; its alpha and scale are folded away here, so that nothing else in the
package knows of them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import nn
from transformers.pytorch_utils import Conv1D

from sleepcycle.errors import AdapterError
from sleepcycle.model.base import Base, Targets
from sleepcycle.model.lora_layer import LowRankLinear
from sleepcycle.model.seeded import seeded
from sleepcycle.numerics.lowrank import LayerChanges, LowRank, pad


def attach(base: Base, name: str, changes: LayerChanges) -> None:
    """Put a frozen adapter on the base; it computes once it is active.

    Raises:
        AdapterError: It does not fit the base.
    """
    check_fits(changes, base.targets)
    rank = max(1, *(change.rank for change in changes.values()))
    _inject(base, name, list(changes), LoraConfig(r=rank, lora_alpha=rank))
    dtype = base.model.dtype
    for path, layer in layers(base, name):
        _fill(layer, name, pad(changes[path], rank), scale=1.0)
        if dtype != torch.float32:  # cast once, since it is frozen
            layer.working[name] = layer.factors(name, dtype)


def new_day(
    base: Base,
    name: str,
    settings: LoraConfig,
    *,
    seed: int,
    start: LayerChanges | None = None,
) -> None:
    """Put a trainable adapter on every layer that learns.

    Its change is zero, or `start` exactly. Directions that are free get a random row
    in `down` and zero in `up`: with both zero no gradient would ever reach them.

    Args:
        base: The base; its targets get the adapter.
        name: What to call the adapter.
        settings: Rank, alpha and dropout, from `day_config`.
        seed: Of the random rows; the global generator is left as it was.
        start: What the adapter knows already, of at most its rank in each layer.
    """
    with seeded(seed):
        _inject(base, name, list(base.targets.shapes), settings)
    for path, layer in layers(base, name):
        if start and path in start:
            _go_on(layer, name, pad(start[path], layer.r[name]))


def day_config(rank: int, alpha: float, dropout: float) -> LoraConfig:
    """Return the settings of a day adapter."""
    return LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout)


def student_config(changes: LayerChanges) -> LoraConfig:
    """Return the settings of an adapter in which each layer keeps the rank it has.

    Its scale is 1; a layer of rank 0 has 1, since PEFT knows no less.
    """
    ranks = {re.escape(path): max(1, c.rank) for path, c in changes.items()}
    most = max(ranks.values())
    return LoraConfig(
        r=most, lora_alpha=most, rank_pattern=ranks, alpha_pattern=dict(ranks)
    )


def activate(base: Base, names: Sequence[str]) -> None:
    """Let these adapters compute, as their sum; none for the bare base."""
    for layer in _lora_layers(base):
        layer.set_adapter([n for n in names if n in layer.lora_A], inference_mode=True)


@contextmanager
def only_active(base: Base, names: Sequence[str]) -> Iterator[None]:
    """Let these attached adapters alone compute; none is active afterwards."""
    activate(base, names)
    try:
        yield
    finally:
        activate(base, [])


@contextmanager
def removed_after(base: Base, names: Sequence[str]) -> Iterator[None]:
    """Take these adapters off the base afterwards, however it ends; some may be off."""
    try:
        yield
    finally:
        for name in names:
            remove(base, name)


@contextmanager
def on_base(base: Base, named: Mapping[str, LayerChanges]) -> Iterator[None]:
    """Attach adapters, none of them active; they are off the base afterwards.

    Raises:
        AdapterError: One does not fit the base, or changes no layer.
    """
    with removed_after(base, list(named)):
        for name, changes in named.items():
            attach(base, name, changes)
        yield


@contextmanager
def attached(base: Base, name: str, changes: LayerChanges) -> Iterator[None]:
    """Attach changes and let them alone compute; they are off the base afterwards.

    Without any change the bare base computes.

    Raises:
        AdapterError: They do not fit the base.
    """
    named = {name: changes} if changes else {}
    with on_base(base, named), only_active(base, list(named)):
        yield


def parameters(base: Base, name: str) -> list[nn.Parameter]:
    """Return an adapter's parameters, and let gradients reach them."""
    for _, layer in layers(base, name):
        layer.working.pop(name, None)  # they may change from here on
    found = [
        factor[name].weight
        for _, layer in layers(base, name)
        for factor in (layer.lora_A, layer.lora_B)
    ]
    for parameter in found:
        parameter.requires_grad_(True)
    return found


def read(base: Base, name: str) -> dict[str, LowRank]:
    """Return an adapter's changes, its scale folded in, as float32 copies."""
    return {
        path: LowRank(
            up=layer.lora_B[name].weight.detach().float().cpu() * layer.scaling[name],
            down=layer.lora_A[name].weight.detach().float().cpu().clone(),
        )
        for path, layer in layers(base, name)
    }


def remove(base: Base, name: str) -> None:
    """Take an adapter off; none is active afterwards."""
    activate(base, [])
    for _, layer in layers(base, name):
        layer.delete_adapter(name)


def unwrap(base: Base) -> None:
    """Take PEFT's layers off a base that carries no adapter."""
    wrapped = {
        path: module
        for path, module in base.model.named_modules()
        if isinstance(module, LoraLayer) and not module.lora_A
    }
    for path, layer in wrapped.items():
        base.model.set_submodule(path, layer.base_layer)


def is_finite(changes: LayerChanges) -> bool:
    """Return whether no factor holds a NaN or an infinity."""
    return all(
        bool(change.up.isfinite().all() and change.down.isfinite().all())
        for change in changes.values()
    )


def check_fits(changes: LayerChanges, targets: Targets) -> None:
    """Refuse changes that belong to another model.

    Raises:
        AdapterError: A layer does not exist, or has another shape; it is named.
    """
    for path, change in changes.items():
        shape = targets.shapes.get(path)
        if shape is None:
            raise AdapterError(
                f"the adapter changes {path}, which is none of this base's "
                f"{len(targets.shapes)} target layers; use its own base"
            )
        if change.shape != shape:
            raise AdapterError(
                f"{path}: expected a change of shape {shape} for this base, got "
                f"{change.shape}; use the adapter's own base"
            )
    if not changes:
        raise AdapterError("the adapter changes no layer at all")


def _inject(base: Base, name: str, paths: list[str], config: LoraConfig) -> None:
    """Let PEFT add its layers, in float32 and frozen."""
    config.target_modules = set(paths)
    config.fan_in_fan_out = base.targets.transposed
    config._register_custom_module(dict.fromkeys((nn.Linear, Conv1D), LowRankLinear))
    inject_adapter_in_model(config, base.model, name)
    del base.model.peft_config  # PEFT warns where it finds one of an earlier adapter
    for _, layer in layers(base, name):
        layer.lora_A[name].float()
        layer.lora_B[name].float()
    activate(base, [])


def layers(base: Base, name: str) -> Iterator[tuple[str, LoraLayer]]:
    """Yield the layers that carry an adapter, by their path in the base."""
    for path, module in base.model.named_modules():
        if isinstance(module, LoraLayer) and name in module.lora_A:
            yield path, module


def _lora_layers(base: Base) -> list[LoraLayer]:
    """Return all layers that carry any adapter."""
    return [m for m in base.model.modules() if isinstance(m, LoraLayer)]


@torch.no_grad()
def _fill(layer: LoraLayer, name: str, change: LowRank, scale: float) -> None:
    """Write a change into a layer whose own scale is `scale`."""
    layer.lora_A[name].weight.copy_(change.down)
    layer.lora_B[name].weight.copy_(change.up / scale)


@torch.no_grad()
def _go_on(layer: LoraLayer, name: str, change: LowRank) -> None:
    """Write a change into a trainable layer; where it is free, rows stay random."""
    free = (change.up == 0).all(dim=0) & (change.down == 0).all(dim=1)
    fresh = layer.lora_A[name].weight.detach().cpu()
    down = torch.where(free[:, None], fresh, change.down)
    _fill(layer, name, LowRank(change.up, down), scale=layer.scaling[name])
