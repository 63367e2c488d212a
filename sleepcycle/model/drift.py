"""Drift: how far adapters have moved what the bare base says, token by token."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sleepcycle.model.adapters import only_active
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.reading import Reader
from sleepcycle.model.score import by_length, ignore_batch


@torch.no_grad()
def drifts(
    base: Base,
    examples: Sequence[Encoded],
    sides: Sequence[Sequence[str]],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> tuple[list[float], int]:
    """Sum up KL(base ‖ side) over the learned tokens of some examples.

    It is exact, over the whole vocabulary, which is held for some tokens at a time.

    Args:
        base: The base; no adapter is active on it afterwards.
        examples: Those of like length are scored together.
        sides: Names of the attached adapters of each side; none for the bare base.
        on_batch: Called after each batch, since many take long.

    Returns:
        Nats of each side, and how many tokens they are of.
    """
    reader = Reader(base)
    sums, tokens = [0.0] * len(sides), 0
    for chosen in by_length(base, reader, examples):
        batch = reader.batch([examples[i] for i in chosen])
        with only_active(base, []), reader.apart():
            expected = reader.hidden(batch)
        for place, names in enumerate(sides):
            with only_active(base, names), reader.apart():
                found = reader.hidden(batch)
            for part in reader.head.slices(len(expected)):
                sums[place] += divergence(
                    reader.head.logits(expected[part]), reader.head.logits(found[part])
                )
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
    target = base.float().log_softmax(dim=1)
    each = functional.kl_div(
        side.float().log_softmax(dim=1), target, reduction="none", log_target=True
    )
    each = each.masked_fill(target.isneginf(), 0.0)  # 0 log 0 is 0, not NaN
    return float(each.sum(dim=1).cpu().double().sum())
