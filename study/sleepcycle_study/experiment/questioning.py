"""Asks a course's questions of a model, and grades what it answers."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import fmean

from sleepcycle.model.base import Base
from sleepcycle.model.reply import Prompt
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle_study.domains.arithmetic import dimensions
from sleepcycle_study.domains.arithmetic.article import ARTICLE
from sleepcycle_study.domains.domain import Question
from sleepcycle_study.domains.registry import domain_of
from sleepcycle_study.experiment.asking import reply
from sleepcycle_study.experiment.results import GradedAnswer
from sleepcycle_study.experiment.teaching import Course

GLANCED = 24  # questions of a domain at each stop of a life

Asking = Sequence[tuple[str, Question]]
"""Questions with the domains that they are of."""


def questions(course: Course) -> Asking:
    """Return every question of a course."""
    return [(name, one) for name, asked in course.questions.items() for one in asked]


def ask(base: Base, change: LayerChanges, asking: Asking) -> Iterator[GradedAnswer]:
    """Ask questions at once of a base under a change, and grade the answers."""
    replies = reply(
        base,
        change,
        [Prompt(q.prompt, q.uses_tool, q.max_new_tokens) for _, q in asking],
    )
    texts = {
        question.id: said.text
        for (_, question), said in zip(asking, replies, strict=True)
    }
    across = dimensions.across([q for _, q in asking], texts)
    for (domain, question), said in zip(asking, replies, strict=True):
        graded = domain_of(domain).grade(question, said.text)
        measures = {**graded, **across.get(question.id, {})}
        yield GradedAnswer(
            question.id,
            question.dimension,
            question.prompt,
            said.text,
            measures,
            said.uses[-1].expression if said.uses else None,
        )


def glance(base: Base, change: LayerChanges, course: Course) -> dict[str, float]:
    """Return the mean of our own measures on each domain's first questions.

    They are of the domain's first dimension, and among those that are asked at the end.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for answer in ask(base, change, list(_first(course))):
        for measure, value in answer.measures.items():
            if not measure.startswith(ARTICLE):
                found[measure].append(value)
    return {measure: fmean(values) for measure, values in found.items()}


def _first(course: Course) -> Iterator[tuple[str, Question]]:
    """Yield the first questions of each domain's first dimension."""
    for name, asked in course.questions.items():
        dimension = asked[0].dimension
        same = [question for question in asked if question.dimension == dimension]
        yield from ((name, question) for question in same[:GLANCED])
