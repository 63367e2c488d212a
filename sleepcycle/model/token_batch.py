"""Some examples as a model reads them at once, and the tokens that are learned of them.

Sequences lie one behind the other where a model keeps them apart, which wastes nothing;
else side by side, padded at the right.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from typing import Any, Self

import torch
from torch import Tensor

from sleepcycle.model.encode import Encoded
from sleepcycle.model.packed_attention import sequences


@dataclass(frozen=True, eq=False)
class LearnedTokens:
    """The learned tokens of some examples, one example's after the other's."""

    targets: Tensor  # (learned,) int64
    weights: Tensor  # (learned,) float32

    def __getitem__(self, chosen: slice) -> Self:
        """Return some of them."""
        return replace(self, **{k: v[chosen] for k, v in vars(self).items()})

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> Self:
        """Return them on a device."""
        moved = {k: v.to(device, non_blocking=True) for k, v in vars(self).items()}
        return replace(self, **moved)

    def pin_memory(self) -> Self:
        """Return them where a GPU can copy from while other work goes on."""
        return replace(self, **{k: v.pin_memory() for k, v in vars(self).items()})


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """What a model reads at once."""

    inputs: dict[str, Any]
    places: Tensor
    """Where the tokens stand that are before learned ones, (learned,) int64."""

    packed: bool
    """Whether sequences lie one behind the other."""

    def to(self, device: torch.device) -> "TokenBatch":
        """Return it on a device."""
        moved = {k: v.to(device, non_blocking=True) for k, v in self.inputs.items()}
        places = self.places.to(device, non_blocking=True)
        return TokenBatch(moved, places, self.packed)

    def pin_memory(self) -> "TokenBatch":
        """Return it where a GPU can copy from while other work goes on."""
        pinned = {name: one.pin_memory() for name, one in self.inputs.items()}
        return TokenBatch(pinned, self.places.pin_memory(), self.packed)


Gather = Callable[[Sequence[Any]], Any]
"""Makes `LearnedTokens` of examples."""


def learned_tokens(examples: Sequence[Encoded]) -> LearnedTokens:
    """Return the tokens of examples that have weight."""
    pairs = [
        pair
        for example in examples
        for pair in zip(example.ids[1:], example.weights[1:], strict=True)
        if pair[1] > 0
    ]
    return LearnedTokens(
        targets=torch.tensor([token for token, _ in pairs], dtype=torch.long),
        weights=torch.tensor([weight for _, weight in pairs], dtype=torch.float32),
    )


def token_batch(examples: Sequence[Encoded], pad: int, *, packed: bool) -> TokenBatch:
    """Put examples into one batch, none of which sees another.

    From an example's last learned token on it is left out: nothing learned hangs on it.
    """
    before = [
        [place for place, weight in enumerate(example.weights[1:]) if weight > 0]
        for example in examples
    ]
    rows = [example.ids[: example.read] for example in examples]
    if packed:
        return _one_behind_the_other(rows, before)
    return _side_by_side(rows, before, pad)


def within(lengths: Sequence[int], most: int, *, packed: bool) -> Iterator[slice]:
    """Yield slices of sequences of which no more than `most` tokens pass at once.

    Padding counts where they are not packed; one that is longer comes alone.
    """
    first = whole = longest = 0
    for place, length in enumerate(lengths):
        whole, longest = whole + length, max(longest, length)
        count = place + 1 - first
        if count > 1 and (whole if packed else longest * count) > most:
            yield slice(first, place)
            first, whole, longest = place, length, length
    if first < len(lengths):
        yield slice(first, len(lengths))


def _one_behind_the_other(
    rows: Sequence[Sequence[int]], before: Sequence[Sequence[int]]
) -> TokenBatch:
    """Pack sequences, each with positions of its own."""
    lengths = [len(row) for row in rows]
    starts = accumulate(lengths, initial=0)
    places = [
        start + place
        for start, each in zip(starts, before, strict=False)
        for place in each
    ]
    positions = chain.from_iterable(range(length) for length in lengths)
    inputs = {
        "input_ids": torch.tensor([list(chain.from_iterable(rows))]),
        "position_ids": torch.tensor([list(positions)]),
        "packed": sequences(lengths),
    }
    return TokenBatch(inputs, torch.tensor(places, dtype=torch.long), packed=True)


def _side_by_side(
    rows: Sequence[Sequence[int]], before: Sequence[Sequence[int]], pad: int
) -> TokenBatch:
    """Put sequences into rows; padding is masked."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad] * (longest - len(row))] for row in rows])
    lengths = torch.tensor([[len(row)] for row in rows])
    places = [
        row * longest + place for row, each in enumerate(before) for place in each
    ]
    inputs = {
        "input_ids": ids,
        "attention_mask": (torch.arange(longest)[None] < lengths).long(),
    }
    return TokenBatch(inputs, torch.tensor(places, dtype=torch.long), packed=False)
