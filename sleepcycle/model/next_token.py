"""The next token of a row: how it is chosen, and what is told of it."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TokenChoice:
    """How one answer's tokens are chosen."""

    temperature: float = 0.0
    """0 takes the likeliest."""

    top_p: float = 1.0
    """Tokens are drawn from the likeliest that have so much of the probability."""

    seed: int = 0
    told: int | None = None
    """How many of the likeliest tokens are told of beside each chosen one; None tells
    of no probability."""


GREEDY_CHOICE = TokenChoice()


@dataclass(frozen=True, slots=True)
class ChosenToken:
    """One token of an answer."""

    id: int
    log_prob: float | None = None
    """Its log-probability by the model itself, before temperature and `top_p`."""

    likeliest: tuple[tuple[int, float], ...] = ()
    """The likeliest tokens there, each with its log-probability."""


class TokenPicker:
    """Chooses the tokens of one answer, one after the other.

    Draws hang on the seed and the place in the answer alone, so an answer is the same
    whatever is written beside it.
    """

    def __init__(self, choice: TokenChoice) -> None:
        self._choice = choice
        self._draws = torch.Generator().manual_seed(choice.seed)

    def pick(self, scores: Tensor) -> ChosenToken:
        """Return the next token.

        Args:
            scores: The model's logits there, (vocabulary,), in float32.
        """
        choice = self._choice
        drawn = choice.temperature > 0
        token = self._drawn(scores) if drawn else int(scores.argmax())
        if choice.told is None:
            return ChosenToken(token)
        logs = scores.log_softmax(dim=0)
        most = logs.topk(min(choice.told, len(logs)))
        likeliest = zip(most.indices.tolist(), most.values.tolist(), strict=True)
        return ChosenToken(token, float(logs[token]), tuple(likeliest))

    def _drawn(self, scores: Tensor) -> int:
        """Return a token that is drawn."""
        choice = self._choice
        draw = torch.rand((), generator=self._draws, dtype=torch.float64)
        shares = (scores.double() / choice.temperature).softmax(dim=0)
        shares, order = shares.sort(descending=True, stable=True)
        heights = shares.cumsum(dim=0)
        kept = 1 + int((heights < choice.top_p).sum())  # those that reach it, at least
        heights = heights[:kept]
        place = torch.searchsorted(heights, draw * heights[-1], right=True)
        return int(order[min(int(place), len(heights) - 1)])
