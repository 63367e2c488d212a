"""Drift: how far adapters have moved what the bare base says, token by token."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sleepcycle.model.adapters import only_active
from sleepcycle.model.base import Base
from sleepcycle.model.batching import by_length
from sleepcycle.model.encode import Encoded, PaddedBatch, collate, pad_id
from sleepcycle.model.score import ignore_batch

BATCH_SIZE = 8  # examples; two sets of scores of the whole vocabulary are held at once
SLICE = 256  # tokens whose scores are compared at once, in float32


@torch.no_grad()
def drifts(
    base: Base,
    examples: Sequence[Encoded],
    sides: Sequence[Sequence[str]],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> tuple[list[float], int]:
    """Sum up KL(base ‖ side) over the learned tokens of some examples.

    It is exact, over the whole vocabulary, which is held for one batch at a time.

    Args:
        base: The base; no adapter is active on it afterwards.
        examples: Those of like length are scored together.
        sides: Names of the attached adapters of each side; none for the bare base.
        on_batch: Called after each batch, since many take long.

    Returns:
        Nats of each side, and how many tokens they are of.
    """
    sums, tokens = [0.0] * len(sides), 0
    for chosen in by_length([len(example.ids) for example in examples], BATCH_SIZE):
        batch = collate([examples[i] for i in chosen], pad_id(base)).to(base.device)
        with only_active(base, []):
            expected = _scores(base, batch)
        for place, names in enumerate(sides):
            with only_active(base, names):
                found = _scores(base, batch)
            sums[place] += divergence(expected, found)
        tokens += len(expected)
        on_batch()
    return sums, tokens


def divergence(base: Tensor, side: Tensor) -> float:
    """Return KL(base ‖ side), in nats, summed over all tokens.

    What the base never says (-inf, as the padding of some vocabularies) adds nothing.

    Args:
        base: Scores before the softmax, (tokens, vocabulary).
        side: The same, of what is compared.
    """
    nats = 0.0
    for expected, found in zip(
        torch.split(base, SLICE), torch.split(side, SLICE), strict=True
    ):
        target = expected.float().log_softmax(dim=1)
        each = functional.kl_div(
            found.float().log_softmax(dim=1), target, reduction="none", log_target=True
        )
        each = each.masked_fill(target.isneginf(), 0.0)  # 0 log 0 is 0, not NaN
        nats += float(each.sum(dim=1).double().sum())
    return nats


def _scores(base: Base, batch: PaddedBatch) -> Tensor:
    """Return how what is active scores each learned token, (tokens, vocabulary)."""
    logits: Tensor = base.model(input_ids=batch.ids, attention_mask=batch.mask).logits
    return logits[:, :-1][batch.weights[:, 1:] > 0]
