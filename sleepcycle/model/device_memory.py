"""How much memory there is where a model is to compute: of a GPU, or of the machine."""

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

NVIDIA = Path("/dev/nvidiactl")  # is there where a driver is; torch need not be asked
CONTAINER = Path("/sys/fs/cgroup")
RECLAIMED = ("active_file", "inactive_file")  # is given up where memory is wanted


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
        device: The setting, or a device of torch.
        free_bytes: The machine's, where it is known already.
    """
    can_tell = NVIDIA.exists() or "torch" in sys.modules
    if device.startswith(("auto", "cuda")) and can_tell:
        found = _of_gpu(device)
        if found is not None:
            return found
    free, total = host_memory()
    return DeviceMemory(free if free_bytes is None else free_bytes, total, False)


def host_memory(container: Path = CONTAINER) -> tuple[int, int]:
    """Return the machine's free memory and all of it, in bytes.

    A container has no more than its bound, of which its processes hold a part; files
    that it has read are let go of where memory is wanted.

    Args:
        container: Folder where its bound and what it uses stand.
    """
    there = psutil.virtual_memory()
    try:
        most = int((container / "memory.max").read_text())
        used = int((container / "memory.current").read_text())
        lines = (container / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # no container, or one without a bound
        return there.available, there.total
    stat = dict(line.split() for line in lines)
    held = used - sum(int(stat.get(name, 0)) for name in RECLAIMED)
    return max(0, min(there.available, most - held)), min(there.total, most)


def _of_gpu(device: str) -> DeviceMemory | None:
    """Return a GPU's memory, with what torch keeps for reuse; None where none is."""
    import torch

    if not torch.cuda.is_available():
        return None
    number = int(device.partition(":")[2] or 0)
    free, total = torch.cuda.mem_get_info(number)
    idle = torch.cuda.memory_reserved(number) - torch.cuda.memory_allocated(number)
    return DeviceMemory(free + idle, total, True)
