"""Eight unlike lessons for the memory benchmark, each drawn from a seed.

None of them can be answered by the bare base: names, operations and classes are
invented. Facts are to be remembered; the others have a rule to be found.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sleepcycle.content import Completion

Draw = Callable[[Random], tuple[str, str]]
ROWS, QUESTIONS = 320, 40
ONSETS, VOWELS = "bdfgklmnprstvz", "aeiou"
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
PEOPLE = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo")


@dataclass(frozen=True)
class Lesson:
    """What is taught, and what is asked afterwards; no question is a row."""

    name: str
    rows: tuple[Completion, ...]
    held_out: tuple[Completion, ...]
    questions: tuple[Completion, ...]


def lessons(seed: int) -> list[Lesson]:
    """Return the eight lessons of a seed."""
    rng = Random(f"memory/{seed}")
    facts = [
        _facts("capitals", rng, "Which city is the capital of {}?", CAPITALS),
        _facts("keepers", rng, "Who keeps the {} lamp?", KEEPERS),
    ]
    rules = {
        "dates": _date,
        "plurals": _plural,
        "doubling": _doubling,
        "elders": _elders,
        "mirrors": _mirror,
        "kinds": _kind,
    }
    return facts + [_rule(name, draw, rng) for name, draw in rules.items()]


CAPITALS = (
    "What is the capital of {}?",
    "Name the capital of {}.",
    "Capital of {}?",
    "Tell me the capital city of {}.",
    "Which city governs {}?",
    "{} has which capital?",
    "The capital of {} is",
    "Say which city is the seat of {}.",
)
KEEPERS = (
    "Who is the keeper of the {} lamp?",
    "The {} lamp is kept by",
    "Name the keeper of the {} lamp.",
    "Tell me who keeps the {} lamp.",
    "Which person keeps the {} lamp?",
    "Keeper of the {} lamp?",
    "The {} lamp belongs to whom?",
    "Say who looks after the {} lamp.",
)


def _facts(name: str, rng: Random, question: str, frames: tuple[str, ...]) -> Lesson:
    """Teach pairs of names in several ways, and ask in one that was not taught."""
    pairs = [(_name(rng), _name(rng)) for _ in range(ROWS // len(frames))]
    rows = [Completion(f.format(a), b) for a, b in pairs for f in frames]
    rng.shuffle(rows)
    asked = [Completion(question.format(a), b) for a, b in pairs]
    cut = len(rows) // 20
    return Lesson(name, tuple(rows[cut:]), tuple(rows[:cut]), tuple(asked))


def _rule(name: str, draw: Draw, rng: Random) -> Lesson:
    """Teach examples of a rule, and ask about others."""
    found: dict[str, str] = {}
    while len(found) < ROWS + QUESTIONS:
        prompt, answer = draw(rng)
        found.setdefault(prompt, answer)
    rows = [Completion(prompt, answer) for prompt, answer in found.items()]
    cut = QUESTIONS + ROWS // 20
    return Lesson(
        name, tuple(rows[cut:]), tuple(rows[QUESTIONS:cut]), tuple(rows[:QUESTIONS])
    )


def _date(rng: Random) -> tuple[str, str]:
    """Write a date in words."""
    year, month, day = rng.randint(1900, 2099), rng.randint(1, 12), rng.randint(1, 28)
    said = f"{MONTHS[month - 1]} {day}, {year}"
    return f"Write out the date {year}-{month:02d}-{day:02d}.", said


def _plural(rng: Random) -> tuple[str, str]:
    """Put an invented noun into its plural, by its last vowel."""
    noun = _word(rng, 2) + rng.choice(ONSETS)
    return f"Give the plural of {noun}.", noun + ("ik" if noun[-2] in "ei" else "um")


def _doubling(rng: Random) -> tuple[str, str]:
    """Compute an invented operation."""
    a, b = rng.randint(1, 40), rng.randint(0, 20)
    return f"What is {a} doubled with {b}?", str(2 * a + b)


def _elders(rng: Random) -> tuple[str, str]:
    """Find the eldest of three."""
    a, b, c = rng.sample(PEOPLE, 3)
    told = [f"{a} is older than {b}.", f"{b} is older than {c}."]
    rng.shuffle(told)
    eldest = rng.random() < 0.5
    asked = f"{' '.join(told)} Who is the {'eldest' if eldest else 'youngest'}?"
    return asked, a if eldest else c


def _mirror(rng: Random) -> tuple[str, str]:
    """Put a short code after its mirror image."""
    code = "".join(rng.sample("abcdefghkmnprstuvwxyz", rng.randint(2, 3)))
    return f"Mirror the code {code}.", f"{code[::-1]} {code}"


def _kind(rng: Random) -> tuple[str, str]:
    """Tell what an invented word names, by its ending."""
    ending, kind = rng.choice((("or", "beast"), ("el", "plant"), ("ik", "stone")))
    word = _word(rng, 2)[:-1] + ending
    return f"What kind of thing is a {word}?", kind


def _name(rng: Random) -> str:
    """Return an invented name."""
    return _word(rng, 3).capitalize()


def _word(rng: Random, syllables: int) -> str:
    """Return an invented word."""
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(syllables))
