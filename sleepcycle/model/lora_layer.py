"""One path through a layer with adapters: in the base's dtype, one product a factor."""

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor

from sleepcycle.model.low_rank_branch import LearnedFactors

Factors = tuple[Tensor, Tensor]
"""`down` (rank, in) and `up` (out, rank)."""


class LowRankLinear(Linear):  # type: ignore[misc]
    """PEFT's layer with a forward of its own: `base(x) + scale · up (down x)`.

    PEFT computes adapters in float32 whatever the base has, and casts activations to it
    and back around each; here the factors are cast, which are small. In float32 the
    result is PEFT's but for rounding.
    """

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - PEFT's own
        super().__init__(*args, **options)
        self.working: dict[str, Factors] = {}
        """Factors to compute with in place of PEFT's, which are float32."""

        self.learned: LearnedFactors | None = None
        """Factors of all active adapters, to compute with at once."""

    def forward(self, x: Tensor, *args: object, **options: object) -> Tensor:
        """Return what the base layer and the active adapters make of `x`, (…, in)."""
        names = [name for name in self.active_adapters if name in self.lora_A]
        learned, base = self.learned, self.base_layer
        if learned is not None and learned.serves(names, x):
            made = learned.product(x.flatten(0, -2), base.weight, base.bias)
            return made.view(*x.shape[:-1], made.shape[-1])
        out: Tensor = self.base_layer(x, *args, **options)
        if not names:
            return out
        shape = out.shape
        out, rows = out.flatten(0, -2), x.flatten(0, -2)  # (tokens, out), (tokens, in)
        for name in names:
            down, up = self.factors(name, x.dtype)
            inner = self.lora_dropout[name](rows) @ down.T
            out = torch.addmm(out, inner, up.T, alpha=self.scaling[name])
        return out.view(shape)

    def factors(self, name: str, dtype: torch.dtype) -> Factors:
        """Return an adapter's `down` and `up` in a dtype."""
        held = self.working.get(name)
        if held and held[0].dtype == dtype:
            return held
        down, up = self.lora_A[name].weight, self.lora_B[name].weight
        return down.to(dtype), up.to(dtype)

    def delete_adapter(self, adapter_name: str) -> None:
        """Take an adapter off the layer."""
        self.working.pop(adapter_name, None)
        self.learned = None
        super().delete_adapter(adapter_name)
