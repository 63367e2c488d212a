"""The key-value cache of answers that are being written: one buffer a layer."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

Slot = int | Tensor
"""Where the next token goes; on the device, (1,), where shapes are fixed."""


class SlotCache(Cache):  # type: ignore[misc]
    """Keys and values of rows that are written together, in buffers made once.

    Nothing is copied to make room for a token, as transformers' own growing cache does.
    As long as it grows, a model sees what is filled. Once `fix` was called it sees
    whole buffers, the same shapes at each step, so that a step can be captured in a
    CUDA graph. Windows are kept by the mask alone: a layer that slides has a whole
    buffer as well.
    """

    def __init__(self, layers: int, room: int) -> None:
        """Make a cache of empty buffers.

        Args:
            layers: How many the model has.
            room: Tokens of a row, its padding included.
        """
        self.slot: Tensor | None = None
        self.room = room
        super().__init__(layers=[_Layer(self) for _ in range(layers)])

    def fix(self) -> Tensor:
        """Show whole buffers from now on; return the slot, which its user moves on."""
        self.slot = torch.tensor([self.layers[0].filled], device=self.layers[0].device)
        return self.slot

    def grow(self, filled: int) -> None:
        """Show what is filled from now on, which is so much."""
        self.slot = None
        for layer in self.layers:
            layer.filled = filled

    def spread(self, rows: int) -> None:
        """Let the only row there is become so many alike."""
        for layer in self.layers:
            layer.keys = layer.keys.repeat(rows, 1, 1, 1)
            layer.values = layer.values.repeat(rows, 1, 1, 1)

    @property
    def filled(self) -> int:
        """How many tokens of a row are there, its padding included; while it grows."""
        return int(self.layers[0].filled)

    def join(self, other: "SlotCache", more: int) -> None:
        """Take another cache's rows in behind ours, so that all end at one place.

        Args:
            other: Of the same model, and growing as this one is.
            more: Tokens that there shall be room for behind that place.
        """
        end = max(self.filled, other.filled)
        self.room = end + more
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            both = (mine.ending_at(end, self.room), theirs.ending_at(end, self.room))
            mine.keys, mine.values = map(torch.cat, zip(*both, strict=True))
            mine.filled = end

    def move(self, columns: int, more: int) -> None:
        """Drop so many tokens at the beginning, and make room for more at the end."""
        end = self.filled - columns
        self.room = end + more
        for layer in self.layers:
            layer.keys, layer.values = layer.ending_at(end, self.room)
            layer.filled = end

    def keep(self, rows: Tensor) -> None:
        """Keep these rows alone."""
        for layer in self.layers:
            layer.keys = layer.keys[rows]
            layer.values = layer.values[rows]


class _Layer(CacheLayerMixin):  # type: ignore[misc]
    """One layer's keys and values, (batch, heads, room, head_dim)."""

    def __init__(self, cache: SlotCache) -> None:
        super().__init__()
        self._cache = cache
        self.filled = 0

    @property
    def is_compileable(self) -> bool:
        """Whether shapes are fixed: masks are then made without looking at values."""
        return self._cache.slot is not None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make the buffers, of the kind of the first tokens."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.keys, self.values = (
            state.new_zeros((*state.shape[:2], self._cache.room, state.shape[3]))
            for state in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> tuple[Tensor, Tensor]:
        """Take tokens in; return all that a model shall see."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        slot = self._cache.slot
        if slot is not None:
            self.keys.index_copy_(2, slot, key_states)
            self.values.index_copy_(2, slot, value_states)
            return self.keys, self.values
        before, self.filled = self.filled, self.filled + key_states.shape[2]
        self.keys[:, :, before : self.filled] = key_states
        self.values[:, :, before : self.filled] = value_states
        return self.keys[:, :, : self.filled], self.values[:, :, : self.filled]

    def ending_at(self, end: int, room: int) -> tuple[Tensor, Tensor]:
        """Return copies of keys and values whose last token stands right before `end`.

        What has no place there is dropped, and what was not there is zero.
        """
        size = min(end, self.filled)
        copies = []
        for states in (self.keys, self.values):
            copy = states.new_zeros((*states.shape[:2], room, states.shape[3]))
            copy[:, :, end - size : end] = states[
                :, :, self.filled - size : self.filled
            ]
            copies.append(copy)
        return copies[0], copies[1]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Return how many keys are seen, and where the first of them stands."""
        grown = self.filled + query_length
        return (grown if self._cache.slot is None else self._cache.room), 0

    def get_seq_length(self) -> Slot:
        """Return how many tokens went in."""
        return self.filled if self._cache.slot is None else self._cache.slot

    def get_max_length(self) -> int:
        """Return how many tokens there is room for."""
        return self._cache.room
