"""How a model is read, as is tried on it once: packed or in rows, head apart or not."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from sleepcycle.model.packed_attention import packed_attention
from sleepcycle.model.token_batch import LearnedTokens, TokenBatch, token_batch, within

PROBE = (6, 5)  # tokens of the two sequences by which a model is tried
SAME = (1e-4, 3e-2)  # of the largest logit: two ways to it, in float32 and below
LEAK = (2e-6, 0.0)  # the same, where only experts' sums may come in another order
CANNOT = (ValueError, TypeError, RuntimeError, LookupError, AttributeError)
"""What models raise at arguments that they do not know."""

KEPT_APART = {"full_attention", "sliding_attention"}
"""Layers that packed attention knows how to do, by the names of transformers."""


@dataclass(frozen=True)
class ReadingWay:
    """How a model is read."""

    packed: bool
    """Whether it keeps sequences apart that lie one behind the other."""

    split: bool
    """Whether its logits are what its head makes of its body's last hidden states."""


class Reader:
    """Reads examples with whatever adapters are active, as the model allows best."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._pad = pad_id(base)
        self._how = _reading_of(base.model, self._pad)
        self.head: Head = head_of(base.model, split=self._how.split)

    @property
    def has_fixed_shapes(self) -> bool:
        """Whether batches can be padded to a fixed shape, as CUDA graphs need it."""
        half = self.head.dtype != torch.float32
        return self._how.packed and self._base.device.type == "cuda" and half

    def within(self, lengths: Sequence[int], most: int) -> Iterator[slice]:
        """Yield slices of sequences of which at most so many tokens pass at once."""
        return within(lengths, most, packed=self._how.packed)

    def batch(self, examples: Sequence[Encoded]) -> TokenBatch:
        """Put examples into a batch, on the model's device."""
        batch = token_batch(examples, self._pad, packed=self._how.packed)
        return batch.to(self._base.device)

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Keep sequences apart while the model is run, forward and backward."""
        if not self._how.packed:
            yield
            return
        with packed_attention(self._base.model):
            yield

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


def _reading_of(model: nn.Module, pad: int) -> ReadingWay:
    """Return how a model is read, which is tried the first time."""
    found = _KNOWN.get(model)
    if found is None:
        trains = model.training
        model.eval()
        try:
            found = _KNOWN[model] = _Trial(model, pad).reading()
        finally:
            model.train(trains)
    return found


class _Trial:
    """Two short sequences, read in every way."""

    def __init__(self, model: nn.Module, pad: int) -> None:
        self._model = model
        self._pad = pad
        self._device = next(model.parameters()).device
        vocabulary = model.get_input_embeddings().weight.shape[0]  # type: ignore[operator]
        first, other, second = (
            tuple((7 * place + row) % vocabulary for place in range(size))
            for row, size in ((1, PROBE[0]), (2, PROBE[0]), (3, PROBE[1]))
        )
        self._pairs = [_all_learned(first), _all_learned(second)]
        self._changed = [_all_learned(other), _all_learned(second)]

    @torch.no_grad()
    def reading(self) -> ReadingWay:
        """Return the best way that gives what the model itself says."""
        own = torch.cat(
            [self._logits([one], ReadingWay(False, False)) for one in self._pairs]
        )
        split = self._same(own, ReadingWay(packed=False, split=True))
        packed = _may_be_packed(self._model) and self._same(
            own, ReadingWay(packed=True, split=split)
        )
        if not packed:
            logger.debug(
                "sequences are padded: this model does not keep packed ones apart"
            )
        return ReadingWay(packed, split)

    def _same(self, own: Tensor, how: ReadingWay) -> bool:
        """Return whether a way gives the model's own logits, and nothing is mixed."""
        last = PROBE[1] - 1
        try:
            found = self._logits(self._pairs, how)
            changed = self._logits(self._changed, how)
        except CANNOT:
            return False
        return _close(found[-last:], changed[-last:], LEAK) and _close(found, own, SAME)

    def _logits(self, examples: Sequence[Encoded], how: ReadingWay) -> Tensor:
        """Return the logits before each token but the first, (tokens, vocabulary)."""
        batch = token_batch(examples, self._pad, packed=how.packed).to(self._device)
        head = head_of(self._model, split=how.split)
        if not how.packed:
            return head.logits(hidden_states(self._model, batch, split=how.split))
        with packed_attention(self._model):
            return head.logits(hidden_states(self._model, batch, split=how.split))


def _may_be_packed(model: nn.Module) -> bool:
    """Return whether no layer does what two short sequences would not show.

    Llama 4's chunks of thousands of tokens stand in its mask alone, which packed
    attention does not read.
    """
    config = model.config.get_text_config()  # type: ignore[operator, union-attr]
    return set(getattr(config, "layer_types", None) or ()) <= KEPT_APART


def _all_learned(ids: tuple[int, ...]) -> Encoded:
    """Return a sequence of which every token counts."""
    return Encoded(ids, (0.0, *[1.0] * (len(ids) - 1)))


def _close(found: Tensor, expected: Tensor, bounds: tuple[float, float]) -> bool:
    """Return whether logits are the same within a bound, by their type."""
    near = bounds[expected.dtype != torch.float32]
    apart = (found.float() - expected.float()).abs().max()
    return bool(apart <= near * expected.float().abs().max())
