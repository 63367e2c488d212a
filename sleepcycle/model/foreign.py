"""Adapters made elsewhere come in, merged models for elsewhere go out."""

import json
import math
import reprlib
from pathlib import Path
from typing import Any

import torch

from sleepcycle.errors import AdapterError
from sleepcycle.files.paths import CARD
from sleepcycle.files.plain_file import read_plain
from sleepcycle.model.adapters import check_fits
from sleepcycle.model.base import Base
from sleepcycle.model.base_files import NAMES
from sleepcycle.model.four_bit import make_dense
from sleepcycle.model.layer_pattern import value_for
from sleepcycle.model.portable import (
    CONFIG_BYTES,
    MAX_NAME,
    read_config,
    read_factors,
)
from sleepcycle.numerics.lowrank import LayerChanges, LowRank
from sleepcycle.records.version import BaseIdentity, MadeFor

NAMELESS = "the adapter does not name the base that it was made for; its shapes fit"
MAX_ALPHA = 1e9  # beyond any that is set; what asks for more is broken or hostile

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

    Patterns of rank and alpha, and rsLoRA, are honoured as PEFT does, but no regular
    expression is evaluated: see `layer_pattern`.

    Raises:
        AdapterError: It is more than a plain LoRA, is not in safetensors, or a value
            is NaN or infinite.
    """
    config = read_config(folder)
    for key, allowed in PLAIN.items():
        value = config.get(key)
        if value not in allowed:
            raise AdapterError(
                f"{folder}: expected a plain LoRA, got {key}={reprlib.repr(value)}; "
                "convert it, or merge it into its base, with the tool that made it"
            )
    return {
        path: LowRank(change.up * _scale(config, path, change.rank), change.down)
        for path, change in read_factors(folder).items()
    }


def expect_own_base(folder: Path, base: BaseIdentity, *, force: bool) -> MadeFor:
    """Refuse an adapter whose shapes fit a base that it was not made for.

    It was made for this base if it names it, or a folder or a hub id whose last part is
    the same, or if a card of ours beside it has the base's hash. What names none is
    taken.

    Args:
        folder: The adapter.
        base: The base that it is to be used with.
        force: Take it all the same.

    Returns:
        Which base the adapter names, and what is to be said of it.

    Raises:
        AdapterError: It names another base.
    """
    name = read_config(folder).get("base_model_name_or_path") or ""
    if not isinstance(name, str):
        raise AdapterError(
            f"{folder}: expected base_model_name_or_path to be a name, got "
            f"{reprlib.repr(name)}"
        )
    name = name[:MAX_NAME]
    if not name:
        return MadeFor(None, NAMELESS)
    if _last_part(name) == _last_part(base.id) or _hash_beside(folder) == base.sha256:
        return MadeFor(name)
    if not force:
        raise AdapterError(
            f"expected an adapter that was made for {base.id}, got one made for "
            f"{name!r}, and that its shapes fit says little; if it is the same base "
            f"under another name: sleepcycle versions import --force {folder}"
        )
    return MadeFor(
        name, f"the adapter was made for {name!r}, not for {base.id}; its shapes fit"
    )


@torch.no_grad()
def merge_into(base: Base, changes: LayerChanges, folder: Path) -> None:
    """Write a whole model: the base with a change added to its weights.

    The sum is done in float32 and rounded once to the base's own type. The base in
    memory carries the change afterwards, and one in 4 bits is an ordinary one, of the
    weights that it computed with: so the whole model answers as the version does here.

    Raises:
        AdapterError: The change does not fit the base.
    """
    if changes:
        check_fits(changes, base.targets)
    make_dense(base.model)
    for path, change in changes.items():
        weight = base.model.get_submodule(path).weight
        dense = (change.up @ change.down).to(weight.device)
        merged = weight.float() + (dense.T if base.targets.transposed else dense)
        weight.copy_(merged.to(weight.dtype))
    base.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)


def _scale(config: dict[str, Any], path: str, rank: int) -> float:
    """Return what PEFT multiplies a layer's product with."""
    expected = value_for(config.get("rank_pattern"), path, config.get("r"))
    alpha = value_for(config.get("alpha_pattern"), path, config.get("lora_alpha"))
    if expected != rank:
        raise AdapterError(
            f"{path}: expected rank {reprlib.repr(expected)} by the configuration, "
            f"got {rank}"
        )
    if not isinstance(alpha, int | float) or not abs(alpha) < MAX_ALPHA:
        raise AdapterError(
            f"{path}: expected lora_alpha to be a number, got {reprlib.repr(alpha)}"
        )
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def _last_part(name: str) -> str:
    """Return the last part of a hub id or a path; of `builtin:nano`, `nano`."""
    for prefix in NAMES:
        name = name.removeprefix(prefix)
    return Path(name).name


def _hash_beside(folder: Path) -> str | None:
    """Return the base's hash by a card that lies beside an adapter, if one does."""
    try:
        card = json.loads(read_plain(folder / CARD, most_bytes=CONFIG_BYTES))
        return str(card["base"]["sha256"]) or None
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None  # most have none, and it is no reason to refuse an adapter
