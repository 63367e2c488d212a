"""How much memory a wake needs, roughly, from a model's files alone."""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from sleepcycle.model.base_files import base_config, weight_shapes
from sleepcycle.settings.config import Settings

RUNTIME_BYTES = 600_000_000  # Python with torch and transformers, nothing loaded
UNTRAINED = ("embed", "embd", "lm_head", "wte", "wpe")  # that carry no adapter
ADAM = 4  # floats for each weight that learns: itself, its gradient, two moments
LOGITS = 3  # copies of the logits: themselves, their softmax, their gradient


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model's files say of its size."""

    parameters: int
    edges: int
    """Sum of (rows + columns) over the matrices that carry an adapter."""

    layers: int
    width: int
    heads: int
    vocabulary: int
    positions: int | None
    """Longest input in tokens; None where the model does not say."""


def read_shape(folder: Path) -> Shape:
    """Read the size of a model from its configuration and its weights' headers.

    No weight is read, but a file that was cut short is found.

    Raises:
        ModelError: A file is missing, cut short or not what it should be.
    """
    weights = weight_shapes(folder)
    matrices = [
        shape
        for name, shape in weights.items()
        if len(shape) == 2 and not any(part in name for part in UNTRAINED)
    ]
    config = base_config(folder)
    return Shape(
        parameters=sum(map(prod, weights.values())),
        edges=sum(map(sum, matrices)),
        layers=_first(config, "num_hidden_layers", "n_layer") or 0,
        width=_first(config, "hidden_size", "n_embd") or 0,
        heads=_first(config, "num_attention_heads", "n_head") or 0,
        vocabulary=_first(config, "vocab_size") or 0,
        positions=_first(config, "max_position_embeddings", "n_positions"),
    )


def wake_bytes(shape: Shape, settings: Settings) -> int:
    """Estimate the memory of a wake, in bytes; it is more than most wakes take.

    The sum of:

    - the runtime;
    - the base, at 4 bytes a parameter, or 2 in bfloat16;
    - the day's adapter with gradient and optimizer (16 bytes a weight), and the live
      one without (4 bytes), with rank * (rows + columns) weights a matrix;
    - activations: tokens * width * (34 + 5 * heads * length / width) bytes a layer at
      16 bits (Korthikanti et al., 2022, arXiv:2205.05198), as if each example were of
      the greatest length, and the logits.
    """
    wide = 4 if settings.model.dtype == "float32" else 2
    length = min(settings.model.max_length, shape.positions or 2**31)
    tokens = length * settings.wake.batch_size
    layer = tokens * (34 * shape.width + 5 * shape.heads * length) * wide // 2
    adapters = shape.edges * (settings.wake.rank * ADAM + settings.sleep.svd.rank) * 4
    return (
        RUNTIME_BYTES
        + shape.parameters * wide
        + adapters
        + layer * shape.layers
        + tokens * shape.vocabulary * LOGITS * 4
    )


def _first(config: dict[str, Any], *names: str) -> int | None:
    """Return the first of these numbers that is there."""
    found = (config.get(name) for name in names)
    return next((number for number in found if isinstance(number, int)), None)
