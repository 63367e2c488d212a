"""How much memory there is where a model is to compute: of a GPU, or of the machine."""

from dataclasses import dataclass
from pathlib import Path

import psutil

NVIDIA = Path("/dev/nvidiactl")  # is there where a driver is; torch need not be asked
BOUND = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """Memory of a device."""

    free_bytes: int
    """What can be had without swapping."""

    total_bytes: int
    on_gpu: bool


def memory_for(device: str, free_bytes: int | None = None) -> DeviceMemory:
    """Return the memory of what `engine.device` means on this machine.

    Torch is loaded only where there is an NVIDIA driver, and a GPU may be meant.

    Args:
        device: The setting.
        free_bytes: The machine's, where it is known already.
    """
    if device.startswith(("auto", "cuda")) and NVIDIA.exists():
        found = _of_gpu(device)
        if found is not None:
            return found
    free, total = host_memory()
    return DeviceMemory(free if free_bytes is None else free_bytes, total, False)


def host_memory(bound: Path = BOUND) -> tuple[int, int]:
    """Return the machine's free memory and all of it, in bytes.

    Args:
        bound: Where a container's bound stands, which neither exceeds.
    """
    there = psutil.virtual_memory()
    try:
        most = int(bound.read_text())
    except (OSError, ValueError):  # no container, or one without a bound
        return there.available, there.total
    return min(there.available, most), min(there.total, most)


def _of_gpu(device: str) -> DeviceMemory | None:
    """Return a GPU's memory; None where torch finds none."""
    import torch

    if not torch.cuda.is_available():
        return None
    number = int(device.partition(":")[2] or 0)
    free, total = torch.cuda.mem_get_info(number)
    return DeviceMemory(free, total, True)
