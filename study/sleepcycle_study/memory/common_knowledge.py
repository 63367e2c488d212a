"""Questions of common knowledge: what an assistant shall still know after its lessons.

They are made for this benchmark, and none of them is taught in any lesson.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass


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


def _asked(frame: str, answers: dict[str, str]) -> list[KnownQuestion]:
    """Return one question for each word that fits a frame; `|` divides right words."""
    return [
        KnownQuestion(frame.format(word), tuple(right.split("|")))
        for word, right in answers.items()
    ]


QUESTIONS: tuple[KnownQuestion, ...] = (
    *_asked(
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
        },
    ),
    *_asked(
        "What is {}?",
        {
            "two plus two": "4|four",
            "3 + 5": "8|eight",
            "10 - 4": "6|six",
            "three times four": "12|twelve",
            "20 divided by 2": "10|ten",
            "7 + 6": "13|thirteen",
            "9 - 9": "0|zero",
            "half of eight": "4|four",
        },
    ),
    *_asked(
        "What is the opposite of {}?",
        {
            "hot": "cold",
            "big": "small|little|tiny",
            "up": "down",
            "day": "night",
            "fast": "slow",
            "open": "closed|close|shut",
            "happy": "sad|unhappy",
            "left": "right",
        },
    ),
    *_asked(
        "What colour is {}?",
        {
            "the sky on a clear day": "blue",
            "fresh grass": "green",
            "snow": "white",
            "blood": "red",
            "a ripe banana": "yellow",
            "coal": "black",
        },
    ),
    *_asked(
        "How many {}?",
        {
            "days are there in a week": "7|seven",
            "months are there in a year": "12|twelve",
            "hours are there in a day": "24|twenty-four",
            "minutes are there in an hour": "60|sixty",
            "legs does a spider have": "8|eight",
            "wheels does a bicycle have": "2|two",
        },
    ),
    *_asked(
        "Which {}?",
        {
            "day comes after Monday": "Tuesday",
            "month comes after March": "April",
            "planet do we live on": "Earth",
            "ocean is the largest": "Pacific",
            "animal barks": "dog|dogs",
            "language is spoken in Spain": "Spanish",
            "animal gives us wool": "sheep|lamb",
        },
    ),
    *_asked(
        "What {}?",
        {
            "is frozen water called": "ice",
            "do bees make": "honey",
            "is the name of the star that we see by day": "Sun",
        },
    ),
)
"""48 questions of seven kinds."""
