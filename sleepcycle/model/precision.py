"""What type a base's numbers have where it computes."""

import math
from pathlib import Path

import torch

from sleepcycle.model.base_files import weight_shapes
from sleepcycle.model.model_size import LARGE


def pick_dtype(name: str, device: str, place: Path) -> torch.dtype:
    """Return the type that a setting means.

    Args:
        name: `model.dtype`. `auto` is bfloat16 where the device multiplies in it and
            the base is so large that this matters, else float32.
        device: What `pick_device` returned.
        place: Where the base is.

    Raises:
        ModelError: The base's files are not what they should be.
    """
    if name == "auto":
        name = "bfloat16" if _gains(device, place) else "float32"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def has_bfloat16(device: str) -> bool:
    """Return whether a device multiplies in bfloat16, and does not imitate it."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return False
    known: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def _gains(device: str, place: Path) -> bool:
    """Return whether a base is faster in bfloat16 on a device."""
    if not has_bfloat16(device):
        return False
    size = sum(map(math.prod, weight_shapes(place).values()))
    return device != "cpu" or size >= LARGE
