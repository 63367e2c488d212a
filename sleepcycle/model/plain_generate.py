"""Transformers' own `generate`, for the few models that `decode` cannot write with."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from sleepcycle.model.base import Base
from sleepcycle.model.encode import end_ids, pad_id
from sleepcycle.model.row_state import Choice, Written

DECODED = {"full_attention", "sliding_attention"}
"""Kinds of layers of which `SlotCache` keeps keys and values."""

RULES = (
    "no_repeat_ngram_size",
    "bad_words_ids",
    "sequence_bias",
    "suppress_tokens",
    "begin_suppress_tokens",
    "min_length",
    "min_new_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "exponential_decay_length_penalty",
)
"""What a model's generation configuration may ask for and `decode` does not know."""


def is_decoded(base: Base, tokens: int) -> bool:
    """Return whether `decode` writes what `generate` does, in rows of so many tokens.

    It does not where layers keep something else than keys and values of their own, such
    as a recurrent state; where a model changes its positions on the way; and where its
    generation configuration has rules of its own.
    """
    model = base.model
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or DECODED)
    bound = getattr(config, "original_max_position_embeddings", None) or tokens
    return (
        kinds <= DECODED
        and tokens <= bound
        and bool(getattr(model, "_can_compile_fullgraph", False))
        and not getattr(model, "_is_stateful", False)
        and not getattr(config, "num_kv_shared_layers", 0)
        and not any(getattr(model.generation_config, rule, None) for rule in RULES)
    )


def plain_generate(
    base: Base, prompts: Sequence[Sequence[int]], choice: Choice, seed: int
) -> list[Written]:
    """Write rows side by side with whatever is active, until all have ended.

    Tokens are drawn with torch's own generator, so that a row depends on the others.
    """
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad_id(base))  # (batch, seq)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    likeliest = _Likeliest()
    devices = [base.device] if base.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        output = base.model.generate(
            input_ids=ids.to(base.device),
            attention_mask=mask.to(base.device),
            max_new_tokens=choice.draws.shape[1],
            eos_token_id=sorted(end_ids(base)) or None,
            pad_token_id=pad_id(base),
            logits_processor=LogitsProcessorList([likeliest]),
            **_options(choice.temperature),
        )
    rows = output[:, longest:].tolist()
    shares = torch.stack(likeliest.shares, dim=1).tolist()  # (batch, steps)
    return [Written(*pair) for pair in zip(rows, shares, strict=True)]


def _options(temperature: float) -> dict[str, Any]:
    """Return what transformers calls it; its own defaults, such as top-k, are off."""
    if temperature == 0:
        return {"do_sample": False}
    return {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}


class _Likeliest(LogitsProcessor):  # type: ignore[misc]
    """Writes down the likeliest token's probability at each step; changes nothing."""

    def __init__(self) -> None:
        self.shares: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Look at one step's logits, (batch, vocabulary)."""
        self.shares.append(scores.float().softmax(dim=1).amax(dim=1).cpu())
        return scores
