"""Numbers that a GPU has yet to compute, read without waiting for what comes after."""

import torch
from torch import Tensor


class Readback:
    """A small tensor that is copied to the CPU as soon as it is there."""

    def __init__(self, numbers: Tensor) -> None:
        self._host = numbers.to("cpu", non_blocking=True)
        self._there: torch.cuda.Event | None = None
        if numbers.is_cuda:
            self._there = torch.cuda.current_stream(numbers.device).record_event()

    def read(self) -> list[float]:
        """Return the numbers, and wait for them if need be."""
        if self._there is not None:
            self._there.synchronize()
        found: list[float] = self._host.tolist()
        return found
