"""Asks all lessons' questions at once, and reads how many answers are right."""

from collections.abc import Sequence

from sleepcycle.model.base import Base
from sleepcycle.model.reply import Prompt
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.content import Completion
from sleepcycle_study.experiment.asking import reply
from sleepcycle_study.memory.lessons import TaughtLesson

ANSWER_TOKENS = 20


def ask(
    base: Base, change: LayerChanges, lessons: Sequence[TaughtLesson]
) -> list[float]:
    """Return the share of each lesson's questions that are answered right.

    An answer is right if it is the expected one, or, where the lesson says so, if it
    begins with it.
    """
    prompts = [
        Prompt(question.prompt, max_new_tokens=ANSWER_TOKENS)
        for lesson in lessons
        for question in lesson.questions
    ]
    said = iter(reply(base, change, prompts))
    return [
        sum(
            _is_right(next(said).text.strip(), question, lesson)
            for question in lesson.questions
        )
        / len(lesson.questions)
        for lesson in lessons
    ]


def _is_right(said: str, question: Completion, lesson: TaughtLesson) -> bool:
    """Return whether an answer is the expected one, or begins with it if that does."""
    expected = question.completion
    return said.startswith(expected) if lesson.begins else said == expected
