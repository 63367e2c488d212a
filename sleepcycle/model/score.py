"""Scoring: the loss of whatever adapters are active, on examples never trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sleepcycle.model.base import Base
from sleepcycle.model.encode import Batch, Encoded, collate, pad_id


def token_losses(model: torch.nn.Module, batch: Batch) -> Tensor:
    """Return the loss of each token given those before it.

    Returns:
        Nats, (batch, seq - 1): the first token has none before it.
    """
    logits = model(input_ids=batch.ids, attention_mask=batch.mask).logits
    return functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), batch.ids[:, 1:], reduction="none"
    )


@torch.no_grad()
def nll(base: Base, examples: Sequence[Encoded], batch_size: int) -> tuple[float, int]:
    """Sum up the loss of the learned tokens of some examples.

    Examples of like length are scored together.

    Returns:
        Nats, and how many tokens they are of.
    """
    ordered = sorted(examples, key=lambda example: len(example.ids))
    nats, tokens = 0.0, 0
    for start in range(0, len(ordered), batch_size):
        batch = collate(ordered[start : start + batch_size], pad_id(base))
        learned = batch.weights[:, 1:].gt(0).to(base.device)
        losses = token_losses(base.model, batch.to(base.device))
        nats += float((losses * learned).double().sum())
        tokens += int(learned.sum())
    return nats, tokens
