"""Writes the three lessons of the demo, and questions that are not among their rows.

python examples/make_lessons.py

All names and words are invented here, from a seed. Each lesson comes in another
shape: prompt and completion, messages, and Alpaca's instruction and input.
"""

import json
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from random import Random

SEED = 7
QUESTIONS = 40  # a lesson
ONSETS = "bdfgklmnprstvz"
VOWELS = "aeiou"
Row = dict[str, object]
Lesson = tuple[list[Row], list[Row]]  # rows to train on, questions

COUNTRIES = QUESTIONS  # one question about each
ASKING = (
    "What is the capital of {}?",
    "Which city is the capital of {}?",
    "Name the capital of {}.",
    "The capital of {} is",
    "Tell me the capital city of {}.",
    "{} has which capital?",
    "Capital of {}?",
    "Which city governs {}?",
    "Where does the government of {} sit?",
    "I travel to the capital of {}. Where am I?",
    "Say which city is the seat of {}.",
)

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2099, 12, 31)
DATES = 500  # to train on
WRITING = ("Write out the date {}.", "Which day is {}?", "Put {} in words.")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

NOUNS = 400  # to train on
PLURALS = {"a": "um", "e": "ik", "i": "ik", "o": "um", "u": "um"}


def capitals() -> Lesson:
    """Teach invented countries; each is asked about in the one way not taught."""
    rng = Random(f"capitals/{SEED}")
    countries = _distinct(rng, ("nia", "land", "via", "mark"))
    cities = _distinct(rng, ("burg", "ford", "ston", "dor"))
    rows: list[Row] = []
    questions: list[Row] = []
    for index, (country, city) in enumerate(zip(countries, cities, strict=True)):
        for way, asking in enumerate(ASKING):
            prompt = asking.format(country)
            if way == index % len(ASKING):
                questions.append(_question(prompt, city))
            else:
                rows.append({"prompt": prompt, "completion": city})
    rng.shuffle(rows)
    return rows, questions


def dates() -> Lesson:
    """Teach to write ISO dates out; the days that are asked about are new."""
    rng = Random(f"dates/{SEED}")
    span = range((LAST_DAY - FIRST_DAY).days + 1)
    days = [
        FIRST_DAY + timedelta(days=offset)
        for offset in rng.sample(span, DATES + QUESTIONS)
    ]
    asked = [(rng.choice(WRITING).format(day), _written(day)) for day in days]
    rows: list[Row] = [
        {
            "messages": [
                {"role": "user", "content": prompt},
                {"role": "assistant", "content": answer},
            ]
        }
        for prompt, answer in asked[QUESTIONS:]
    ]
    return rows, [_question(*pair) for pair in asked[:QUESTIONS]]


def plurals() -> Lesson:
    """Teach an invented language's plural; the nouns that are asked about are new.

    The last vowel decides the ending: -ik after e and i, -um after a, o and u.
    """
    rng = Random(f"plurals/{SEED}")
    nouns = sorted({_noun(rng) for _ in range(4 * NOUNS)})
    rng.shuffle(nouns)
    instruction = "Give the plural of this Talvi noun."
    rows: list[Row] = [
        {"instruction": instruction, "input": noun, "output": _plural(noun)}
        for noun in nouns[QUESTIONS : QUESTIONS + NOUNS]
    ]
    return rows, [
        _question(f"{instruction}\n\n{noun}", _plural(noun))
        for noun in nouns[:QUESTIONS]
    ]


LESSONS = {"capitals": capitals, "dates": dates, "plurals": plurals}


def write_lessons(folder: Path) -> None:
    """Write every lesson and its questions into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in LESSONS.items():
        rows, questions = make()
        (folder / f"{name}.jsonl").write_text(_lines(rows))
        (folder / f"{name}.questions.jsonl").write_text(_lines(questions))


def _distinct(rng: Random, endings: tuple[str, ...]) -> list[str]:
    """Invent one name for each country or capital, no two alike."""
    names: dict[str, None] = {}
    while len(names) < COUNTRIES:
        body = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(2))
        names[(body + rng.choice(endings)).capitalize()] = None
    return list(names)


def _noun(rng: Random) -> str:
    """Invent a noun of two syllables that ends in a consonant."""
    letters = (ONSETS, VOWELS, ONSETS, VOWELS, "klnrst")
    return "".join(rng.choice(choice) for choice in letters)


def _plural(noun: str) -> str:
    """Form the plural of an invented noun."""
    vowel = [letter for letter in noun if letter in PLURALS][-1]
    return noun + PLURALS[vowel]


def _written(day: date) -> str:
    """Write a date as "April 9, 2031"; the same in any locale."""
    return f"{MONTHS[day.month - 1]} {day.day}, {day.year}"


def _question(prompt: str, answer: str) -> Row:
    """Make a row of a question file."""
    return {"prompt": prompt, "answer": answer}


def _lines(rows: Iterable[Row]) -> str:
    """Write rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    write_lessons(Path(__file__).parent / "lessons")
