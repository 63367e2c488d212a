"""Writes the text that `builtin:nano` is pre-trained on: all invented, from a seed.

Two fifths of it are plain text (stories, counting, facts, notes), the rest is chat.
Nothing is taken from outside. The facts are those of an invented world that all
documents share: the model learns that a fact can be asked for in many ways, but
none that a lesson could later teach.
"""

from dataclasses import dataclass
from random import Random

from tools.nano_skills import SKILLS
from tools.nano_stories import STORIES
from tools.nano_world import World

CHAT_SHARE = 0.6  # of the documents
LONGER_SHARE = 0.3  # of the chats: they go on, about anything
MOST_FURTHER = 3  # exchanges


@dataclass(frozen=True, slots=True)
class Document:
    """One document: a single turn is plain text, more are user, assistant, user..."""

    kind: str
    turns: tuple[str, ...]


def document(world: World, seed: int, index: int) -> Document:
    """Write one document; the same seed and index give the same one, in any order."""
    rng = Random(f"{seed}/{index}")
    if rng.random() >= CHAT_SHARE:
        kind = rng.choice(list(STORIES))
        return Document(kind, (STORIES[kind](rng, world),))
    kind = rng.choice(list(SKILLS))
    turns = [*SKILLS[kind](rng, world)]
    if rng.random() < LONGER_SHARE:
        for _ in range(rng.randint(1, MOST_FURTHER)):
            turns += SKILLS[rng.choice(list(SKILLS))](rng, world)
    return Document(kind, tuple(turns))
