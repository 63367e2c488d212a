"""What the layers of an adapter read: second moments of their inner activations."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sleepcycle.model.adapters import layers, only_active
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded, collate, pad_id


@torch.no_grad()
def moments(
    base: Base, name: str, examples: Sequence[Encoded], batch_size: int
) -> dict[str, Tensor]:
    """Return the mean of (down x)(down x).T of each layer, over all tokens.

    Args:
        base: The base, with the adapter attached; none is active afterwards.
        name: The adapter.
        examples: What it reads.
        batch_size: Examples at once; changes speed and memory alone.

    Returns:
        By layer, (width, width) in float64 on the CPU, the adapter's width.
    """
    sums: dict[str, Tensor] = {}
    tokens = 0
    mask = torch.zeros(0)

    def add_to(path: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def add(module: nn.Module, inputs: tuple[Tensor, ...], inner: Tensor) -> None:
            seen = inner[mask].double()  # (tokens, width)
            sums[path] = sums.get(path, 0) + seen.T @ seen

        return add

    hooks = [
        layer.lora_A[name].register_forward_hook(add_to(path))
        for path, layer in layers(base, name)
    ]
    try:
        with only_active(base, [name]):
            for start in range(0, len(examples), batch_size):
                batch = collate(examples[start : start + batch_size], pad_id(base))
                batch = batch.to(base.device)
                mask = batch.mask.bool()
                tokens += int(mask.sum())
                base.model(input_ids=batch.ids, attention_mask=batch.mask)
    finally:
        for hook in hooks:
            hook.remove()
    return {path: (total / tokens).cpu() for path, total in sums.items()}
