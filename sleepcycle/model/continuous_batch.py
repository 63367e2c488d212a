"""A continuous batch: answers that join and leave while others are being written.

Rows share the columns of one cache and end at the same one, so that a step writes one
token in each; what is before a row's first token is masked. A row that joins is read by
itself and placed so that it ends there too. Its positions are its own, and keys carry
them, so it says what it would say alone.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sleepcycle.model.base import Base
from sleepcycle.model.encode import end_ids, pad_id
from sleepcycle.model.kv_cache import SlotCache
from sleepcycle.model.next_token import (
    GREEDY_CHOICE,
    ChosenToken,
    TokenChoice,
    TokenPicker,
)

MORE = 64  # tokens that a cache is enlarged by, so that most steps copy nothing


@dataclass(frozen=True, slots=True)
class AnswerOrder:
    """What is to be answered, and how."""

    prompt: tuple[int, ...]
    """Not empty."""

    most: int
    """New tokens at most, 1 or more."""

    choice: TokenChoice = GREEDY_CHOICE


@dataclass(frozen=True, slots=True)
class WrittenToken:
    """One token that a step has written."""

    key: Hashable
    """Whose answer it belongs to."""

    token: ChosenToken
    ended: bool
    """Whether the answer is over with it: it is an end token, not to be shown."""

    full: bool
    """Whether the answer has as many tokens as it may."""


@dataclass(eq=False)
class _Row:
    """An answer that is being written."""

    key: Hashable
    order: AnswerOrder
    picker: TokenPicker
    seen: set[int] = field(default_factory=set)
    """Tokens that were there, where the model makes them less likely."""

    last: int = 0
    written: int = 0

    @property
    def length(self) -> int:
        """Tokens that the cache holds of it: all but the last."""
        return len(self.order.prompt) + self.written - 1


class ContinuousBatch:
    """Answers by one version, which is active whenever `join` or `step` is called."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._ends = end_ids(base)
        config = base.model.config.get_text_config()
        self._layers: int = config.num_hidden_layers
        self._penalty: float = (
            getattr(base.model.generation_config, "repetition_penalty", None) or 1.0
        )
        self._rows: list[_Row] = []
        self._cache: SlotCache | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @torch.inference_mode()
    def join(
        self, orders: Sequence[tuple[Hashable, AnswerOrder]]
    ) -> list[WrittenToken]:
        """Read prompts, and write the first token of each; those that end are gone."""
        rows = [_Row(key, one, TokenPicker(one.choice)) for key, one in orders]
        longest = max(len(row.order.prompt) for row in rows)
        ids = torch.full((len(rows), longest), pad_id(self._base))
        for place, row in enumerate(rows):
            ids[place, longest - len(row.order.prompt) :] = torch.tensor(
                row.order.prompt
            )
            if self._penalty != 1:
                row.seen |= set(row.order.prompt)
        cache = SlotCache(self._layers, longest + MORE)
        starts = torch.tensor([longest - len(row.order.prompt) for row in rows])
        columns = torch.arange(longest)
        positions = (columns[None] - starts[:, None]).clamp_min(0)
        mask = columns[None] >= starts[:, None]
        logits = self._forward(ids, positions, mask, cache)
        if self._cache is None:
            self._cache = cache
        else:
            self._cache.join(cache, MORE)
        self._rows += rows
        return self._write(rows, logits)

    @torch.inference_mode()
    def step(self) -> list[WrittenToken]:
        """Write one token more in each answer; those that end are gone."""
        if not self._rows or self._cache is None:
            return []
        if self._cache.filled == self._cache.room:
            longest = max(row.length for row in self._rows)
            self._cache.move(self._cache.filled - longest, MORE)
        lengths = torch.tensor([row.length for row in self._rows])
        ids = torch.tensor([[row.last] for row in self._rows])
        columns = torch.arange(self._cache.filled + 1)
        mask = columns[None] >= (self._cache.filled - lengths)[:, None]
        logits = self._forward(ids, lengths[:, None], mask, self._cache)
        return self._write(list(self._rows), logits)

    def drop(self, keys: set[Hashable]) -> None:
        """Write no more of these answers."""
        stay = [n for n, row in enumerate(self._rows) if row.key not in keys]
        if len(stay) == len(self._rows):
            return
        self._rows = [self._rows[place] for place in stay]
        if not stay:
            self._cache = None
        elif self._cache is not None:
            self._cache.keep(torch.tensor(stay, device=self._base.device))

    def _forward(
        self, ids: Tensor, positions: Tensor, mask: Tensor, cache: SlotCache
    ) -> Tensor:
        """Return the logits behind the last of these tokens, on the CPU."""
        device = self._base.device
        output: Any = self._base.model(
            input_ids=ids.to(device),
            position_ids=positions.to(device),
            attention_mask=mask.long().to(device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1].float().cpu()
        return logits

    def _write(self, rows: Sequence[_Row], logits: Tensor) -> list[WrittenToken]:
        """Choose a token for each of these rows, and drop those that are over."""
        found = []
        for row, scores in zip(rows, logits, strict=True):
            token = row.picker.pick(self._penalised(scores, row.seen))
            row.last, row.written = token.id, row.written + 1
            if self._penalty != 1:
                row.seen.add(token.id)
            ended = token.id in self._ends
            full = row.written >= row.order.most
            found.append(WrittenToken(row.key, token, ended, full))
        self.drop({one.key for one in found if one.ended or one.full})
        return found

    def _penalised(self, scores: Tensor, seen: set[int]) -> Tensor:
        """Return logits in which what was there is less likely, as the model wants."""
        if not seen:
            return scores
        ids = torch.tensor(sorted(seen))
        old = scores[ids]
        new = torch.where(old < 0, old * self._penalty, old / self._penalty)
        return scores.index_copy(0, ids, new)
