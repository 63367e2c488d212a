"""Gradient checkpointing: layers computed twice, where memory asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from sleepcycle.model.base import Base
from sleepcycle.model.device_memory import memory_for
from sleepcycle.model.memory_need import WorkPlan, has_room, wake_need
from sleepcycle.model.model_size import ModelSize, size_of

NEW_NAME = "activation_checkpointing_enable"  # of transformers of late


def needs_checkpoints(base: Base, *, tokens: int, longest: int, rank: int) -> bool:
    """Return whether layers are to be computed again in the backward pass.

    By `auto` they are where what learning adds to the loaded base would take more than
    `SPARE` of the free memory, if the model knows how to.

    Args:
        base: The base, with the adapter that learns.
        tokens: Most that pass through it at once, padding included.
        longest: Most of one sequence.
        rank: Of the adapter that learns.
    """
    if base.checkpointing != "auto":
        return base.checkpointing == "on"
    plan = WorkPlan(
        number_bytes=base.model.dtype.itemsize,
        quantized=False,
        checkpointed=False,
        tokens=tokens,
        read_tokens=0,
        length=longest,
        dreamt=0,
        day_rank=rank,
        live_rank=0,
        on_gpu=base.device.type == "cuda",
    )
    need = wake_need(loaded_size(base), plan)
    free = memory_for(str(base.device)).free_bytes
    return base.model.supports_gradient_checkpointing and not has_room(need, free)


def loaded_size(base: Base) -> ModelSize:
    """Return how large a base is, without the adapters that are attached to it."""
    shapes = {
        name.replace(".base_layer.", "."): weight.shape
        for name, weight in base.model.named_parameters()
        if ".lora_" not in name
    }
    return size_of(shapes, base.model.config.to_dict(), base.targets.leaves)


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
