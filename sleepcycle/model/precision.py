"""What type a base's numbers have where it computes."""

import math
from pathlib import Path

import torch

from sleepcycle.model.base_files import weight_shapes

LEAST_PARAMETERS = 50_000_000  # of a base that a CPU computes in bfloat16; a guess


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


def _gains(device: str, place: Path) -> bool:
    """Return whether a base is faster in bfloat16 on a device."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    if device != "cpu":
        return False
    known = torch.cpu.get_capabilities()
    if not (known.get("avx512_bf16") or known.get("amx_bf16")):
        return False
    return sum(map(math.prod, weight_shapes(place).values())) >= LEAST_PARAMETERS
