"""What is trained: an adapter's factors in float32, side by side in one vector.

The model computes with copies of them in its own type, which are made anew after each
step; in float32 it computes with the vector itself. One vector makes an optimizer's
step a few operations, however many layers there are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.lora_layer import LowRankLinear
from sleepcycle.model.low_rank_branch import LearnedFactors


class Student:
    """One attached adapter's factors, and their gradient."""

    def __init__(self, base: Base, name: str) -> None:
        self.device = base.device
        self._model: nn.Module = base.model
        self.masters = adapters.parameters(base, name)
        self.weights = nn.Parameter(_flat(self.masters), requires_grad=False)
        """All factors, (numbers,), float32."""

        self.weights.grad = torch.zeros_like(self.weights)
        views = _views(self.weights.data, self.masters)
        for master, view in zip(self.masters, views, strict=True):
            master.data = view
        dtype = base.model.dtype
        self._copy = None if dtype == torch.float32 else self.weights.to(dtype)
        self.working: Sequence[nn.Parameter] = self.masters
        """What the model computes with, and gradients are taken by."""

        if self._copy is not None:
            self.working = [nn.Parameter(v) for v in _views(self._copy, self.masters)]
        self._layers = [layer for _, layer in adapters.layers(base, name)]
        self._name = name

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Let the model train, with the copies; it is frozen again afterwards."""
        try:
            self._let_learn()
            yield
        finally:
            self._model.eval()
            self._model.requires_grad_(False)
            for layer in self._layers:
                layer.working.pop(self._name, None)
                layer.learned = None

    def _let_learn(self) -> None:
        """Give layers the copies that they compute with."""
        if self._copy is not None:
            pairs = zip(self.working[::2], self.working[1::2], strict=True)
            for layer, pair in zip(self._layers, pairs, strict=True):
                layer.working[self._name] = pair
                if self.device.type == "cuda":
                    layer.learned = learned_factors(layer, self._name)
        self._model.train()

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Let the model say what it will say when it does not learn."""
        self._model.eval()
        try:
            yield
        finally:
            self._model.train()

    @property
    def gradient(self) -> Tensor:
        """The gradient of the loss by all factors, (numbers,), float32."""
        gradient = self.weights.grad
        assert gradient is not None  # noqa: S101 - made with the weights
        return gradient

    def add_gradient(self, loss: Tensor, by: Sequence[nn.Parameter]) -> None:
        """Add the gradient of a loss.

        Args:
            loss: A scalar.
            by: `working`, or `masters` for what is measured on the weights themselves.
        """
        found = torch.autograd.grad(loss, by, materialize_grads=True)
        self.gradient.add_(torch.cat([one.flatten() for one in found]))

    @torch.no_grad()
    def moved(self) -> None:
        """Let the model compute with the weights as they are now."""
        if self._copy is not None:
            self._copy.copy_(self.weights)

    @torch.no_grad()
    def put_back(self, weights: Tensor) -> None:
        """Write other weights over these."""
        self.weights.copy_(weights)
        self.moved()


def learned_factors(layer: LowRankLinear, name: str) -> LearnedFactors | None:
    """Return a layer's factors as one adapter learns them; None where they cannot be.

    Args:
        layer: With all that is active, and factors to learn in `working`.
        name: Of the adapter.
    """
    down, up = layer.working[name]
    base = layer.base_layer
    plain = type(base) is nn.Linear and base.weight.dtype == down.dtype
    if not plain or not isinstance(layer.lora_dropout[name], nn.Identity):
        return None
    names = [one for one in layer.active_adapters if one in layer.lora_A]
    scale = layer.scaling[name]
    held = [
        (layer.lora_A[one].weight, layer.lora_B[one].weight * layer.scaling[one])
        for one in names
        if one != name
    ]
    if not held:
        return LearnedFactors(names, down, up, None, None, scale)
    held_down = torch.cat([one.detach() for one, _ in held], 0).to(down.dtype)
    held_up = torch.cat([one.detach() / scale for _, one in held], 1).to(up.dtype)
    return LearnedFactors(names, down, up, held_down, held_up, scale)


def _flat(parts: Sequence[Tensor]) -> Tensor:
    """Return the numbers of tensors one behind the other."""
    return torch.cat([part.detach().flatten() for part in parts])


def _views(flat: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    """Return a vector's parts in the shapes of these."""
    pieces = torch.split(flat, [part.numel() for part in parts])
    return [piece.view_as(part) for piece, part in zip(pieces, parts, strict=True)]
