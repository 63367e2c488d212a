"""Transformers' own `generate`, for the few models that `decode` cannot write with."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import LogitsProcessor, LogitsProcessorList

from sleepcycle.model.base import Base
from sleepcycle.model.encode import end_ids, pad_id
from sleepcycle.model.row_state import Choice, Written
from sleepcycle.model.seeded import seeded

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

PROBE = (3, 5, 4)  # a prompt that is tried alone, and beside a longer one
LONGER = (4, 3, 5, 3, 4)
SAME = {torch.float32: 1e-3}  # of the largest logit: what a row beside it may change
SAME_IN_HALF = (
    0.1  # sums come in another order; rows that mix change about as much as 1
)

_KNOWN: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


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
    Where a model mixes rows they are written one after the other.
    """
    apart = len(prompts) == 1 or keeps_rows_apart(base)
    parts = [prompts] if apart else [[prompt] for prompt in prompts]
    with seeded(seed, base.device):
        written = [_side_by_side(base, part, choice) for part in parts]
    return [row for part in written for row in part]


def keeps_rows_apart(base: Base) -> bool:
    """Return whether a row says the same beside a longer one, as is tried once.

    The states of RWKV and xLSTM are also of the padding before a prompt, and of RWKV
    those of all rows come together in each.
    """
    found = _KNOWN.get(base.model)
    if found is None:
        alone, beside = _logits(base, [PROBE]), _logits(base, [PROBE, LONGER])
        change = (beside - alone).abs().max() / alone.abs().max()
        found = bool(change <= SAME.get(base.model.dtype, SAME_IN_HALF))
        _KNOWN[base.model] = found
    return found


@torch.no_grad()
def _logits(base: Base, prompts: Sequence[Sequence[int]]) -> Tensor:
    """Return the logits of two tokens after the first of prompts, (2, vocabulary)."""
    output = base.model.generate(
        **_padded(base, prompts),
        max_new_tokens=2,
        do_sample=False,
        eos_token_id=None,
        pad_token_id=pad_id(base),
        output_logits=True,
        return_dict_in_generate=True,
    )
    return torch.stack([logits[0] for logits in output.logits]).float()


def _side_by_side(
    base: Base, prompts: Sequence[Sequence[int]], choice: Choice
) -> list[Written]:
    """Write rows in one batch."""
    likeliest = _Likeliest()
    inputs = _padded(base, prompts)
    output = base.model.generate(
        **inputs,
        max_new_tokens=choice.draws.shape[1],
        eos_token_id=sorted(end_ids(base)) or None,
        pad_token_id=pad_id(base),
        logits_processor=LogitsProcessorList([likeliest]),
        **_options(choice.temperature),
    )
    rows = output[:, inputs["input_ids"].shape[1] :].tolist()
    shares = torch.stack(likeliest.shares, dim=1).tolist()  # (batch, steps)
    return [Written(*pair) for pair in zip(rows, shares, strict=True)]


def _padded(base: Base, prompts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
    """Return prompts as a model reads them, the shorter ones padded at their left."""
    longest = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), longest), pad_id(base))  # (batch, seq)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    return {
        "input_ids": ids.to(base.device),
        "attention_mask": mask.to(base.device),
    }


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
