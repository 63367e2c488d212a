"""Answers and dreams: many at once, ending where the model ends them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sleepcycle.errors import ModelError
from sleepcycle.model.base import Base
from sleepcycle.model.decode import decode
from sleepcycle.model.encode import end_ids
from sleepcycle.model.merged import merged
from sleepcycle.model.out_of_memory import BatchItem, in_parts_that_fit
from sleepcycle.model.plain_generate import is_decoded, plain_generate
from sleepcycle.model.row_batches import by_memory
from sleepcycle.model.row_state import Choice
from sleepcycle.model.score import ignore_batch

WRITTEN = BatchItem("answer", "ask for fewer new tokens, or free some memory")


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    temperature: float
    """0 takes the likeliest."""

    seed: int = 0


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


def text_of(base: Base, said: Generated, after: Sequence[int] = ()) -> str:
    """Return what it goes on from and what was said as text, no special tokens."""
    ids = [*after, *said.ids]
    text: str = base.tokenizer.decode(ids, skip_special_tokens=True)
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

    What is active is merged into the weights meanwhile (`merged`), and as many are
    written at once as memory has room for. The global generators are left as they were.
    `on_batch` is called after each batch, since many take long.

    Returns:
        One for each prompt.

    Raises:
        ModelError: A prompt with its answer has more tokens than the model has
            positions: there it fails, or says what it never learned to. Or memory
            has no room for one alone.
    """
    longest = max(map(len, prompts), default=0)
    if prompts and not fits(base, longest, max_new_tokens):
        raise ModelError(
            f"expected prompt and answer within the {base.positions} positions of "
            f"{base.identity.id}, got {longest} tokens and up to {max_new_tokens} new "
            "ones; shorten the prompt, or ask for fewer new tokens"
        )
    draws = _draws(len(prompts), max_new_tokens, sampling)
    said: dict[int, Generated] = {}
    batches = by_memory(base, [len(one) for one in prompts], max_new_tokens)

    def write(chosen: Sequence[int]) -> list[Generated]:
        return _write(base, [prompts[i] for i in chosen], draws[chosen], sampling)

    with merged(base, len(prompts)):
        for chosen, written in in_parts_that_fit(batches, write, WRITTEN):
            said |= zip(chosen, written, strict=True)
            on_batch()
    return [said[i] for i in range(len(prompts))]


def _draws(rows: int, steps: int, sampling: Sampling) -> Tensor:
    """Return the numbers that tokens are drawn by, (rows, steps).

    A row's are the same whatever rows there are besides.
    """
    generator = torch.Generator().manual_seed(sampling.seed)
    return torch.rand((rows, steps), generator=generator)


def _write(
    base: Base, prompts: Sequence[Sequence[int]], draws: Tensor, sampling: Sampling
) -> list[Generated]:
    """Continue one batch of prompts."""
    penalty = getattr(base.model.generation_config, "repetition_penalty", None) or 1.0
    choice = Choice(sampling.temperature, draws, penalty)
    if is_decoded(base, max(map(len, prompts)) + draws.shape[1]):
        written = decode(base, prompts, choice)
    else:
        written = plain_generate(base, prompts, choice, sampling.seed)
    ends = end_ids(base)
    return [_until_end(one.ids, one.shares, ends) for one in written]


def _until_end(ids: list[int], shares: list[float], ends: set[int]) -> Generated:
    """Cut what was said where it ended."""
    for place, token in enumerate(ids):
        if token in ends:
            return Generated(tuple(ids[:place]), True, min(shares[: place + 1]))
    return Generated(tuple(ids), False, min(shares, default=1.0))
