"""Attention over sequences that lie one behind the other, none of which sees another.

Transformers asks for it by the name `PACKED`, with a `Sequences` among the arguments
that models hand on to their attention.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import signature
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

PACKED = "sleepcycle_packed"
MOST_PADDING = 2.0  # times the tokens; past it sequences are attended to one by one
KNOWS_GROUPS = "enable_gqa" in signature(varlen_attn).parameters  # from torch 2.12 on
LARGEST_HEAD = 256  # that the kernel of flash attention knows
SHORT = 512  # tokens, up to which a CPU is faster in float32, and finer
BEYOND = ("softcap", "s_aux", "position_bias")  # of attention that is not plain


@dataclass(frozen=True, eq=False)
class Sequences:
    """Where sequences begin and end that lie one behind the other."""

    lengths: tuple[int, ...]
    starts: Tensor  # (sequences + 1,) int32, the last one the end
    longest: int
    places: Tensor
    """Where each token is if every sequence has the longest's length, (tokens,)."""

    even: bool
    """Whether that would not be mostly padding."""

    def to(self, device: torch.device, *, non_blocking: bool = False) -> "Sequences":
        """Return them on a device."""
        starts = self.starts.to(device, non_blocking=non_blocking)
        places = self.places.to(device, non_blocking=non_blocking)
        return replace(self, starts=starts, places=places)

    def pin_memory(self) -> "Sequences":
        """Return them where a GPU can copy from while other work goes on."""
        starts, places = self.starts.pin_memory(), self.places.pin_memory()
        return replace(self, starts=starts, places=places)


def sequences(lengths: Sequence[int]) -> Sequences:
    """Return where sequences of these lengths begin and end."""
    whole, longest = sum(lengths), max(lengths)
    starts = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32)
    ahead = torch.arange(len(lengths)) * longest - starts[:-1]
    places = ahead.repeat_interleave(torch.tensor(lengths)) + torch.arange(whole)
    even = len(lengths) * longest <= MOST_PADDING * whole
    return Sequences(tuple(lengths), starts, longest, places, even)


class PackedAttention:
    """Lets a model attend within each sequence alone."""

    def __init__(self, model: nn.Module) -> None:
        found = (getattr(module, "config", None) for module in model.modules())
        self._configs = list({id(one): one for one in found if one}.values())

    @property
    def drops(self) -> bool:
        """Whether weights are dropped in training, which the kernel cannot do."""
        return any(_drops(config.to_dict()) for config in self._configs)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Attend so meanwhile; backward passes may compute layers again."""
        before = [config._attn_implementation for config in self._configs]
        for config in self._configs:
            config._attn_implementation_internal = PACKED
        try:
            yield
        finally:
            for config, name in zip(self._configs, before, strict=True):
                config._attn_implementation_internal = name


def _drops(settings: Mapping[Any, Any]) -> bool:
    """Return whether a configuration drops weights of attention, or one within it.

    The names differ: `attention_dropout`, `attn_pdrop`, `attention_probs_dropout_prob`.
    """
    return any(
        _drops(value)
        if isinstance(value, Mapping)
        else bool("att" in str(name) and "drop" in str(name) and value)
        for name, value in settings.items()
    )


def attend(  # noqa: PLR0913 - what transformers hands over
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    packed: Sequences | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **others: Any,  # noqa: ANN401 - whatever else a model gives its attention
) -> tuple[Tensor, None]:
    """Attend causally within each sequence.

    Args:
        module: The model's layer.
        query: (1, heads, tokens, size); `key` and `value` may have fewer heads.
        key: What is compared.
        value: What is taken.
        attention_mask: None, since the sequences say it all.
        packed: The sequences.
        scaling: Of the scores; by the size of a head where None.
        dropout: Share of weights that are dropped.
        sliding_window: How many tokens see each other, the last one included.
        **others: What other attention than this would need.

    Returns:
        (1, tokens, heads, size), and None in place of the weights.

    Raises:
        ValueError: The model's attention is another one.
        RuntimeError: The starts alone are known, and there is no kernel.
    """
    odd = [name for name in BEYOND if others.get(name) is not None]
    if packed is None or attention_mask is not None or odd:
        raise ValueError(f"expected plain attention over packed sequences, got {odd}")
    window = sliding_window if sliding_window and sliding_window < packed.longest else 0
    options = _Options(scaling, dropout, window)
    query, key, value = (one[0].transpose(0, 1) for one in (query, key, value))
    if not dropout and _has_kernel(query, value):
        return _flash(query, key, value, packed, options)[None], None
    if not packed.lengths:
        raise RuntimeError("expected lengths of sequences where there is no kernel")
    way = _side_by_side if packed.even else _one_by_one
    return way(query, key, value, packed, options)[None], None


AttentionInterface.register(PACKED, attend)


@dataclass(frozen=True)
class _Options:
    """How to attend."""

    scaling: float | None
    dropout: float
    window: int
    """0 for no bound."""


def _has_kernel(query: Tensor, value: Tensor) -> bool:
    """Return whether flash attention knows heads of this size, on this GPU."""
    size = query.shape[-1]
    return (
        query.is_cuda
        and query.dtype != torch.float32
        and size == value.shape[-1]
        and size <= LARGEST_HEAD
        and size % 8 == 0
        and torch.cuda.get_device_capability(query.device) >= (8, 0)
    )


def _flash(
    query: Tensor, key: Tensor, value: Tensor, packed: Sequences, options: _Options
) -> Tensor:
    """Attend by the kernel for it; all are (tokens, heads, size)."""
    grouped = query.shape[1] // key.shape[1]
    groups: dict[str, Any] = {"enable_gqa": grouped > 1} if KNOWS_GROUPS else {}
    if not KNOWS_GROUPS:
        key, value = (one.repeat_interleave(grouped, dim=1) for one in (key, value))
    out: Tensor = varlen_attn(  # type: ignore[assignment]
        query.contiguous(),
        key.contiguous(),
        value.contiguous(),
        packed.starts,
        packed.starts,
        packed.longest,
        packed.longest,
        scale=options.scaling,
        window_size=(options.window - 1 if options.window else -1, 0),
        **groups,
    )
    return out


def _side_by_side(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    packed: Sequences,
    options: _Options,
) -> Tensor:
    """Attend to all sequences at once, each padded to the longest at its end."""
    count, longest, places = len(packed.lengths), packed.longest, packed.places

    def spread(rows: Tensor) -> Tensor:
        """Return (sequences, heads, longest, size) of (tokens, heads, size)."""
        wide = rows.new_zeros(count * longest, *rows.shape[1:])
        wide = wide.index_copy(0, places, rows)
        return wide.view(count, longest, *rows.shape[1:]).transpose(1, 2)

    out = _causal(options, spread(query), spread(key), spread(value))
    return out.transpose(1, 2).flatten(0, 1).index_select(0, places)


def _one_by_one(
    query: Tensor, key: Tensor, value: Tensor, packed: Sequences, options: _Options
) -> Tensor:
    """Attend to one sequence after the other."""
    parts = [torch.split(rows, list(packed.lengths)) for rows in (query, key, value)]
    each = (
        _causal(options, *(rows.transpose(0, 1)[None] for rows in one))
        for one in zip(*parts, strict=True)
    )
    return torch.cat([one[0] for one in each], dim=1).transpose(0, 1)


def _causal(options: _Options, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attend to what is before; all are (sequences, heads, tokens, size)."""
    size, window = query.shape[2], options.window
    if query.device.type == "cpu" and query.dtype != torch.float32 and size <= SHORT:
        wide = (one.float() for one in (query, key, value))
        return _causal(options, *wide).to(query.dtype)
    mask = _seen(size, window, query.device) if window and window < size else None
    return scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=options.dropout,
        is_causal=mask is None,
        scale=options.scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )


def _seen(size: int, window: int, device: torch.device) -> Tensor:
    """Return which tokens see which, (tokens, tokens)."""
    every = torch.ones(size, size, dtype=torch.bool, device=device)
    return every.tril().triu(1 - window)
