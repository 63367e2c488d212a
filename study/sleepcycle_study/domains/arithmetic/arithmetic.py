"""Arithmetic as a domain: expressions to teach, and questions on five dimensions."""

from collections.abc import Collection
from random import Random

from sleepcycle_study.domains.arithmetic import dimensions, questions
from sleepcycle_study.domains.arithmetic.expressions import (
    Difficulty,
    approximate,
    canonical,
    draw,
)
from sleepcycle_study.domains.domain import Item, Measures, Question

COMPLEXITY = {
    Difficulty.ELEMENTARY: ("elementary", "elementare"),
    Difficulty.MEDIUM: ("medium", "media"),
    Difficulty.COMPLEX: ("complex", "complessa"),
}
"""What each difficulty is called in English and in Italian."""


class Arithmetic:
    """The article's domain, with the tool and the sense of how large a number is."""

    name = "arithmetic"

    def draw(self, rng: Random) -> Item:
        """Draw an expression to teach; `hard` where it is a matter for the tool."""
        expression = draw(rng)
        english, italian = COMPLEXITY[expression.difficulty]
        fields = {
            "expression": expression.text,
            "value": str(expression.value),
            "approx": approximate(expression.value),
            "approx_it": approximate(expression.value, "it"),
            "complexity": english,
            "complexity_it": italian,
        }
        when = "hard" if expression.should_delegate else "simple"
        return Item(canonical(expression.text), when, fields)

    def ask(
        self, rng: Random, count: int, taken: Collection[str], language: str = "en"
    ) -> list[Question]:
        """Draw `count` questions for each dimension, none about a taken key."""
        return questions.ask(rng, count, taken, language)

    def grade(self, question: Question, answer: str) -> Measures:
        """Return what an answer is worth, by measure."""
        return dimensions.grade(question, answer)
