"""Answers: greedy, many at once, ending where the model ends them."""

from collections.abc import Sequence

import torch

from sleepcycle.model.base import Base
from sleepcycle.model.encode import end_ids, pad_id

BATCH_SIZE = 64  # prompts at once; changes speed and memory alone


@torch.no_grad()
def answer(
    base: Base, prompts: Sequence[Sequence[int]], *, max_new_tokens: int
) -> list[str]:
    """Answer prompts with whatever adapters are active.

    Args:
        base: The base.
        prompts: What `render_prompt` returned, one or many.
        max_new_tokens: Longest answer.

    Returns:
        One text a prompt, without special tokens.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers = [""] * len(prompts)
    for start in range(0, len(order), BATCH_SIZE):
        chosen = order[start : start + BATCH_SIZE]
        said = _answer_batch(base, [prompts[i] for i in chosen], max_new_tokens)
        for i, text in zip(chosen, said, strict=True):
            answers[i] = text
    return answers


def _answer_batch(
    base: Base, prompts: Sequence[Sequence[int]], max_new_tokens: int
) -> list[str]:
    """Answer one batch of prompts, padded at the left."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad_id(base))  # (batch, seq)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    output = base.model.generate(
        input_ids=ids.to(base.device),
        attention_mask=mask.to(base.device),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=sorted(end_ids(base)) or None,
        pad_token_id=pad_id(base),
    )
    return list(
        base.tokenizer.batch_decode(output[:, longest:], skip_special_tokens=True)
    )
