"""A frozen matrix with low-rank factors, whose small products run beside the large one.

The products with the factors take as long as those with a matrix of a small model,
since neither fills a GPU; within a CUDA graph they run on a second stream. As an
operator of torch's the whole can stand in compiled layers.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_BESIDE: dict[torch.device, torch.cuda.Stream] = {}


@dataclass(frozen=True, eq=False)
class LearnedFactors:
    """The factors of an adapter that learns, with those of others that do not."""

    names: list[str]
    """Of the adapters, in the order in which they are active."""

    down: Tensor  # (rank, in)
    up: Tensor  # (out, rank)
    held_down: Tensor | None  # (other ranks, in)
    held_up: Tensor | None  # (out, other ranks)
    scale: float
    """Of all of them."""

    def serves(self, names: list[str], x: Tensor) -> bool:
        """Return whether these are the factors of what is active, in `x`'s type."""
        return names == self.names and x.dtype == self.down.dtype

    def product(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Return `weight x + bias + scale · up (down x)`, with the held ones' beside.

        Args:
            x: (tokens, in).
            weight: (out, in).
            bias: (out,), or None.

        Returns:
            (tokens, out).
        """
        held = self.held_down, self.held_up
        out: Tensor
        out, _ = low_rank_linear(x, weight, bias, self.down, self.up, *held, self.scale)
        return out


@torch.library.custom_op("sleepcycle::low_rank_linear", mutates_args=())
def low_rank_linear(  # noqa: PLR0913 - operators take tensors, one by one
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    down: Tensor,
    up: Tensor,
    held_down: Tensor | None,
    held_up: Tensor | None,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Return what `LearnedFactors.product` does, and `down x` of all factors."""
    beside = _fork(x)
    with torch.cuda.stream(beside):
        inner = x @ _joined(held_down, down, 0).T
        whole_up = _joined(held_up, up, 1)
    out = functional.linear(x, weight, bias)
    _join(beside)
    return out.addmm_(inner, whole_up.T, alpha=scale), inner


@torch.library.custom_op("sleepcycle::low_rank_gradients", mutates_args=())
def low_rank_gradients(  # noqa: PLR0913 - operators take tensors, one by one
    outer: Tensor,
    x: Tensor,
    weight: Tensor,
    inner: Tensor,
    down: Tensor,
    up: Tensor,
    held_down: Tensor | None,
    held_up: Tensor | None,
    scale: float,
    by_x: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients by `x`, by `down` and by `up`; the first empty if not asked.

    Args:
        outer: The gradient by what `low_rank_linear` returned, (tokens, out).
        x: What that was given.
        weight: The same.
        inner: What it returned beside, (tokens, ranks).
        down: The same as it was given.
        up: The same.
        held_down: The same.
        held_up: The same.
        scale: The same.
        by_x: Whether the gradient by `x` is asked for.
    """
    held = inner.shape[1] - down.shape[0]
    into = x.new_empty(0)
    beside = _fork(x)
    with torch.cuda.stream(beside):
        back = _scaled(outer, _joined(held_up, up, 1), scale)  # (tokens, ranks)
        whole_down = _joined(held_down, down, 0)
        ready = None if beside is None else beside.record_event()
        by_down = back[:, held:].T @ x
        by_up = _scaled(outer.T, inner[:, held:], scale)
    if by_x:
        into = outer @ weight
        if ready is not None:
            ready.wait()
        into.addmm_(back, whole_down)
    _join(beside)
    return into, by_down, by_up


@low_rank_linear.register_fake
def _(x, weight, bias, down, up, held_down, held_up, scale):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0913
    """Return tensors of the shapes."""
    ranks = down.shape[0] + (0 if held_down is None else held_down.shape[0])
    return x.new_empty(x.shape[0], weight.shape[0]), x.new_empty(x.shape[0], ranks)


@low_rank_gradients.register_fake
def _(outer, x, weight, inner, down, up, held_down, held_up, scale, by_x):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0913
    """Return tensors of the shapes."""
    into = torch.empty_like(x) if by_x else x.new_empty(0)
    return into, torch.empty_like(down), torch.empty_like(up)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:  # noqa: ANN401 - torch's own
    """Keep what the gradients take."""
    x, weight, _, down, up, held_down, held_up, scale = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, weight, output[1], down, up, held_down, held_up)
    ctx.scale = scale


def _gradients(
    ctx: Any,  # noqa: ANN401 - torch's own
    outer: Tensor | None,
    _: None,
) -> tuple[Tensor | None, ...]:
    """Return the gradient by each input."""
    if outer is None:
        return (None,) * 8
    by_x = ctx.needs_input_grad[0]
    found = low_rank_gradients(outer, *ctx.saved_tensors, ctx.scale, by_x)
    into, by_down, by_up = found
    return into if by_x else None, None, None, by_down, by_up, None, None, None


low_rank_linear.register_autograd(_gradients, setup_context=_keep)


def _fork(like: Tensor) -> torch.cuda.Stream | None:
    """Return a stream for work beside other work; None where no graph is captured.

    There both are launched one after the other, and that is all the time they take.
    """
    if not like.is_cuda or not torch.cuda.is_current_stream_capturing():
        return None
    beside = _BESIDE.get(like.device)
    if beside is None:
        beside = torch.cuda.Stream(like.device)  # type: ignore[no-untyped-call]
        _BESIDE[like.device] = beside
    beside.wait_stream(torch.cuda.current_stream(like.device))
    return beside


def _join(beside: torch.cuda.Stream | None) -> None:
    """Let what comes wait for the work on a stream."""
    if beside is not None:
        torch.cuda.current_stream(beside.device).wait_stream(beside)


def _joined(held: Tensor | None, learned: Tensor, dim: int) -> Tensor:
    """Return factors of several adapters as those of one."""
    return learned if held is None else torch.cat([held, learned], dim)


def _scaled(first: Tensor, second: Tensor, scale: float) -> Tensor:
    """Return a product times a number, in one kernel."""
    return torch.addmm(first.new_empty(1), first, second, beta=0, alpha=scale)
