"""Gradient checkpointing: layers computed twice, where memory asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from sleepcycle.model.base import Base
from sleepcycle.model.device_memory import memory_for
from sleepcycle.model.memory_need import SPARE, WorkPlan, activation_bytes
from sleepcycle.model.model_size import size_of

NEW_NAME = "activation_checkpointing_enable"  # of transformers of late


def needs_checkpoints(base: Base, *, tokens: int, longest: int, rank: int) -> bool:
    """Return whether layers are to be computed again in the backward pass.

    Args:
        base: The base; `auto` chooses by its device's free memory.
        tokens: Most that pass through it at once.
        longest: Most of one sequence.
        rank: Of the adapter that learns.
    """
    if base.checkpointing != "auto":
        return base.checkpointing == "on"
    shapes = {name: one.shape for name, one in base.model.named_parameters()}
    plan = WorkPlan(
        number_bytes=base.model.dtype.itemsize,
        quantized=False,
        checkpointed=False,
        tokens=tokens,
        length=longest,
        dreamt=0,
        day_rank=rank,
        live_rank=0,
        on_gpu=base.device.type == "cuda",
    )
    needed = activation_bytes(size_of(shapes, base.model.config.to_dict()), plan)
    return needed > SPARE * memory_for(str(base.device)).free_bytes


@contextmanager
def checkpointed(model: nn.Module, *, wanted: bool) -> Iterator[None]:
    """Let layers forget what they computed, and compute it again when it is needed."""
    if not wanted:
        yield
        return
    kind = "activation" if hasattr(model, NEW_NAME) else "gradient"
    getattr(model, f"{kind}_checkpointing_enable")({"use_reentrant": False})
    try:
        yield
    finally:
        getattr(model, f"{kind}_checkpointing_disable")()
