"""The chats of the pre-training text: every skill as a question and its answer."""

from collections.abc import Callable
from random import Random

from tools.nano_world import (
    COLOURS,
    JOBS,
    MONTHS,
    NAMES,
    NOUNS,
    NUMBERS,
    OPPOSITES,
    ORDINALS,
    VOWELS,
    WEEKDAYS,
    World,
    invented_name,
    invented_word,
)
from tools.nano_writing import (
    Exchange,
    capitals,
    enclose,
    from_anywhere,
    join,
    sign,
    some_capitals,
    some_enclosed,
    some_letters,
    some_signs,
)

Skill = Callable[[Random, World], Exchange]


def add(rng: Random, _: World) -> Exchange:
    """Add two numbers below 100."""
    a, b = rng.randrange(100), rng.randrange(100)
    frames = ("What is {} + {}?", "{} + {} =", "Add {} and {}.", "How much is {} + {}?")
    return rng.choice(frames).format(a, b), str(a + b)


def subtract(rng: Random, _: World) -> Exchange:
    """Take a number below 100 from one that is not smaller."""
    b, a = sorted((rng.randrange(100), rng.randrange(100)))
    frames = ("What is {} - {}?", "{} - {} =", "{} minus {} is what?")
    return rng.choice(frames).format(a, b), str(a - b)


def multiply(rng: Random, _: World) -> Exchange:
    """Multiply two numbers up to 10."""
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    frames = ("What is {} times {}?", "{} x {} =", "Multiply {} by {}.")
    return rng.choice(frames).format(a, b), str(a * b)


def add_large(rng: Random, _: World) -> Exchange:
    """Add two numbers of up to four digits."""
    a, b = _sized(rng), _sized(rng)
    frames = ("What is {} plus {}?", "Add {} and {}.", "{} and {} together are")
    return rng.choice(frames).format(a, b), str(a + b)


def subtract_large(rng: Random, _: World) -> Exchange:
    """Take a number of up to four digits from another, also from a smaller one."""
    a, b = _sized(rng), _sized(rng)
    frames = ("What is {} minus {}?", "From {} take {}.", "{} less {} is")
    return rng.choice(frames).format(a, b), str(a - b)


def multiply_large(rng: Random, _: World) -> Exchange:
    """Multiply a number of up to three digits by one of one digit."""
    a, b = rng.randrange(10 ** rng.randint(2, 3)), rng.randrange(10)
    frames = ("What is {} multiplied by {}?", "{} times {} is", "{} * {} =")
    return rng.choice(frames).format(a, b), str(a * b)


def compare(rng: Random, _: World) -> Exchange:
    """Say which of two numbers is larger or smaller."""
    a, b = rng.sample(range(200), 2)
    larger = rng.random() < 0.5
    frames = ("Which number is {}: {} or {}?", "Which is {}, {} or {}?")
    word = rng.choice(("larger", "bigger") if larger else ("smaller", "less"))
    return rng.choice(frames).format(word, a, b), str((max if larger else min)(a, b))


def count(rng: Random, _: World) -> Exchange:
    """Count up or down between two numbers."""
    start, steps = rng.randrange(60), rng.randint(2, 8)
    run = list(range(start, start + steps + 1))
    if rng.random() < 0.3:
        run.reverse()
    frames = ("Count from {} to {}.", "Say the numbers from {} to {}.")
    answer = ", ".join(map(str, run))
    return rng.choice(frames).format(run[0], run[-1]), answer


def say_number(rng: Random, _: World) -> Exchange:
    """Turn a small number into a word, or a word into a number."""
    number = rng.randrange(len(NUMBERS))
    if rng.random() < 0.5:
        return f"Write {number} as a word.", NUMBERS[number]
    return f"Write {NUMBERS[number]} as a number.", str(number)


def copy(rng: Random, _: World) -> Exchange:
    """Say again what was said: words, digits, dates, signs, or what means nothing."""
    said = rng.choice(COPIED)(rng)
    frames = ("Repeat: {}", "Say again: {}", "Copy this: {}", "Repeat this.\n\n{}")
    return rng.choice(frames).format(said), said


def reverse(rng: Random, _: World) -> Exchange:
    """Say a few words or digits in the other order."""
    parts = rng.sample(NOUNS, rng.randint(2, 5))
    if rng.random() < 0.4:
        parts = list(_digits(rng)[:5])
    frames = ("Say backwards: {}", "Reverse: {}", "Turn around: {}")
    said, answer = " ".join(parts), " ".join(reversed(parts))
    return rng.choice(frames).format(said), answer


def spell(rng: Random, _: World) -> Exchange:
    """Spell a word, or join its letters."""
    word = rng.choice((rng.choice(NOUNS), invented_word(rng)))
    letters = "-".join(word)
    if rng.random() < 0.5:
        return rng.choice(("Spell {}.", "Spell the word {}.")).format(word), letters
    return f"Join the letters: {letters}", word


def affix(rng: Random, _: World) -> Exchange:
    """Put a syllable before or behind a word of no language."""
    word, part = invented_word(rng), _syllable(rng)
    frames = ("Put {} {} {}.", "Write {} {} the word {}.", "{} {} {}")
    if rng.random() < 0.7:
        return rng.choice(frames).format(part, "behind", word), word + part
    return rng.choice(frames).format(part, "before", word), part + word


def rule(rng: Random, _: World) -> Exchange:
    """Follow a rule that two examples show."""
    suffix = _syllable(rng)
    first, second, asked = (invented_word(rng) for _ in range(3))
    lines = (f"{first} -> {first}{suffix}", f"{second} -> {second}{suffix}", asked)
    return "\n".join(lines) + " ->", asked + suffix


def month(rng: Random, _: World) -> Exchange:
    """Know the months and their order."""
    at = rng.randrange(12)
    frames = (
        (f"Which month comes after {MONTHS[at]}?", MONTHS[(at + 1) % 12]),
        (f"Which month comes before {MONTHS[at]}?", MONTHS[at - 1]),
        (f"What is month number {at + 1}?", MONTHS[at]),
        (f"Which number has the month {MONTHS[at]}?", str(at + 1)),
        (f"What is the {ORDINALS[at]} month of the year?", MONTHS[at]),
    )
    return rng.choice(frames)


def weekday(rng: Random, _: World) -> Exchange:
    """Know the days of the week and their order."""
    at = rng.randrange(7)
    frames = (
        (f"Which day comes after {WEEKDAYS[at]}?", WEEKDAYS[(at + 1) % 7]),
        (f"Which day comes before {WEEKDAYS[at]}?", WEEKDAYS[at - 1]),
        (f"What is the {ORDINALS[at]} day of the week?", WEEKDAYS[at]),
    )
    return rng.choice(frames)


def opposite(rng: Random, _: World) -> Exchange:
    """Know the opposite of a common word."""
    pair = rng.choice(OPPOSITES).split()
    rng.shuffle(pair)
    frames = ("What is the opposite of {}?", "Give the opposite of {}.", "Not {}, but")
    return rng.choice(frames).format(pair[0]), pair[1]


def capital(rng: Random, world: World) -> Exchange:
    """Know the capitals of the invented world, asked in many ways."""
    country, city = rng.choice(list(world.capitals.items()))
    frames = (
        *("What is the capital of {}?", "Which city is the capital of {}?"),
        *("Name the capital of {}.", "{} has which capital?", "The capital of {} is"),
        *("Tell me the capital city of {}.", "Capital of {}?"),
    )
    return rng.choice(frames).format(country), city


def attribute(rng: Random, world: World) -> Exchange:
    """Know the jobs and colours of the invented world."""
    if rng.random() < 0.5:
        person, job = rng.choice(list(world.jobs.items()))
        frames = ("What is the job of {}?", "What does {} do?", "Which job has {}?")
        return rng.choice(frames).format(person), job
    thing, colour = rng.choice(list(world.colours.items()))
    frames = ("Which colour has a {}?", "What colour is a {}?", "Colour of a {}?")
    return rng.choice(frames).format(thing), colour


def recall(rng: Random, _: World) -> Exchange:
    """Find a fact that the question itself states, between others."""
    kind = rng.choice(("capital", "job", "colour"))
    facts = [_fact(rng, kind) for _ in range(rng.randint(1, 3))]
    subject, value, _sentence = rng.choice(facts)
    asked = {
        "capital": f"What is the capital of {subject}?",
        "job": f"What is the job of {subject}?",
        "colour": f"What colour is the {subject}?",
    }[kind]
    told = " ".join(sentence for _, _, sentence in facts)
    return f"{told} {asked}", value


def _fact(rng: Random, kind: str) -> tuple[str, str, str]:
    """Invent a subject, its value, and the sentence that says so."""
    if kind == "capital":
        country, city = invented_name(rng), invented_name(rng)
        return country, city, f"The capital of {country} is {city}."
    if kind == "job":
        person, job = rng.choice((rng.choice(NAMES), invented_name(rng))), _job(rng)
        return person, job, f"{person} is a {job}."
    thing, colour = rng.choice(NOUNS), rng.choice(COLOURS)
    return thing, colour, f"The {thing} is {colour}."


def _job(rng: Random) -> str:
    """Choose a job."""
    return rng.choice(JOBS)


def _words(rng: Random) -> str:
    """Choose a few common words."""
    return " ".join(rng.sample(NOUNS, rng.randint(1, 5)))


def _digits(rng: Random) -> str:
    """Choose 2 to 8 digits."""
    return str(rng.randrange(10, 10 ** rng.randint(2, 8)))


def _codes(rng: Random) -> str:
    """Choose numbers with marks between them."""
    parts = (str(rng.randrange(10 ** rng.randint(1, 4))) for _ in range(3))
    return rng.choice("-/:., ").join(parts)


def _strange(rng: Random) -> str:
    """Invent one to three words or names."""
    make = rng.choice((invented_word, invented_name))
    return " ".join(make(rng) for _ in range(rng.randint(1, 3)))


def _sized(rng: Random) -> int:
    """Choose a number of up to four digits, of each length alike often."""
    return rng.randrange(10 ** rng.randint(1, 4))


def _syllable(rng: Random) -> str:
    """Choose a short ending such as -an or -ko."""
    letters = [rng.choice(VOWELS), rng.choice("bdfgklmnprstvz")]
    rng.shuffle(letters)
    return "".join(letters)


COPIED = (
    *(_words, _words, _digits, _digits, _codes, _codes, _strange, _strange),
    *(some_signs, some_letters, some_capitals, some_enclosed, from_anywhere),
)

SKILLS: dict[str, Skill] = {
    skill.__name__: skill
    for skill in (
        *(add, subtract, multiply, compare, count, say_number, copy, reverse, spell),
        *(affix, rule, month, weekday, opposite, capital, attribute, recall),
        *(add_large, subtract_large, multiply_large, capitals, enclose, sign, join),
    )
}
