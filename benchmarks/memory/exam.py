"""Asks all lessons' questions at once, and reads how many answers are right."""

from collections.abc import Sequence

from benchmarks.memory.day import bare
from benchmarks.memory.lessons import Lesson
from sleepcycle.content import Text
from sleepcycle.model import adapters
from sleepcycle.model.base import Base
from sleepcycle.model.encode import encode, render_prompt
from sleepcycle.model.generate import answer
from sleepcycle.model.score import BATCH_SIZE, nll
from sleepcycle.numerics.lowrank import LayerChanges

ASKED = "asked"
ANSWER_TOKENS = 20


def ask(base: Base, change: LayerChanges, lessons: Sequence[Lesson]) -> list[float]:
    """Return the share of each lesson's questions that are answered exactly."""
    _put_on(base, change)
    prompts = [
        render_prompt(question.prompt, base)
        for lesson in lessons
        for question in lesson.questions
    ]
    said = iter(answer(base, prompts, max_new_tokens=ANSWER_TOKENS))
    bare(base)
    return [
        sum(next(said).strip() == question.completion for question in lesson.questions)
        / len(lesson.questions)
        for lesson in lessons
    ]


def loss(base: Base, change: LayerChanges, texts: Sequence[Text]) -> float:
    """Return the mean loss on texts, in nats per token."""
    _put_on(base, change)
    encoded = [encode(text, base, prompt_weight=0) for text in texts]
    nats, tokens = nll(base, encoded, BATCH_SIZE)
    bare(base)
    return nats / tokens


def _put_on(base: Base, change: LayerChanges) -> None:
    """Let a change alone be active; none for the bare base."""
    if change:
        adapters.attach(base, ASKED, change)
    adapters.activate(base, [ASKED] if change else [])
