"""Rows that are being written: all that one step of decoding reads and writes."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from sleepcycle.model.base import Base
from sleepcycle.model.encode import end_ids, pad_id
from sleepcycle.model.kv_cache import SlotCache

LEAST_SAVED = 64  # tokens that need not be read, for which one pass more pays
NONE_YET = 1  # tokens that follow are unmasked from the beginning; none sees ahead


@dataclass(frozen=True, eq=False)
class Choice:
    """How the next token is chosen."""

    temperature: float
    """0 takes the likeliest."""

    draws: Tensor
    """Numbers in [0, 1), (batch, new tokens): each row is drawn by its own, so what it
    says depends on no other row."""

    penalty: float
    """By which the model's own configuration makes tokens less likely that were there
    before, the prompt's included; 1 where it does not."""


@dataclass(frozen=True, slots=True)
class Written:
    """One row, as far as it was written."""

    ids: list[int]
    """All tokens, with what came behind the end."""

    shares: list[float]
    """The probability of the likeliest token at each."""


class Rows:
    """Rows that are written side by side, padded before what is theirs alone.

    A step works in place, on tensors whose shapes stay until rows are taken out.
    """

    def __init__(
        self, base: Base, prompts: Sequence[Sequence[int]], choice: Choice
    ) -> None:
        """Lay the prompts out.

        Args:
            base: The base, with what writes active.
            prompts: None of them empty.
            choice: How tokens are chosen; it bounds how many.
        """
        self._model = base.model
        self._choice = choice
        self._ends = torch.tensor(sorted(end_ids(base)), dtype=torch.long).to(
            base.device
        )
        self._longest = max(map(len, prompts))
        self.most = choice.draws.shape[1]
        """New tokens at most."""
        self.written = 0
        """Tokens that each row has."""
        self.places = list(range(len(prompts)))
        """Which prompt each row goes on from."""
        room = self._longest + self.most
        config = base.model.config.get_text_config()
        self.cache = SlotCache(config.num_hidden_layers, room)
        self._shared = _shared(prompts, room, config)
        self._state = _begun(base, prompts, self._shared, choice)

    def begin(self) -> None:
        """Read the prompts, and write the first token of each row.

        What all begin with, such as a template's system turn, is read once.
        """
        mask = self._state["mask"][:, : self._longest]
        positions = (mask.cumsum(dim=1) - 1).clamp_min(0)
        prompts, shared = self._state.pop("prompts"), self._shared
        if shared:
            first = slice(1), slice(shared)
            self._logits(prompts[first], positions[first], mask[first])
            self.cache.spread(len(self.places))
        self._choose(self._logits(prompts[:, shared:], positions[:, shared:], mask))
        self.written = 1

    def advance(self) -> None:
        """Write one token more in each row; nothing is read back from the device."""
        state, slot = self._state, self.cache.slot
        mask = state["mask"]
        if slot is None:
            mask = mask[:, : self._filled + 1]
        logits = self._logits(state["token"], state["position"], mask)
        if slot is not None:
            slot.add_(1)
        self._choose(logits)

    def count(self) -> None:
        """Count the token that a step has written."""
        self.written += 1

    def fix(self) -> None:
        """Let a step have the same shapes as the next; it is slower but on a GPU."""
        self.cache.fix()

    def grow(self) -> None:
        """Let a step see what is filled alone, as from the beginning."""
        self.cache.grow(self._filled)

    def saved(self) -> dict[str, Tensor]:
        """Return copies of all that a step changes, but for the cache."""
        return {name: value.clone() for name, value in self._changing().items()}

    def restore(self, saved: Mapping[str, Tensor]) -> None:
        """Put back what `saved` returned: the steps since then were none."""
        for name, value in self._changing().items():
            value.copy_(saved[name])

    def going(self) -> int:
        """Return how many rows have not ended."""
        return len(self.places) - int(self._state["ended"].sum())

    def take_ended(self) -> dict[int, Written]:
        """Take out the rows that have ended, and return them by their places."""
        ended = self._state["ended"].tolist()
        taken = self._take([row for row, over in enumerate(ended) if over])
        stay = [row for row, over in enumerate(ended) if not over]
        kept = torch.tensor(stay, device=self._ends.device)
        self.cache.keep(kept)
        at = self._state["at"]
        self._state = {name: value[kept] for name, value in self._state.items()
                       if name != "at"} | {"at": at}  # fmt: skip
        self.places = [self.places[row] for row in stay]
        return taken

    def take_all(self) -> dict[int, Written]:
        """Return all rows by their places."""
        return self._take(range(len(self.places)))

    @property
    def _filled(self) -> int:
        """How many tokens of a row the cache holds: all but the last."""
        return self._longest + self.written - 1

    def _changing(self) -> dict[str, Tensor]:
        """Return the tensors that a step writes to."""
        fixed = {"mask", "draws"}
        found = {k: v for k, v in self._state.items() if k not in fixed}
        slot = self.cache.slot
        return found if slot is None else found | {"slot": slot}

    def _take(self, rows: Sequence[int]) -> dict[int, Written]:
        """Return some rows by their places."""
        said = self._state["said"][:, : self.written].tolist()
        shares = self._state["shares"][:, : self.written].tolist()
        return {self.places[row]: Written(said[row], shares[row]) for row in rows}

    def _logits(self, ids: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """Return the logits behind the last of these tokens, (batch, vocabulary)."""
        options: dict[str, Any] = {"position_ids": positions, "logits_to_keep": 1}
        known = inspect.signature(self._model.forward).parameters
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=self.cache,
            use_cache=True,
            **{name: value for name, value in options.items() if name in known},
        )
        logits: Tensor = output.logits[:, -1].float()
        return logits

    def _choose(self, scores: Tensor) -> None:
        """Write the next token of each row, and how likely the likeliest was."""
        state = self._state
        if "seen" in state:
            penalised = torch.where(scores < 0, scores * self._choice.penalty,
                                    scores / self._choice.penalty)  # fmt: skip
            scores = torch.where(state["seen"], penalised, scores)
        share, likeliest = scores.softmax(dim=1).max(dim=1, keepdim=True)
        token = self._drawn(scores) if self._choice.temperature else likeliest
        state["said"].index_copy_(1, state["at"], token)
        state["shares"].index_copy_(1, state["at"], share)
        state["ended"].logical_or_((token == self._ends).any(dim=1))
        state["token"].copy_(token)
        state["position"].add_(1)
        state["at"].add_(1)
        if "seen" in state:
            state["seen"].scatter_(1, token, value=True)

    def _drawn(self, scores: Tensor) -> Tensor:
        """Draw a token of each row by its own number, (batch, 1)."""
        state = self._state
        heights = (scores / self._choice.temperature).softmax(dim=1).cumsum(dim=1)
        draw = state["draws"].index_select(1, state["at"]) * heights[:, -1:]
        found = torch.searchsorted(heights, draw, right=True)
        return found.clamp_max(scores.shape[1] - 1)


def _shared(prompts: Sequence[Sequence[int]], room: int, config: Any) -> int:  # noqa: ANN401
    """Return how many tokens are read once: all prompts begin with them, none ends.

    Padding stands behind them. It counts in a window, so windows must see all of a row.
    """
    window = getattr(config, "sliding_window", None)
    if len(prompts) == 1 or (window is not None and window < room):
        return 0
    columns = zip(*(prompt[:-1] for prompt in prompts), strict=False)
    alike = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    return alike if alike * (len(prompts) - 1) >= LEAST_SAVED else 0


def _begun(
    base: Base, prompts: Sequence[Sequence[int]], shared: int, choice: Choice
) -> dict[str, Tensor]:
    """Return the tensors of rows of which nothing is written yet."""
    rows, most = choice.draws.shape
    longest = max(map(len, prompts))
    ids = torch.full((rows, longest), pad_id(base))
    mask = torch.full((rows, longest + most), NONE_YET)
    for row, prompt in enumerate(prompts):
        begin = longest - len(prompt) + shared
        ids[row, :shared] = torch.tensor(prompt[:shared])
        ids[row, begin:] = torch.tensor(prompt[shared:])
        mask[row, shared:begin] = 0
    state = {
        "prompts": ids,
        "mask": mask,
        "draws": choice.draws,
        "token": torch.zeros((rows, 1), dtype=torch.long),
        "position": torch.tensor([[len(prompt) - 1] for prompt in prompts]),
        "said": torch.zeros((rows, most), dtype=torch.long),
        "shares": torch.zeros((rows, most)),
        "ended": torch.zeros(rows, dtype=torch.bool),
        "at": torch.zeros(1, dtype=torch.long),
    }
    if choice.penalty != 1:
        seen = torch.zeros((rows, base.model.config.get_text_config().vocab_size))
        for row, prompt in enumerate(prompts):
            seen[row, list(prompt)] = 1
        state["seen"] = seen.bool()
    return {name: value.to(base.device) for name, value in state.items()}
