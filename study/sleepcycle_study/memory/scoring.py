"""Asks all questions of a stream at once, and measures what became of the base."""

from collections.abc import Sequence
from dataclasses import dataclass

from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded
from sleepcycle.model.reply import Prompt
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle.records.content import Completion
from sleepcycle_study.experiment.asking import reply
from sleepcycle_study.experiment.common_knowledge import KnownQuestion
from sleepcycle_study.memory.base_drift import base_drift
from sleepcycle_study.memory.lessons import TaughtLesson


@dataclass(frozen=True)
class StreamExam:
    """All that is asked of a life, time after time."""

    lessons: Sequence[TaughtLesson]
    common: Sequence[KnownQuestion]
    answer_tokens: int
    """Longest answer."""

    turns: Sequence[Encoded] = ()
    """Of the bare base, which nothing learns."""


@dataclass(frozen=True)
class Marks:
    """What was answered right, and how far the base was left."""

    lessons: list[float]
    """Share of each lesson's questions."""

    common: list[bool]
    """Each question of common knowledge."""

    drift: float | None = None
    """KL(base ‖ change), in nats per token of the turns; None where there is none."""


def ask(base: Base, change: LayerChanges, exam: StreamExam) -> Marks:
    """Ask everything of a base under a change, at once.

    An answer to a lesson's question is right if it is the expected one, or, where the
    lesson says so, if it begins with it.
    """
    asked = [
        *(one.prompt for lesson in exam.lessons for one in lesson.questions),
        *(one.prompt for one in exam.common),
    ]
    prompts = [Prompt(one, max_new_tokens=exam.answer_tokens) for one in asked]
    said = (found.text.strip() for found in reply(base, change, prompts))
    return Marks(
        [
            sum(_is_right(next(said), one, lesson) for one in lesson.questions)
            / len(lesson.questions)
            for lesson in exam.lessons
        ],
        [one.is_right(next(said)) for one in exam.common],
        base_drift(base, change, exam.turns),
    )


def _is_right(said: str, question: Completion, lesson: TaughtLesson) -> bool:
    """Return whether an answer is the expected one, or begins with it if that does."""
    expected = question.completion
    return said.startswith(expected) if lesson.begins else said == expected
