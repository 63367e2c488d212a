"""A table of facts about invented people, towns and boxes, drawn from a seed."""

from dataclasses import dataclass
from random import Random

from sleepcycle_study.domains.words import invented_name

SIZE = 24
"""Subjects of each sort."""

TRADES = (
    *("baker", "carpenter", "dentist", "farmer", "gardener", "hunter", "judge"),
    *("lawyer", "miller", "nurse", "painter", "sailor", "tailor", "weaver"),
)


@dataclass(frozen=True, slots=True)
class Relation:
    """One column of the table: what is known of its subjects, and how it is asked."""

    name: str
    sort: str
    """What an answer is, such as `a town`."""

    taught: str
    """The question that is taught."""

    asked: str
    """Another wording, which is only asked."""


HOME = Relation("home", "a town", "Where does {} live?", "Which town is {} from?")
TRADE = Relation(
    "trade", "a trade", "What is the trade of {}?", "How does {} earn money?"
)
RIVER = Relation(
    "river", "a river", "Which river runs through {}?", "On which river lies {}?"
)
CODE = Relation(
    "code", "four digits", "What is the code of the {} box?", "What opens the {} box?"
)
RELATIONS = {relation.name: relation for relation in (HOME, TRADE, RIVER, CODE)}


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact: a subject, a relation, and what stands there."""

    subject: str
    relation: str
    value: str

    @property
    def key(self) -> str:
        """What the fact is about, without what is to be known."""
        return key_of(self.subject, self.relation)


def key_of(subject: str, relation: str) -> str:
    """Return the key of what might be known of a subject."""
    return f"{subject} | {relation}"


@dataclass(frozen=True, slots=True)
class Factbook:
    """All facts that there are."""

    rows: tuple[Fact, ...]

    def values(self, relation: str) -> list[str]:
        """Return what stands under a relation anywhere, each once."""
        return sorted({row.value for row in self.rows if row.relation == relation})

    def names(self) -> set[str]:
        """Return every subject and every value."""
        return {word for row in self.rows for word in (row.subject, row.value)}


def make_table(seed: int) -> Factbook:
    """Invent a table: `SIZE` people with home and trade, as many towns and boxes."""
    rng = Random(f"facts/{seed}")
    people, towns, rivers, boxes = _names(rng)
    rows = []
    for person, home in zip(people, rng.sample(towns, SIZE), strict=True):
        rows.append(Fact(person, HOME.name, home))
        rows.append(Fact(person, TRADE.name, rng.choice(TRADES)))
    for town, river in zip(towns, rivers, strict=True):
        rows.append(Fact(town, RIVER.name, river))
    codes = rng.sample(range(1_000, 10_000), SIZE)
    for box, code in zip(boxes, codes, strict=True):
        rows.append(Fact(box, CODE.name, str(code)))
    return Factbook(tuple(rows))


def _names(rng: Random) -> list[list[str]]:
    """Invent four lots of names, none twice."""
    found: dict[str, None] = {}
    while len(found) < 4 * SIZE:
        found[invented_name(rng)] = None
    names = list(found)
    return [names[at : at + SIZE] for at in range(0, len(names), SIZE)]
