"""Answers and dreams: many at once, ending where the model ends them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from sleepcycle.errors import ModelError
from sleepcycle.model.base import Base
from sleepcycle.model.batching import by_length
from sleepcycle.model.encode import end_ids, pad_id
from sleepcycle.model.score import ignore_batch

BATCH_SIZE = 64  # prompts at once; changes speed and memory, and what is sampled


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float
    """0 takes the likeliest."""

    seed: int = 0

    @property
    def options(self) -> dict[str, Any]:
        """What transformers calls it; its own defaults, such as top-k, are off."""
        if self.temperature == 0:
            return {"do_sample": False}
        return {
            "do_sample": True,
            "temperature": self.temperature,
            "top_k": 0,
            "top_p": 1.0,
        }


GREEDY = Sampling(0)


@dataclass(frozen=True, slots=True)
class Generated:
    """What a model said after a prompt."""

    ids: tuple[int, ...]
    """Up to the token that ended it, which is not among them."""

    ended: bool
    """Whether it came to an end, and was not cut off."""

    confidence: float
    """Least probability, over its tokens and its end, of the likeliest token there, in
    [0, 1]; where the likeliest are taken, that of the least likely one said."""


@torch.no_grad()
def answer(
    base: Base,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[str]:
    """Answer prompts greedily with whatever adapters are active.

    Args:
        base: The base.
        prompts: What `render_prompt` returned, one or many.
        max_new_tokens: Longest answer.
        on_batch: Called after each batch, since many take long.

    Returns:
        One text a prompt, without special tokens.
    """
    said = generate(
        base, prompts, max_new_tokens=max_new_tokens, sampling=GREEDY, on_batch=on_batch
    )
    return [text_of(base, one) for one in said]


def text_of(base: Base, said: Generated) -> str:
    """Return what was said as text, without special tokens."""
    text: str = base.tokenizer.decode(said.ids, skip_special_tokens=True)
    return text


def fits(base: Base, prompt_tokens: int, max_new_tokens: int) -> bool:
    """Return whether a model has positions for a prompt and its longest answer."""
    return prompt_tokens + max_new_tokens <= base.positions


@torch.no_grad()
def generate(
    base: Base,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    sampling: Sampling,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[Generated]:
    """Continue prompts with whatever adapters are active; prompts may not be empty.

    The global generators are left as they were. `on_batch` is called after each batch,
    since many take long.

    Returns:
        One for each prompt.

    Raises:
        ModelError: A prompt with its answer has more tokens than the model has
            positions: there it fails, or says what it never learned to.
    """
    longest = max(map(len, prompts), default=0)
    if prompts and not fits(base, longest, max_new_tokens):
        raise ModelError(
            f"expected prompt and answer within the {base.positions} positions of "
            f"{base.identity.id}, got {longest} tokens and up to {max_new_tokens} new "
            "ones; shorten the prompt, or ask for fewer new tokens"
        )
    said: dict[int, Generated] = {}
    with torch.random.fork_rng():
        torch.manual_seed(sampling.seed)
        for chosen in by_length([len(prompt) for prompt in prompts], BATCH_SIZE):
            batch = [prompts[i] for i in chosen]
            said |= zip(
                chosen,
                _generate_batch(base, batch, max_new_tokens, sampling),
                strict=True,
            )
            on_batch()
    return [said[i] for i in range(len(prompts))]


def _generate_batch(
    base: Base,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling: Sampling,
) -> list[Generated]:
    """Continue one batch of prompts, padded at the left."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad_id(base))  # (batch, seq)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    ends = end_ids(base)
    likeliest = _Likeliest()
    output = base.model.generate(
        input_ids=ids.to(base.device),
        attention_mask=mask.to(base.device),
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(ends) or None,
        pad_token_id=pad_id(base),
        logits_processor=LogitsProcessorList([likeliest]),
        **sampling.options,
    )
    rows = output[:, longest:].tolist()
    shares = torch.stack(likeliest.shares, dim=1).tolist()  # (batch, steps)
    return [_until_end(*pair, ends) for pair in zip(rows, shares, strict=True)]


class _Likeliest(LogitsProcessor):  # type: ignore[misc]
    """Writes down the likeliest token's probability at each step; changes nothing."""

    def __init__(self) -> None:
        self.shares: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Look at one step's logits, (batch, vocabulary)."""
        self.shares.append(scores.float().softmax(dim=1).amax(dim=1).cpu())
        return scores


def _until_end(ids: list[int], shares: list[float], ends: set[int]) -> Generated:
    """Cut what was said where it ended."""
    for place, token in enumerate(ids):
        if token in ends:
            return Generated(tuple(ids[:place]), True, min(shares[: place + 1]))
    return Generated(tuple(ids), False, min(shares, default=1.0))
