"""Logic as a domain: puzzles with short answers, and questions without any."""

from collections.abc import Collection
from functools import partial
from itertools import cycle, islice
from random import Random

from sleepcycle_study.domains.domain import Item, Measures, Question
from sleepcycle_study.domains.fresh import fresh, name_of
from sleepcycle_study.domains.logic.puzzles import PUZZLES, Puzzle
from sleepcycle_study.domains.logic.riddles import RIDDLES, Riddle
from sleepcycle_study.domains.short_replies import first_number, is_confident, picked

PROMPT = "Logic: {}"
"""How everything is asked, as the first phase of the curriculum teaches it."""


class Logic:
    """Puzzles of eight kinds; on the other dimension, what must be declined."""

    name = "logic"

    def draw(self, rng: Random) -> Item:
        """Draw a puzzle to teach; `hard` where it takes more than one step."""
        kind = rng.choice(list(PUZZLES))
        puzzle = PUZZLES[kind](rng)
        fields = {
            "question": puzzle.question,
            "answer": puzzle.answer,
            "reason": puzzle.reason,
            "kind": kind,
            "complexity": "complex" if puzzle.hard else "elementary",
        }
        return Item(puzzle.question, "hard" if puzzle.hard else "simple", fields)

    def ask(
        self, rng: Random, count: int, taken: Collection[str], language: str = "en"
    ) -> list[Question]:
        """Draw `count` puzzles that are not taken, and `count` questions to decline.

        The kinds take turns, so that each has its share of any count.

        Raises:
            StudyError: So many new ones are not to be had.
        """
        puzzles = {
            kind: fresh(partial(draw, rng), lambda p: p.question, taken)
            for kind, draw in PUZZLES.items()
        }
        riddles = {
            kind: fresh(partial(draw, rng), lambda r: r.question, taken)
            for kind, draw in RIDDLES.items()
        }
        return [
            *(_puzzle(kind, next(puzzles[kind])) for kind in _turns(PUZZLES, count)),
            *(_riddle(kind, next(riddles[kind])) for kind in _turns(RIDDLES, count)),
        ]

    def grade(self, question: Question, answer: str) -> Measures:
        """Return whether a puzzle is solved, or one without a solution was answered."""
        graded = _made_up if question.dimension == "hallucination" else _solved
        worth = float(graded(question, answer))
        kind = question.facts["kind"]
        return {question.dimension: worth, f"{question.dimension}.{kind}": worth}


def _turns(kinds: Collection[str], count: int) -> list[str]:
    """Return `count` kinds, in turn."""
    return list(islice(cycle(kinds), count))


def _puzzle(kind: str, puzzle: Puzzle) -> Question:
    """Ask a puzzle."""
    return Question(
        id=name_of(f"logic/{kind}", puzzle.question),
        dimension="logic",
        prompt=PROMPT.format(puzzle.question),
        facts={
            "kind": kind,
            "answer": puzzle.answer,
            "options": list(puzzle.options),
        },
        key=puzzle.question,
    )


def _riddle(kind: str, riddle: Riddle) -> Question:
    """Ask what should be declined; no item is about it."""
    return Question(
        id=name_of(f"hallucination/{kind}", riddle.question),
        dimension="hallucination",
        prompt=PROMPT.format(riddle.question),
        facts={"kind": kind, "right": list(riddle.right)},
    )


def _solved(question: Question, answer: str) -> bool:
    """Return whether an answer names the right option, or number, first."""
    options, right = _words(question, "options"), question.facts["answer"]
    if not options:
        return str(first_number(answer)) == right
    return picked(answer, options) == right


def _made_up(question: Question, answer: str) -> bool:
    """Return whether an answer claims something, and that is wrong."""
    right = _words(question, "right")
    if any(word.isdigit() for word in right) and first_number(answer) is not None:
        return str(first_number(answer)) not in right
    return is_confident(answer) and picked(answer, right) is None


def _words(question: Question, name: str) -> list[str]:
    """Return a list of words among a question's facts."""
    words = question.facts[name]
    return [str(word) for word in words] if isinstance(words, list) else []
