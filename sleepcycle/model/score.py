"""Scoring: the loss of whatever adapters are active, on examples never trained on."""

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from statistics import fmean, median
from typing import TypeVar

import torch

from sleepcycle.model.adapters import only_active
from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded, encode_all, encode_if_possible
from sleepcycle.model.forward import token_nll
from sleepcycle.model.loss_reduction import token_share
from sleepcycle.model.out_of_memory import BatchItem, in_parts_that_fit
from sleepcycle.model.reading import Reader
from sleepcycle.model.token_batch import learned_tokens
from sleepcycle.numerics.distill import TopScores, top_scores
from sleepcycle.records.content import Content
from sleepcycle.records.example import Example
from sleepcycle.records.progress import HEARTBEAT, OnProgress
from sleepcycle.records.verdict import Loss
from sleepcycle.settings.choices import Reduction

T = TypeVar("T")
READ = BatchItem("example", "lower model.max_length, or free some memory")


def ignore_batch() -> None:
    """Take the end of a batch, and do nothing."""


@torch.no_grad()
def nll(
    base: Base,
    examples: Sequence[Encoded],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> tuple[float, int]:
    """Sum up the loss of the learned tokens of some examples.

    Args:
        base: The base with what is scored active.
        examples: Those of like length are scored together.
        on_batch: Called after each batch, since many take long.

    Returns:
        Nats, and how many tokens they are of.
    """
    nats = each_nll(base, examples, on_batch=on_batch)
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
    sides = []
    for names in (live, candidate):
        with only_active(base, names):
            sides.append(each_nll(base, encoded, on_batch=on_batch))
    return paired_loss(sides[0], sides[1], [example.learned for example in encoded])


def paired_loss(
    live: Sequence[float], candidate: Sequence[float], tokens: Sequence[int]
) -> Loss | None:
    """Return the losses of two sides on the same examples; None where no token counts.

    Args:
        live: Nats of each example.
        candidate: The same of the other side.
        tokens: How many tokens of each example they are of.
    """
    whole = sum(tokens)
    if whole == 0:
        return None
    rises = [
        (after - before) / count
        for before, after, count in zip(live, candidate, tokens, strict=True)
        if count
    ]
    is_number = all(map(math.isfinite, rises))
    return Loss(
        math.fsum(live) / whole,
        math.fsum(candidate) / whole,
        len(tokens),
        whole,
        median(rises) if is_number else math.nan,
    )


def encode_held_out(base: Base, examples: Sequence[Example]) -> list[Encoded]:
    """Encode examples as they are measured: by what the model shall say alone."""
    return encode_contents(base, [example.content for example in examples])


def encode_counted(
    base: Base, examples: Sequence[Example], prompt_weight: float = 0
) -> tuple[list[Encoded], int]:
    """Encode examples, and count those that are left out.

    Args:
        base: Whose tokenizer, template and `max_length` are taken.
        examples: What is encoded.
        prompt_weight: As `encode` takes it; without any they are measured.
    """
    parts = [encode_if_possible(one.content, base, prompt_weight) for one in examples]
    return list(chain.from_iterable(parts)), sum(not part for part in parts)


def encode_contents(base: Base, contents: Sequence[Content]) -> list[Encoded]:
    """Encode contents as held-out examples are: prompts have no weight.

    What the base cannot learn is left out.
    """
    return encode_all(contents, base, prompt_weight=0)


def held_out_loss(
    base: Base,
    parts: Sequence[Sequence[Encoded]],
    on_progress: OnProgress,
    reduction: Reduction,
) -> Callable[[], float] | None:
    """Return what measures the loss of whatever is active, the mean over parts.

    Parts that hold nothing to learn are left out; None where that is all of them.
    The loss of a part is the mean that `reduction` names, in nats per token.
    """
    present = [part for part in parts if any(example.learned for example in part)]
    if not present:
        return None

    def measure() -> float:
        """Return nats per token."""
        return fmean(mean_loss(part) for part in present)

    def mean_loss(part: Sequence[Encoded]) -> float:
        """Return those of one part."""
        nats = each_nll(base, part, on_batch=lambda: on_progress(HEARTBEAT))
        shares = [token_share(one, reduction) for one in part]
        whole = math.fsum(
            share * one.learned for share, one in zip(shares, part, strict=True)
        )
        return math.fsum(map(operator.mul, shares, nats)) / whole

    return measure


def least_confidence(
    base: Base, examples: Sequence[Encoded], on_progress: OnProgress
) -> Callable[[], float]:
    """Return what measures the least probability of a learned token, in [0, 1].

    Above a half whatever is active says each answer word for word, since no other token
    is as likely as the right one.
    """

    def measure() -> float:
        """Return it for whatever is active now."""
        worst = _each(base, examples, max, lambda: on_progress(HEARTBEAT))
        return math.exp(-max(worst, default=0.0))

    return measure


@torch.no_grad()
def teach(
    base: Base,
    examples: Sequence[Encoded],
    k: int,
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[TopScores]:
    """Return the likeliest tokens of the active adapters at each learned token.

    Args:
        base: The base with the teacher active.
        examples: What is taught.
        k: How many of the likeliest tokens are kept.
        on_batch: Called after each batch.

    Returns:
        Scores of each example's learned tokens, in order, on the CPU.
    """
    reader = Reader(base)
    scores: dict[int, TopScores] = {}

    def opinions(batch: Sequence[Encoded]) -> TopScores:
        tokens = learned_tokens(batch).to(base.device)
        found = [top_scores(logits, k) for logits, _ in reader.logits(batch, tokens)]
        return TopScores(
            ids=torch.cat([part.ids for part in found]).cpu(),
            logs=torch.cat([part.logs for part in found]).cpu(),
            tail=torch.cat([part.tail for part in found]).cpu(),
        )

    for chosen, whole in read_in_parts(base, reader, examples, opinions):
        first = 0
        for i in chosen:
            scores[i] = whole.at(slice(first, first := first + examples[i].learned))
        on_batch()
    return [scores[i] for i in range(len(examples))]


@torch.no_grad()
def each_nll(
    base: Base,
    examples: Sequence[Encoded],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[float]:
    """Return the loss of each example's learned tokens together, in nats.

    Args:
        base: The base with what is scored active.
        examples: Those of like length are scored together.
        on_batch: Called after each batch.
    """
    return _each(base, examples, math.fsum, on_batch)


@torch.no_grad()
def _each(
    base: Base,
    examples: Sequence[Encoded],
    summed_up: Callable[[Iterable[float]], float],
    on_batch: Callable[[], None],
) -> list[float]:
    """Return what the losses of each example's learned tokens come to; 0 for none."""
    reader = Reader(base)
    found_of = [0.0] * len(examples)

    def losses(batch: Sequence[Encoded]) -> list[float]:
        tokens = learned_tokens(batch).to(base.device)
        parts = [token_nll(*part).tolist() for part in reader.logits(batch, tokens)]
        return list(chain.from_iterable(parts))

    for chosen, found in read_in_parts(base, reader, examples, losses):
        each = iter(found)
        for i in chosen:
            if count := examples[i].learned:
                found_of[i] = summed_up(islice(each, count))
        on_batch()
    return found_of


def read_in_parts(
    base: Base,
    reader: Reader,
    examples: Sequence[Encoded],
    read: Callable[[Sequence[Encoded]], T],
) -> Iterator[tuple[Sequence[int], T]]:
    """Yield places of examples that were read at once, and what that gave.

    The shortest come first, and as many at once as `batch_tokens` and memory allow.

    Args:
        base: The base with what reads active.
        reader: What tells how many tokens pass at once.
        examples: What is read.
        read: Returns what is wanted of some, and changes nothing.

    Raises:
        ModelError: Memory has no room for a single one.
    """
    order = sorted(range(len(examples)), key=lambda place: len(examples[place].ids))
    lengths = [len(examples[place].ids) for place in order]
    batches = (order[part] for part in reader.within(lengths, base.batch_tokens))
    return in_parts_that_fit(
        batches, lambda chosen: read([examples[place] for place in chosen]), READ
    )
