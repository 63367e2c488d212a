"""Drift: how far adapters have moved what the bare base says, token by token."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sleepcycle.model.adapters import only_active
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.reading import Reader
from sleepcycle.model.score import ignore_batch, read_in_parts
from sleepcycle.model.token_batch import TokenBatch


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

    def apart(rows: Sequence[Encoded]) -> list[float]:
        batch = reader.batch(rows)
        with only_active(base, []), reader.apart():
            expected = reader.hidden(batch)
        return [_far(base, reader, batch, expected, names) for names in sides]

    for chosen, found in read_in_parts(base, reader, examples, apart):
        sums = [whole + part for whole, part in zip(sums, found, strict=True)]
        tokens += sum(examples[i].learned for i in chosen)
        on_batch()
    return sums, tokens


def _far(
    base: Base,
    reader: Reader,
    batch: TokenBatch,
    expected: Tensor,
    names: Sequence[str],
) -> float:
    """Return how far adapters are from what is expected on a batch, in nats.

    Args:
        base: The base.
        reader: Reads with it.
        batch: What is read.
        expected: What `Reader.hidden` returned for the bare base.
        names: Of the attached adapters.
    """
    with only_active(base, names), reader.apart():
        found = reader.hidden(batch)
    head = reader.head
    return sum(
        divergence(head.logits(expected[part]), head.logits(found[part]))
        for part in head.slices(len(expected))
    )


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
