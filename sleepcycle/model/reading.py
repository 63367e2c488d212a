"""How a model is read, as is tried on it once: packed or in rows, head apart or not."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from loguru import logger
from torch import Tensor, nn

from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded, pad_id
from sleepcycle.model.forward import (
    Head,
    Losses,
    head_of,
    hidden_states,
    summed_loss,
    token_nll,
)
from sleepcycle.model.loading import UNREADABLE
from sleepcycle.model.packed_attention import PackedAttention
from sleepcycle.model.small_model import small_model
from sleepcycle.model.token_batch import LearnedTokens, TokenBatch, token_batch, within

PROBE = (6, 5)  # tokens of the two sequences by which a model is tried
SAME = 1e-4  # of the largest logit: what two ways to it may differ by
LEAK = 2e-6  # the same where only experts' sums may come in another order
TINY = 1e-30  # below any logit but zero
KEPT_APART = {"full_attention", "sliding_attention"}
"""Layers that packed attention knows how to do, by the names of transformers."""


@dataclass(frozen=True)
class ReadingWay:
    """How a model is read."""

    packed: bool
    """Whether it keeps sequences apart that lie one behind the other."""

    split: bool
    """Whether its logits are what its head makes of its body's last hidden states."""


PLAIN = ReadingWay(packed=False, split=False)


class Reader:
    """Reads examples with whatever adapters are active, as the model allows best."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._pad = pad_id(base)
        self._how = _way_of(base.model)
        self._attention = PackedAttention(base.model)
        self.head: Head = head_of(base.model, split=self._how.split)

    @property
    def has_fixed_shapes(self) -> bool:
        """Whether batches can be padded to a fixed shape, as CUDA graphs need it.

        The kernel must do it, which reads on the device where sequences begin.
        """
        half = self.head.dtype != torch.float32
        plain = self._how.packed and not self._attention.drops
        return plain and self._base.device.type == "cuda" and half

    def within(self, lengths: Sequence[int], most: int) -> Iterator[slice]:
        """Yield slices of sequences of which at most so many tokens pass at once."""
        return within(lengths, most, packed=self._how.packed)

    def passing(self, lengths: Sequence[int]) -> int:
        """Return how many tokens of such sequences pass at once, padding included."""
        return sum(lengths) if self._how.packed else len(lengths) * max(lengths)

    def laid_out(self, examples: Sequence[Encoded]) -> TokenBatch:
        """Put examples into a batch, on the CPU."""
        return token_batch(examples, self._pad, packed=self._how.packed)

    def batch(self, examples: Sequence[Encoded]) -> TokenBatch:
        """Put examples into a batch, on the model's device."""
        return self.laid_out(examples).to(self._base.device)

    def apart(self) -> AbstractContextManager[None]:
        """Keep sequences apart while the model is run, forward and backward."""
        return self._attention.active() if self._how.packed else nullcontext()

    def hidden(self, batch: TokenBatch) -> Tensor:
        """Return what the head makes logits of, at each learned token."""
        return hidden_states(self._base.model, batch, split=self._how.split)

    def summed_loss(
        self, batch: TokenBatch, tokens: LearnedTokens, losses: Losses = token_nll
    ) -> Tensor:
        """Return the sum of a batch's losses by weight; to be called within `apart`."""
        return summed_loss(self.hidden(batch), self.head, tokens, losses)

    @torch.no_grad()
    def logits(
        self, examples: Sequence[Encoded], tokens: LearnedTokens
    ) -> Iterator[tuple[Tensor, LearnedTokens]]:
        """Yield the logits of learned tokens, some at once, and those tokens.

        Args:
            examples: What is read, all at once.
            tokens: Their learned tokens, on the model's device.
        """
        with self.apart():
            hidden = self.hidden(self.batch(examples))
        for part in self.head.slices(len(hidden)):
            yield self.head.logits(hidden[part]), tokens[part]


_KNOWN: WeakKeyDictionary[nn.Module, ReadingWay] = WeakKeyDictionary()


def _way_of(model: nn.Module) -> ReadingWay:
    """Return how a model is read; it is tried the first time, on a small one."""
    found = _KNOWN.get(model)
    if found is None:
        found = _KNOWN[model] = _way_of_kind(model.config)
        if not found.packed:
            logger.debug("sequences are padded: this model does not keep them apart")
    return found


def _way_of_kind(config: Any) -> ReadingWay:  # noqa: ANN401 - any model's
    """Return how models of a kind are read, as a small one of them shows."""
    try:
        return PLAIN if _hides_much(config) else try_out(small_model(config))
    except UNREADABLE:
        return PLAIN


@torch.no_grad()
def try_out(model: nn.Module) -> ReadingWay:
    """Return the best way to read a model that gives what it says itself.

    Args:
        model: One in float32 that does not train.
    """
    trial = _Trial(model)
    split = trial.gives_the_same(ReadingWay(packed=False, split=True))
    packed = trial.gives_the_same(ReadingWay(packed=True, split=split))
    return ReadingWay(packed, split)


class _Trial:
    """Two short sequences, read in every way by a small model of random weights."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        vocabulary = model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
        first, other, second = (
            _all_learned([(7 * place + row) % vocabulary for place in range(size)])
            for row, size in ((1, PROBE[0]), (2, PROBE[0]), (3, PROBE[1]))
        )
        self._pair, self._changed = [first, second], [other, second]
        alone = [self._logits([one], PLAIN) for one in self._pair]
        self._own = torch.cat(alone)

    def gives_the_same(self, way: ReadingWay) -> bool:
        """Return whether a way gives the model's own logits, and nothing is mixed."""
        last = PROBE[1] - 1
        try:
            found = self._logits(self._pair, way)
            changed = self._logits(self._changed, way)
        except UNREADABLE:
            return False
        apart = _differ(found[-last:], changed[-last:]) <= LEAK
        return apart and _differ(found, self._own) <= SAME

    def _logits(self, examples: Sequence[Encoded], way: ReadingWay) -> Tensor:
        """Return the logits before each token but the first, (tokens, vocabulary)."""
        batch = token_batch(examples, 0, packed=way.packed)
        head = head_of(self._model, split=way.split)
        attention = PackedAttention(self._model).active()
        with attention if way.packed else nullcontext():
            return head.logits(hidden_states(self._model, batch, split=way.split))


def _hides_much(config: Any) -> bool:  # noqa: ANN401
    """Return whether a layer may do what two short sequences would not show.

    Llama 4's chunks of thousands of tokens stand in its mask alone, which packed
    attention does not read.
    """
    text = config.get_text_config()
    return not set(getattr(text, "layer_types", None) or ()) <= KEPT_APART


def _all_learned(ids: Sequence[int]) -> Encoded:
    """Return a sequence of which every token counts."""
    return Encoded(tuple(ids), (0.0, *[1.0] * (len(ids) - 1)))


def _differ(found: Tensor, expected: Tensor) -> float:
    """Return how far logits are apart, as a share of the largest."""
    largest = expected.abs().max().clamp_min(TINY)  # a head may begin as zero
    return float((found - expected).abs().max() / largest)
