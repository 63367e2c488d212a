"""Exams: held-out examples by their loss, and short stored answers by the letter."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TypeVar

from sleepcycle.model.adapters import only_active
from sleepcycle.model.base import Base
from sleepcycle.model.encode import encode_if_possible, render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.model.score import each_nll, ignore_batch, paired_loss
from sleepcycle.records.content import Completion, Content
from sleepcycle.records.example import Example
from sleepcycle.records.verdict import BatchScore, Exact, Loss

T = TypeVar("T")

SHORT = 32  # tokens; completions up to this long are asked for, word by word


def evenly(items: Sequence[T], most: int) -> list[T]:
    """Return up to `most` items, evenly spaced, the same ones each time."""
    count = min(most, len(items))
    return [items[place * len(items) // count] for place in range(count)]


@dataclass(frozen=True, slots=True)
class ExamQuestion:
    """A prompt, and the one answer that is right."""

    ids: Sequence[int]
    """The prompt as the model sees it."""

    expected: str
    """The stored completion, but for outer spaces."""


@dataclass(frozen=True, slots=True)
class ExamScore:
    """How each side did on one held-out example."""

    tokens: int
    """How many count."""

    nats: tuple[float, ...]
    """Loss of all of them together, of each side."""

    right: tuple[bool, ...] | None
    """Whether each side gave the stored answer; None where it was not asked."""


def question(content: Content, base: Base) -> ExamQuestion | None:
    """Return what to ask, or None where no short answer is stored, or none fits in."""
    if not isinstance(content, Completion):
        return None
    tokens = base.tokenizer(content.completion, add_special_tokens=False)["input_ids"]
    ids = render_prompt(content.prompt, base)
    if len(tokens) > SHORT or not 0 < len(ids) < base.max_length - SHORT:
        return None
    return ExamQuestion(ids, content.completion.strip())


def ask(
    base: Base,
    questions: Sequence[ExamQuestion],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[bool]:
    """Return which greedy answers of whatever is active are the stored ones.

    Outer spaces aside, an answer is right or wrong by the letter.

    Args:
        base: The base with what is asked active.
        questions: Those of like length are asked together.
        on_batch: Called after each batch, since answers take long.
    """
    prompts = [one.ids for one in questions]
    said = answer(base, prompts, max_new_tokens=SHORT + 1, on_batch=on_batch)
    return [
        text.strip() == one.expected for text, one in zip(said, questions, strict=True)
    ]


def examine(
    base: Base,
    contents: Sequence[Content],
    sides: Sequence[Sequence[str]],
    max_asked: int,
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[ExamScore]:
    """Score each side on held-out content: all by loss, short answers by the letter.

    Args:
        base: The base; no adapter is active on it afterwards.
        contents: What was held out; prompts have no weight.
        sides: Names of the attached adapters of each side; none for the bare base.
        max_asked: Most prompts to ask, spread evenly over those that can be.
        on_batch: Called after each batch.
    """
    encoded = [encode_if_possible(content, base, 0) for content in contents]
    parts = list(chain.from_iterable(encoded))
    questions = {
        place: one
        for place, content in enumerate(contents)
        if (one := question(content, base)) is not None
    }
    asked = evenly(list(questions), max_asked)
    nats: list[list[float]] = []
    marks: list[dict[int, bool]] = []
    for names in sides:
        with only_active(base, names):
            each = iter(each_nll(base, parts, on_batch=on_batch))
            nats.append([math.fsum(islice(each, len(one))) for one in encoded])
            said = ask(base, [questions[place] for place in asked], on_batch=on_batch)
        marks.append(dict(zip(asked, said, strict=True)))
    return [
        ExamScore(
            tokens=sum(part.learned for part in one),
            nats=tuple(side[place] for side in nats),
            right=tuple(side[place] for side in marks) if place in asked else None,
        )
        for place, one in enumerate(encoded)
    ]


def loss(scored: Sequence[ExamScore]) -> Loss | None:
    """Return what two sides lost on all papers together; None where no token counts."""
    live, candidate = ([one.nats[side] for one in scored] for side in (0, 1))
    return paired_loss(live, candidate, [one.tokens for one in scored])


def paired(
    live: Sequence[ExamScore], candidate: Sequence[ExamScore]
) -> list[ExamScore]:
    """Put the papers of two sides that were examined one after the other together."""
    return [
        ExamScore(
            one.tokens,
            one.nats + other.nats,
            one.right + other.right if one.right and other.right else None,
        )
        for one, other in zip(live, candidate, strict=True)
    ]


def exact(scored: Sequence[ExamScore]) -> Exact | None:
    """Return the shares that two sides answered right; None where none was asked."""
    marks = [one.right for one in scored if one.right is not None]
    if not marks:
        return None
    live, candidate = (sum(mark[side] for mark in marks) for side in (0, 1))
    return Exact(live / len(marks), candidate / len(marks), len(marks))


def by_batch(
    examples: Sequence[Example], scored: Sequence[ExamScore], *, known: bool
) -> Iterator[BatchScore]:
    """Yield how two sides did on each batch; one where no token counts is left out."""
    batches: dict[int, list[ExamScore]] = {}
    for example, one in zip(examples, scored, strict=True):
        batches.setdefault(example.batch, []).append(one)
    for batch in sorted(batches):
        whole = loss(batches[batch])
        if whole is not None:
            yield BatchScore(batch, known, whole, exact(batches[batch]))
