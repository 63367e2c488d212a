"""What the layers of an adapter read: second moments of their inner activations."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sleepcycle.model.adapters import layers, only_active
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.lora_layer import LowRankLinear
from sleepcycle.model.reading import Reader
from sleepcycle.model.score import read_in_parts

Hook = Callable[[LowRankLinear, tuple[Tensor, ...], Tensor], None]


@torch.no_grad()
def moments(base: Base, name: str, examples: Sequence[Encoded]) -> dict[str, Tensor]:
    """Return the mean of (down x)(down x).T of each layer, over all tokens.

    Args:
        base: The base, with the adapter attached; none is active afterwards.
        name: The adapter.
        examples: What it reads.

    Returns:
        By layer, (width, width) in float64 on the CPU, the adapter's width.
    """
    reader = Reader(base)
    whole = [_read_whole(example) for example in examples]
    sums: dict[str, Tensor] = {}
    seen: dict[str, Tensor] = {}  # of one batch
    places = torch.zeros(0)

    def add_to(path: str) -> Hook:
        def add(layer: LowRankLinear, inputs: tuple[Tensor, ...], _: Tensor) -> None:
            rows = inputs[0].flatten(0, -2).index_select(0, places)  # (tokens, in)
            down, _ = layer.factors(name, rows.dtype)
            inner = (rows @ down.T).cpu().double()  # (tokens, width)
            seen[path] = seen.get(path, 0) + inner.T @ inner

        return add

    def read(rows: Sequence[Encoded]) -> None:
        nonlocal places
        seen.clear()
        batch = reader.batch(rows)
        places = batch.places
        reader.hidden(batch)

    hooks = [
        layer.register_forward_hook(add_to(path)) for path, layer in layers(base, name)
    ]
    try:
        with only_active(base, [name]), reader.apart():
            for _ in read_in_parts(base, reader, whole, read):
                sums |= {path: sums.get(path, 0) + more for path, more in seen.items()}
    finally:
        for hook in hooks:
            hook.remove()
    tokens = sum(len(example.ids) for example in examples)
    return {path: total / tokens for path, total in sums.items()}


def _read_whole(example: Encoded) -> Encoded:
    """Return an example with a token more to learn, so that its last one is read."""
    return Encoded((*example.ids, 0), (0.0, *[1.0] * len(example.ids)))
