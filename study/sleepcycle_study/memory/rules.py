"""Rules to be found: each draws a prompt and its answer, in a wording of its own."""

from collections.abc import Callable
from random import Random

Draw = Callable[[Random], tuple[str, str]]
ONSETS, VOWELS = "bdfgklmnprstvz", "aeiou"
LETTERS = "abcdefghkmnprstuvwxyz"
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
SEASONS = ("winter", "spring", "summer", "autumn")
PEOPLE = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo")


def name(rng: Random) -> str:
    """Return an invented name."""
    return word(rng, 3).capitalize()


def word(rng: Random, syllables: int) -> str:
    """Return an invented word."""
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(syllables))


def _date(rng: Random) -> tuple[str, str]:
    """Draw a date that is to be written in words."""
    year, month, day = _day(rng)
    said = f"{MONTHS[month - 1]} {day}, {year}"
    return f"Write out the date {year}-{month:02d}-{day:02d}.", said


def _number(rng: Random) -> tuple[str, str]:
    """Draw a date that is to be written as one number."""
    year, month, day = _day(rng)
    return f"Number the date {day}.{month}.{year}.", f"{year}{month:02d}{day:02d}"


def _season(rng: Random) -> tuple[str, str]:
    """Draw a date whose season is asked."""
    year, month, day = _day(rng)
    season = SEASONS[month % 12 // 3]
    return f"Which season has the date {year}-{month:02d}-{day:02d}?", season


def _clock(rng: Random) -> tuple[str, str]:
    """Draw a time that is to be read, minutes first."""
    hour, minute = rng.randint(0, 23), rng.randint(0, 59)
    return f"Say the time {hour:02d}:{minute:02d}.", f"{minute} past {hour}"


def _day(rng: Random) -> tuple[int, int, int]:
    """Return year, month and day."""
    return rng.randint(1900, 2099), rng.randint(1, 12), rng.randint(1, 28)


def _form(called: str, change: Callable[[str], str]) -> Draw:
    """Return what puts an invented noun into a form, such as its plural."""

    def draw(rng: Random) -> tuple[str, str]:
        """Draw a noun."""
        noun = word(rng, 2) + rng.choice(ONSETS)
        return f"Give the {called} of {noun}.", change(noun)

    return draw


def _operation(
    words: str, compute: Callable[[int, int], int], least: int = 1, most: int = 40
) -> Draw:
    """Return what computes an invented operation; `least` and `most` are its first."""

    def draw(rng: Random) -> tuple[str, str]:
        """Draw two numbers."""
        a, b = rng.randint(least, most), rng.randint(0, 20)
        return f"What is {a} {words} {b}?", str(compute(a, b))

    return draw


def _order(more: str, most: str, least: str) -> Draw:
    """Return what finds the first or the last of three."""

    def draw(rng: Random) -> tuple[str, str]:
        """Draw three people."""
        a, b, c = rng.sample(PEOPLE, 3)
        told = [f"{a} is {more} than {b}.", f"{b} is {more} than {c}."]
        rng.shuffle(told)
        first = rng.random() < 0.5
        asked = f"{' '.join(told)} Who is the {most if first else least}?"
        return asked, a if first else c

    return draw


def _code(verb: str, change: Callable[[str], str]) -> Draw:
    """Return what changes a short code."""

    def draw(rng: Random) -> tuple[str, str]:
        """Draw a code."""
        code = "".join(rng.sample(LETTERS, rng.randint(2, 3)))
        return f"{verb} the code {code}.", change(code)

    return draw


def _kind(question: str, kinds: tuple[tuple[str, str], ...]) -> Draw:
    """Return what tells a word's kind by its ending."""

    def draw(rng: Random) -> tuple[str, str]:
        """Draw a word."""
        ending, kind = rng.choice(kinds)
        return question.format(word(rng, 2)[:-1] + ending), kind

    return draw


def _shift(code: str) -> str:
    """Return the code with each letter's follower."""
    return "".join(LETTERS[(LETTERS.index(c) + 1) % len(LETTERS)] for c in code)


ROUNDS: tuple[dict[str, Draw], ...] = (
    {
        "dates": _date,
        "plurals": _form("plural", lambda n: n + ("ik" if n[-2] in "ei" else "um")),
        "doubling": _operation("doubled with", lambda a, b: 2 * a + b),
        "elders": _order("older", "eldest", "youngest"),
        "mirrors": _code("Mirror", lambda code: f"{code[::-1]} {code}"),
        "kinds": _kind(
            "What kind of thing is a {}?",
            (("or", "beast"), ("el", "plant"), ("ik", "stone")),
        ),
    },
    {
        "clocks": _clock,
        "duals": _form("dual", lambda n: n + ("on" if n[1] in "ao" else "esh")),
        "tripling": _operation("tripled with", lambda a, b: 3 * a + b),
        "tallest": _order("taller", "tallest", "shortest"),
        "doubles": _code("Double", lambda code: code + code),
        "guilds": _kind(
            "Which guild has the {}?",
            (("ak", "smiths"), ("em", "bakers"), ("ut", "weavers")),
        ),
    },
    {
        "seasons": _season,
        "smalls": _form("small form", lambda n: ("pi" if n[-1] < "m" else "ta") + n),
        "parting": _operation("parted by", lambda a, b: a - b, 21, 60),
        "fastest": _order("faster", "fastest", "slowest"),
        "shifts": _code("Shift", _shift),
        "homes": _kind(
            "Where does the {} live?",
            (("ap", "forest"), ("il", "river"), ("og", "hill")),
        ),
    },
    {
        "numbers": _number,
        "pasts": _form("past", lambda n: n + ("et" if n[-1] in "bdgvz" else "al")),
        "twinning": _operation("twinned with", lambda a, b: a + 2 * b),
        "richest": _order("richer", "richest", "poorest"),
        "sorts": _code("Sort", lambda code: "".join(sorted(code))),
        "stuffs": _kind(
            "What is the {} made of?",
            (("an", "iron"), ("is", "wool"), ("ud", "glass")),
        ),
    },
)
"""Rules by name: one of each family a round."""
