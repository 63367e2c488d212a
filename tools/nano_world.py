"""The invented world of the pre-training text: its words, names and facts."""

# ruff: noqa: SIM905 - words in a row read better than words in quotes

from dataclasses import dataclass
from random import Random

ONSETS = "b d f g h j k l m n p r s t v w z br dr gr kl pl sh st th tr".split()
VOWELS = "a e i o u".split()
ENDS = ["", "", "", "n", "r", "l", "s", "m", "t", "k"]

MONTHS = (
    "January February March April May June July August September October November "
    "December"
).split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen twenty"
).split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
).split()
NAMES = (
    "Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Mia Noah Olga Paul "
    "Rosa Sam Tina Victor"
).split()
NOUNS = (
    "apple ball bell bird boat book bottle box bridge car cat chair clock cloud coat "
    "cow cup dog door duck farm field flower forest frog garden goat hat hill horse "
    "house kite lake lamp letter moon mouse park pen pig plate river road rock rose "
    "school ship shoe song spoon star stone table tree village wall window"
).split()
COLOURS = "red blue green yellow white black brown grey orange pink".split()
PLACES = "house garden park forest school farm lake village river hill".split()
VERBS = {
    "find": "found", "see": "saw", "lose": "lost", "want": "wanted",
    "bring": "brought", "buy": "bought", "make": "made", "draw": "drew",
    "like": "liked", "take": "took",
}  # fmt: skip
OPPOSITES = [
    *("big small", "hot cold", "old new", "long short", "fast slow", "high low"),
    *("dark light", "hard soft", "wet dry", "open closed", "full empty", "near far"),
    *("early late", "loud quiet", "happy sad", "rich poor", "strong weak"),
]
JOBS = "baker doctor farmer teacher singer pilot painter driver cook nurse".split()
COUNTRIES = 300
THINGS = 150


@dataclass(frozen=True, slots=True)
class World:
    """Facts that hold in all documents; every name in it is invented."""

    capitals: dict[str, str]
    """Country to capital."""

    jobs: dict[str, str]
    """Person to job."""

    colours: dict[str, str]
    """Thing to colour."""


def make_world(seed: int) -> World:
    """Invent a world."""
    rng = Random(f"world/{seed}")
    names = sorted({invented_name(rng) for _ in range(4 * (COUNTRIES + THINGS))})
    rng.shuffle(names)
    take = iter(names)
    return World(
        capitals={next(take): next(take) for _ in range(COUNTRIES)},
        jobs={next(take): rng.choice(JOBS) for _ in range(THINGS)},
        colours={next(take).lower(): rng.choice(COLOURS) for _ in range(THINGS)},
    )


def invented_word(rng: Random) -> str:
    """Make a word of two or three syllables that means nothing."""
    syllables = rng.choice((2, 2, 3))
    parts = [rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(syllables)]
    return "".join(parts) + rng.choice(ENDS)


def invented_name(rng: Random) -> str:
    """Make an invented word that starts with a capital letter."""
    return invented_word(rng).capitalize()
