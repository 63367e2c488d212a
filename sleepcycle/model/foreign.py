"""Adapters made elsewhere come in, merged models for elsewhere go out."""

import math
import re
from pathlib import Path
from typing import Any

import torch

from sleepcycle.errors import AdapterError
from sleepcycle.model.adapters import check_fits
from sleepcycle.model.base import Base
from sleepcycle.model.portable import read_config, read_factors
from sleepcycle.numerics.lowrank import LayerChanges, LowRank

# What a plain LoRA leaves alone; with any of it the factors are not the whole change.
PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "use_dora": (False, None),
    "use_qalora": (False, None),
    "lora_bias": (False, None),
    "modules_to_save": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "layer_replication": (None, []),
    "alora_invocation_tokens": (None, []),
    "arrow_config": (None,),
    "kasa_config": (None,),
    "monteclora_config": (None,),
    "use_bdlora": (None, False),
    "init_lora_weights": (True, False, None, "gaussian", "orthogonal", "eva"),
}


def read_foreign(folder: Path) -> dict[str, LowRank]:
    """Read an ordinary PEFT LoRA, with its scale folded into `up`.

    Patterns of rank and alpha, and rsLoRA, are honoured as PEFT does.

    Raises:
        AdapterError: It is more than a plain LoRA, is not in safetensors, or a value
            is NaN or infinite.
    """
    config = read_config(folder)
    for key, allowed in PLAIN.items():
        value = config.get(key)
        if value not in allowed:
            raise AdapterError(
                f"{folder}: expected a plain LoRA, got {key}={value!r}; convert it, or "
                "merge it into its base, with the tool that made it"
            )
    return {
        path: LowRank(change.up * _scale(config, path, change.rank), change.down)
        for path, change in read_factors(folder).items()
    }


@torch.no_grad()
def merge_into(base: Base, changes: LayerChanges, folder: Path) -> None:
    """Write a whole model: the base with a change added to its weights.

    The sum is done in float32 and rounded once to the base's own type. The base in
    memory carries the change afterwards.

    Raises:
        AdapterError: The change does not fit the base.
    """
    if changes:
        check_fits(changes, base.targets)
    for path, change in changes.items():
        weight = base.model.get_submodule(path).weight
        dense = (change.up @ change.down).to(weight.device)
        merged = weight.float() + (dense.T if base.targets.transposed else dense)
        weight.copy_(merged.to(weight.dtype))
    base.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)


def _scale(config: dict[str, Any], path: str, rank: int) -> float:
    """Return what PEFT multiplies a layer's product with."""
    expected = _by_pattern(config.get("rank_pattern"), path, config.get("r"))
    alpha = _by_pattern(config.get("alpha_pattern"), path, config.get("lora_alpha"))
    if expected != rank:
        raise AdapterError(
            f"{path}: expected rank {expected} by the configuration, got {rank}"
        )
    if not isinstance(alpha, int | float) or not math.isfinite(alpha):
        raise AdapterError(f"{path}: expected lora_alpha to be a number, got {alpha!r}")
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def _by_pattern(pattern: object, path: str, default: object) -> object:
    """Return a layer's own value, by the first key that its path ends with."""
    for key, value in (pattern if isinstance(pattern, dict) else {}).items():
        try:
            matches = re.fullmatch(rf"(.*\.)?({key})", path)
        except re.error as error:
            raise AdapterError(f"the pattern {key!r} is not valid: {error}") from error
        if matches:
            return value
    return default
