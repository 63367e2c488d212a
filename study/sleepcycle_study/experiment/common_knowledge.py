"""Questions of common knowledge: what an assistant shall still know after its lessons.

They are made for the study, and none of them is taught in any lesson.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sleepcycle.files.dream_archive import normalised


@dataclass(frozen=True)
class KnownQuestion:
    """What is asked, and what a right answer says."""

    prompt: str
    right: tuple[str, ...]
    """Words of which a right answer has one."""

    def is_right(self, said: str) -> bool:
        """Return whether an answer has one of the right words, as a word of its own."""
        return any(
            re.search(rf"\b{re.escape(word)}\b", said, re.IGNORECASE)
            for word in self.right
        )


@dataclass(frozen=True)
class Knowledge:
    """How many of the questions were answered right, and how many still were."""

    right: float
    """Share of all questions."""

    kept: float | None
    """Share of those that the bare base answers right; None where it knows none."""


def knowledge(marks: Sequence[bool], before: Sequence[bool]) -> Knowledge:
    """Sum up which questions were answered right, beside those the bare base knew."""
    known = [mark for mark, knew in zip(marks, before, strict=True) if knew]
    return Knowledge(
        right=sum(marks) / len(marks), kept=sum(known) / len(known) if known else None
    )


def asked(questions: Sequence[KnownQuestion]) -> frozenset[str]:
    """Return what no turn of the base may teach, as a bank compares it."""
    return frozenset(normalised(one.prompt) for one in questions)


def _framed(frame: str, answers: dict[str, str]) -> list[KnownQuestion]:
    """Return one question for each word that fits a frame; `|` divides right words."""
    return [
        KnownQuestion(frame.format(word), tuple(right.split("|")))
        for word, right in answers.items()
    ]


QUESTIONS: tuple[KnownQuestion, ...] = (
    *_framed(
        "What is the capital of {}?",
        {
            "France": "Paris",
            "Italy": "Rome",
            "Japan": "Tokyo",
            "Germany": "Berlin",
            "Spain": "Madrid",
            "Russia": "Moscow",
            "China": "Beijing",
            "Egypt": "Cairo",
            "Greece": "Athens",
            "England": "London",
            "Norway": "Oslo",
            "Poland": "Warsaw",
            "Austria": "Vienna",
            "Peru": "Lima",
        },
    ),
    *_framed(
        "What is {}?",
        {
            "2 + 3": "5|five",
            "7 + 6": "13|thirteen",
            "10 plus 10": "20|twenty",
            "10 - 4": "6|six",
            "three times four": "12|twelve",
            "20 divided by 2": "10|ten",
            "100 divided by 10": "10|ten",
            "half of eight": "4|four",
        },
    ),
    *_framed(
        "What is the opposite of {}?",
        {
            "hot": "cold",
            "big": "small|little|tiny",
            "up": "down",
            "day": "night",
            "fast": "slow",
            "happy": "sad|unhappy",
            "left": "right",
            "long": "short",
            "early": "late",
            "wet": "dry",
            "full": "empty",
            "true": "false|untrue",
        },
    ),
    *_framed(
        "What color is {}?",
        {
            "the sky on a clear day": "blue",
            "grass": "green",
            "snow": "white",
            "blood": "red",
            "a ripe banana": "yellow",
        },
    ),
    *_framed(
        "How many {}?",
        {
            "seconds are there in a minute": "60|sixty",
            "hours are there in a day": "24|twenty-four",
            "days are there in a week": "7|seven",
            "months are there in a year": "12|twelve",
            "years are there in a century": "100|hundred",
            "legs does a dog have": "4|four",
            "legs does a spider have": "8|eight",
            "sides does a triangle have": "3|three",
            "letters are there in the English alphabet": "26|twenty-six",
        },
    ),
    *_framed(
        "Which {}?",
        {
            "ocean is the largest": "Pacific",
            "ocean lies between Europe and America": "Atlantic",
            "animal barks": "dog|dogs",
            "animal says meow": "cat|cats",
            "planet is called the Red Planet": "Mars",
            "organ pumps blood through the body": "heart",
            "language is spoken in France": "French",
            "day comes after Monday": "Tuesday",
            "month is the first of the year": "January",
        },
    ),
    *_framed(
        "What {}?",
        {
            "do bees make from nectar": "honey",
            "is the chemical formula of water": "H2O|H₂O",
            "is the currency of Japan": "yen",
            "is the country of the Eiffel Tower": "France",
        },
    ),
    *_framed(
        "Who {}?",
        {
            "wrote Romeo and Juliet": "Shakespeare",
            "discovered America in 1492": "Columbus",
        },
    ),
)
"""63 questions of eight kinds."""
