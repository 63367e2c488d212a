"""What the study can be about: how a domain teaches, asks and grades."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

JSON = str | int | float | bool | None | Sequence["JSON"] | Mapping[str, "JSON"]
"""Plain data, as a file of results holds it."""

Measures = Mapping[str, float]
"""What one answer is worth, by measure, such as `exact` and `exact.simple`.

A score is the mean of a measure over the questions that have it.
"""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be taught, from which every phase makes its own text."""

    key: str
    """What may not be both taught and asked."""

    when: str
    """Which forms of a phase it is for, such as `simple` or `hard`."""

    fields: Mapping[str, str]
    """What fills the places of a form, by name."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that is asked, and what is needed to grade the answer."""

    id: str
    """The same in every run that asks it, so that runs can be paired."""

    dimension: str
    prompt: str
    facts: Mapping[str, JSON]
    """What its domain must know to grade it."""

    uses_tool: bool = False
    """Whether calls of the calculator are answered while the model writes."""

    max_new_tokens: int = 160
    """More than any form that is taught takes: a model that answers in another form
    than it was asked in is graded on all of it."""

    key: str = ""
    """The key of the item it asks about; empty where no item could be it."""


class Domain(Protocol):
    """Something that can be taught in phases, and asked about."""

    name: str

    def draw(self, rng: Random) -> Item:
        """Draw one item to teach."""
        ...

    def ask(
        self, rng: Random, count: int, taken: Collection[str], language: str = "en"
    ) -> list[Question]:
        """Draw `count` questions for each dimension, none about a taken key.

        They are in the language that is taught, where the domain has it.
        """
        ...

    def grade(self, question: Question, answer: str) -> Measures:
        """Return what an answer is worth."""
        ...
