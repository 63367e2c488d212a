"""Scoring: the loss of whatever adapters are active, on examples never trained on."""

import math
from collections.abc import Callable, Sequence
from itertools import chain

import torch
from torch import Tensor
from torch.nn import functional

from sleepcycle.model.adapters import only_active
from sleepcycle.model.base import Base
from sleepcycle.model.batching import by_length
from sleepcycle.model.encode import (
    Encoded,
    PaddedBatch,
    collate,
    encode_all,
    encode_if_possible,
    pad_id,
)
from sleepcycle.numerics.distill import TopScores, top_scores
from sleepcycle.records.content import Content
from sleepcycle.records.example import Example
from sleepcycle.records.progress import HEARTBEAT, OnProgress
from sleepcycle.records.verdict import Loss

BATCH_SIZE = 32  # examples scored at once; changes speed and memory, not results


def ignore_batch() -> None:
    """Take the end of a batch, and do nothing."""


def token_losses(model: torch.nn.Module, batch: PaddedBatch) -> Tensor:
    """Return the loss of each token given those before it.

    Returns:
        Nats, (batch, seq - 1): the first token has none before it.
    """
    logits = model(input_ids=batch.ids, attention_mask=batch.mask).logits
    return functional.cross_entropy(
        logits[:, :-1].float().transpose(1, 2), batch.ids[:, 1:], reduction="none"
    )


@torch.no_grad()
def nll(
    base: Base,
    examples: Sequence[Encoded],
    batch_size: int,
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> tuple[float, int]:
    """Sum up the loss of the learned tokens of some examples.

    Args:
        base: The base with what is scored active.
        examples: Those of like length are scored together.
        batch_size: Examples at once; changes speed and memory alone.
        on_batch: Called after each batch, since many take long.

    Returns:
        Nats, and how many tokens they are of.
    """
    nats = each_nll(base, examples, batch_size, on_batch=on_batch)
    return math.fsum(nats), sum(example.learned for example in examples)


def compare(
    base: Base,
    encoded: Sequence[Encoded],
    live: Sequence[str],
    candidate: Sequence[str],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> Loss | None:
    """Score two sets of attached adapters on the same examples, by their loss.

    Args:
        base: The base; no adapter is active on it afterwards.
        encoded: What is scored.
        live: Names of the adapters of one side; none for the bare base.
        candidate: Those of the other side.
        on_batch: Called after each batch.

    Returns:
        Both losses, or None where no token counts.
    """
    losses, tokens = [], 0
    for names in (live, candidate):
        with only_active(base, names):
            nats, tokens = nll(base, encoded, BATCH_SIZE, on_batch=on_batch)
        if tokens == 0:
            return None
        losses.append(nats / tokens)
    return Loss(losses[0], losses[1], len(encoded), tokens)


def encode_held_out(base: Base, examples: Sequence[Example]) -> list[Encoded]:
    """Encode examples as they are measured: by what the model shall say alone."""
    return encode_contents(base, [example.content for example in examples])


def encode_counted(
    base: Base, examples: Sequence[Example]
) -> tuple[list[Encoded], int]:
    """Encode examples as `encode_held_out`, and count those that are left out."""
    parts = [encode_if_possible(one.content, base, 0) for one in examples]
    return list(chain.from_iterable(parts)), sum(not part for part in parts)


def encode_contents(base: Base, contents: Sequence[Content]) -> list[Encoded]:
    """Encode contents as held-out examples are: prompts have no weight.

    What the base cannot learn is left out.
    """
    return encode_all(contents, base, prompt_weight=0)


def held_out_loss(
    base: Base, parts: Sequence[Sequence[Encoded]], on_progress: OnProgress
) -> Callable[[], float] | None:
    """Return what measures the loss of whatever is active, the mean over parts.

    Parts that hold nothing to learn are left out; None where that is all of them.
    The loss is in nats per token.
    """
    present = [part for part in parts if any(example.learned for example in part)]
    if not present:
        return None

    def measure() -> float:
        """Return nats per token."""
        sums = [
            nll(base, part, BATCH_SIZE, on_batch=lambda: on_progress(HEARTBEAT))
            for part in present
        ]
        return sum(nats / tokens for nats, tokens in sums) / len(sums)

    return measure


@torch.no_grad()
def teach(
    base: Base,
    examples: Sequence[Encoded],
    k: int,
    batch_size: int,
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[TopScores]:
    """Return the likeliest tokens of the active adapters at each learned token.

    Args:
        base: The base with the teacher active.
        examples: What is taught.
        k: How many of the likeliest tokens are kept.
        batch_size: Examples at once; changes speed and memory alone.
        on_batch: Called after each batch.

    Returns:
        Scores of each example's learned tokens, in order, on the CPU.
    """
    scores: dict[int, TopScores] = {}
    for chosen in by_length([len(example.ids) for example in examples], batch_size):
        batch = collate([examples[i] for i in chosen], pad_id(base)).to(base.device)
        logits = base.model(input_ids=batch.ids, attention_mask=batch.mask).logits
        learned = batch.weights[:, 1:] > 0
        for row, i in enumerate(chosen):
            found = top_scores(logits[row, :-1][learned[row]], k)
            scores[i] = TopScores(found.ids.cpu(), found.logs.cpu(), found.tail.cpu())
        on_batch()
    return [scores[i] for i in range(len(examples))]


@torch.no_grad()
def each_nll(
    base: Base,
    examples: Sequence[Encoded],
    batch_size: int,
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[float]:
    """Return the loss of each example's learned tokens together, in nats.

    Args:
        base: The base with what is scored active.
        examples: Those of like length are scored together.
        batch_size: Examples at once; changes speed and memory alone.
        on_batch: Called after each batch.
    """
    nats = [0.0] * len(examples)
    for chosen in by_length([len(example.ids) for example in examples], batch_size):
        batch = collate([examples[i] for i in chosen], pad_id(base)).to(base.device)
        learned = batch.weights[:, 1:].gt(0)
        losses = token_losses(base.model, batch) * learned
        sums = losses.double().sum(dim=1).tolist()
        for i, total in zip(chosen, sums, strict=True):
            nats[i] = total
        on_batch()
    return nats
