"""What a model says at learned tokens, and what it loses there.

Logits are made at learned tokens alone, and a bounded number of them at once: those of
a whole batch are often larger than the model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sleepcycle.model.memory_need import LOGITS_BYTES
from sleepcycle.model.token_batch import LearnedTokens, TokenBatch

Losses = Callable[[Tensor, Any], Tensor]
"""Returns the loss of each token, (learned,), from logits, (learned, vocabulary), and
`LearnedTokens` of its kind."""


def token_nll(logits: Tensor, tokens: LearnedTokens) -> Tensor:
    """Return each token's loss given those before it, in nats, (learned,)."""
    return functional.cross_entropy(logits.float(), tokens.targets, reduction="none")


@dataclass(frozen=True, eq=False)
class Head:
    """What makes logits of hidden states."""

    module: nn.Module | None
    """None where what the model returns is logits already."""

    cap: float | None
    """Past which logits are bent, as Gemma 2's are."""

    at_once: int
    """Tokens whose logits are made at once at most."""

    dtype: torch.dtype
    """Of what the model computes with."""

    def logits(self, hidden: Tensor) -> Tensor:
        """Return logits, (tokens, vocabulary)."""
        if self.module is None:
            return hidden
        found: Tensor = self.module(hidden)
        return found if self.cap is None else self.cap * torch.tanh(found / self.cap)

    def slices(self, tokens: int) -> Iterator[slice]:
        """Yield slices of tokens, whose logits are not too many at once.

        There is one at least, so that what is made of none has its shape.
        """
        firsts = range(0, max(1, tokens), self.at_once)
        return (slice(first, first + self.at_once) for first in firsts)


def head_of(model: nn.Module, *, split: bool) -> Head:
    """Return what makes logits of what `hidden_states` returns.

    Args:
        model: A causal language model.
        split: Whether its head is asked apart from its body.
    """
    weight = model.get_input_embeddings().weight  # type: ignore[operator]
    at_once = max(1, LOGITS_BYTES[weight.is_cuda] // (4 * weight.shape[0]))
    if not split:
        return Head(None, None, at_once, weight.dtype)
    config = model.config.get_text_config()  # type: ignore[operator, union-attr]
    cap = getattr(config, "final_logit_softcapping", None)
    return Head(model.get_output_embeddings(), cap, at_once, weight.dtype)  # type: ignore[operator]


def hidden_states(model: nn.Module, batch: TokenBatch, *, split: bool) -> Tensor:
    """Return what stands before the head at each learned token, (learned, width).

    Where the head is not asked apart these are logits.
    """
    if split:
        body: nn.Module = model.base_model  # type: ignore[assignment]
        found = body(**batch.inputs, use_cache=False).last_hidden_state
    else:
        found = model(**batch.inputs, use_cache=False).logits
    return found.flatten(0, 1).index_select(0, batch.places)  # type: ignore[no-any-return]


def summed_loss(
    hidden: Tensor, head: Head, tokens: LearnedTokens, losses: Losses = token_nll
) -> Tensor:
    """Return the sum of losses by weight, as a scalar in float32.

    Its gradient is made slice by slice with it, so that logits of one slice alone are
    held at any time; the head itself does not learn.

    Args:
        hidden: What `hidden_states` returned, (learned, width).
        head: What makes logits of it.
        tokens: What is learned.
        losses: Of each.
    """
    total: Tensor = _SlicedLoss.apply(hidden, head, losses, tokens)  # type: ignore[no-untyped-call]
    return total


class _SlicedLoss(torch.autograd.Function):
    """A sum of losses whose gradient is made with it."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own
        hidden: Tensor,
        head: Head,
        losses: Losses,
        tokens: LearnedTokens,
    ) -> Tensor:
        """Return the sum, and keep its gradient by `hidden`."""
        learns = ctx.needs_input_grad[0]
        total = hidden.new_zeros((), dtype=torch.float32)
        gradients = torch.empty_like(hidden) if learns else None
        for part in head.slices(len(hidden)):
            with torch.enable_grad():
                states = hidden[part].detach().requires_grad_(learns)
                each = losses(head.logits(states), tokens[part])
                loss = (each * tokens.weights[part]).sum()
            if gradients is not None:
                (gradients[part],) = torch.autograd.grad(loss, states)
            total += loss.detach()
        ctx.gradients = gradients
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        """Return the gradient by `hidden`."""
        return ctx.gradients * outer[0].to(ctx.gradients.dtype), None, None, None
