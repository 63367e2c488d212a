"""Up to 32 unlike lessons for the memory benchmark, each drawn from a seed.

None of them can be answered by the bare base: names, operations and classes are
invented. Facts are to be remembered; the others have a rule to be found. The first
eight are of eight families, each later eight of the same families in other words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from sleepcycle.records.content import Completion
from sleepcycle_study.errors import StudyError
from sleepcycle_study.memory.rules import ROUNDS, Draw, name

ROWS, QUESTIONS = 320, 40


@dataclass(frozen=True)
class TaughtLesson:
    """What is taught, and what is asked afterwards; no question is a row."""

    name: str
    rows: tuple[Completion, ...]
    held_out: tuple[Completion, ...]
    questions: tuple[Completion, ...]
    begins: bool = False
    """An answer is right if it begins with the expected one; for bases that cannot end
    a text."""


@dataclass(frozen=True)
class LessonFacts:
    """What is to be remembered of invented names."""

    question: str
    """How it is asked; not one of the frames."""

    frames: tuple[str, ...]
    """How it is taught."""

    answer: Callable[[Random], str] = name


def taught_from(
    called: str, rows: Sequence[Completion], questions: int, *, begins: bool = False
) -> TaughtLesson:
    """Return a lesson of rows: the first are asked, of the others 1 in 20 held out."""
    cut = questions + (len(rows) - questions) // 20
    return TaughtLesson(
        called,
        tuple(rows[cut:]),
        tuple(rows[questions:cut]),
        tuple(rows[:questions]),
        begins,
    )


def drawn(draw: Draw, rng: Random, count: int) -> list[Completion]:
    """Draw so many rows of a rule, no prompt twice."""
    found: dict[str, str] = {}
    while len(found) < count:
        prompt, answer = draw(rng)
        found.setdefault(prompt, answer)
    return [Completion(*pair) for pair in found.items()]


def lessons(seed: int, count: int = 8) -> list[TaughtLesson]:
    """Return the first `count` lessons of a seed.

    Raises:
        StudyError: There are not so many.
    """
    first = Random(f"memory/{seed}")
    found: list[TaughtLesson] = []
    for number, (facts, rules) in enumerate(zip(FACTS, ROUNDS, strict=True)):
        for called, fact in facts.items():
            rng = Random(f"memory/{seed}/{called}") if number else first
            found.append(facts_lesson(called, rng, fact))
        for called, draw in rules.items():
            rng = Random(f"memory/{seed}/{called}") if number else first
            rows = drawn(draw, rng, ROWS + QUESTIONS)
            found.append(taught_from(called, rows, QUESTIONS))
    if not 1 <= count <= len(found):
        raise StudyError(f"expected 1 to {len(found)} lessons, got {count}")
    return found[:count]


def facts_lesson(called: str, rng: Random, facts: LessonFacts) -> TaughtLesson:
    """Teach pairs in several ways, and ask in one that was not taught."""
    frames = facts.frames
    pairs = [(name(rng), facts.answer(rng)) for _ in range(ROWS // len(frames))]
    rows = [Completion(f.format(a), b) for a, b in pairs for f in frames]
    rng.shuffle(rows)
    asked = [Completion(facts.question.format(a), b) for a, b in pairs]
    cut = len(rows) // 20
    return TaughtLesson(called, tuple(rows[cut:]), tuple(rows[:cut]), tuple(asked))


def _about(what: str, answer: Callable[[Random], str] = name) -> LessonFacts:
    """Return facts about `what`, in frames that fit any noun."""
    frames = (
        *("Tell me {}.", "Name {}.", "Say {}.", "I want to know {}."),
        *("{} is", "{}?", "Do you know {}?", "Remember {}."),
    )
    taught = tuple(frame.format(what) for frame in frames)
    return LessonFacts(f"What is {what}?", taught, answer)


def one_of(*answers: str) -> Callable[[Random], str]:
    """Return what draws one of some answers."""
    return lambda rng: rng.choice(answers)


CAPITALS = LessonFacts(
    "Which city is the capital of {}?",
    (
        "What is the capital of {}?",
        "Name the capital of {}.",
        "Capital of {}?",
        "Tell me the capital city of {}.",
        "Which city governs {}?",
        "{} has which capital?",
        "The capital of {} is",
        "Say which city is the seat of {}.",
    ),
)
KEEPERS = LessonFacts(
    "Who keeps the {} lamp?",
    (
        "Who is the keeper of the {} lamp?",
        "The {} lamp is kept by",
        "Name the keeper of the {} lamp.",
        "Tell me who keeps the {} lamp.",
        "Which person keeps the {} lamp?",
        "Keeper of the {} lamp?",
        "The {} lamp belongs to whom?",
        "Say who looks after the {} lamp.",
    ),
)
COLOURS = one_of("red", "green", "blue", "white", "black", "brown", "pink", "grey")
FOODS = one_of("corn", "fish", "moss", "nuts", "worms", "seeds", "leaves", "honey")
FACTS: tuple[dict[str, LessonFacts], ...] = (
    {"capitals": CAPITALS, "keepers": KEEPERS},
    {
        "flags": _about("the colour of the flag of {}", COLOURS),
        "rivers": _about("the river through {}"),
    },
    {
        "founders": _about("the founder of the village of {}"),
        "foods": _about("the food of the {} bird", FOODS),
    },
    {
        "years": _about(
            "the year of the {} comet", lambda r: str(r.randint(1500, 1999))
        ),
        "guards": _about("the guard of the {} gate"),
    },
)
"""Facts by name: two lessons a round."""
