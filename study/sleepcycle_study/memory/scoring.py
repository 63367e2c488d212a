"""Asks all lessons' questions at once, and reads how many answers are right."""

from collections.abc import Sequence

from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import encode, render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.model.score import BATCH_SIZE, nll
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.content import Completion, Text
from sleepcycle_study.memory.lessons import Lesson

ASKED = "asked"
ANSWER_TOKENS = 20


def ask(base: Base, change: LayerChanges, lessons: Sequence[Lesson]) -> list[float]:
    """Return the share of each lesson's questions that are answered right.

    An answer is right if it is the expected one, or, where the lesson says so, if it
    begins with it.
    """
    _put_on(base, change)
    prompts = [
        render_prompt(question.prompt, base)
        for lesson in lessons
        for question in lesson.questions
    ]
    said = iter(answer(base, prompts, max_new_tokens=ANSWER_TOKENS))
    adapters.remove_all(base)
    return [
        sum(
            _is_right(next(said).strip(), question, lesson)
            for question in lesson.questions
        )
        / len(lesson.questions)
        for lesson in lessons
    ]


def _is_right(said: str, question: Completion, lesson: Lesson) -> bool:
    """Say whether an answer is the expected one, or begins with it where that does."""
    expected = question.completion
    return said.startswith(expected) if lesson.begins else said == expected


def loss(base: Base, change: LayerChanges, texts: Sequence[Text]) -> float:
    """Return the mean loss on texts, in nats per token."""
    _put_on(base, change)
    encoded = [encode(text, base, prompt_weight=0) for text in texts]
    nats, tokens = nll(base, encoded, BATCH_SIZE)
    adapters.remove_all(base)
    return nats / tokens


def _put_on(base: Base, change: LayerChanges) -> None:
    """Let a change alone be active; none for the bare base."""
    if change:
        adapters.attach(base, ASKED, change)
    adapters.activate(base, [ASKED] if change else [])
