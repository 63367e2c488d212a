"""What past nights have dreamt, and how it is drawn: evenly over the dreamers."""

import random
import re
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from pathlib import Path

from sleepcycle.files.runfolder import read_dreams
from sleepcycle.records.content import Completion, Content, Conversation, Role, Text
from sleepcycle.records.example import Dream

WORD = re.compile(r"\w+|[^\w\s]")


def recorded(nights: Iterable[Path]) -> list[Dream]:
    """Return all dreams that are sealed with some nights, in their order."""
    return [dream for night in nights for dream in read_dreams(night)]


def spread(dreams: Sequence[Dream], count: int, seed: int) -> list[Dream]:
    """Return up to `count` dreams at random, from each dreamer in turn.

    So one that dreams every night takes no room from a lesson that was dreamt once. Of
    those that begin alike the newest version's counts: it may have been corrected.
    """
    rng = random.Random(seed)
    by_age = sorted(dreams, key=lambda dream: dream.version)
    latest = {key(dream.content): dream for dream in by_age}
    by_dreamer: dict[int, list[Dream]] = {}
    for dream in latest.values():
        by_dreamer.setdefault(dream.version, []).append(dream)
    groups = list(by_dreamer.values())
    for group in groups:
        rng.shuffle(group)
    rng.shuffle(groups)
    turns = chain.from_iterable(zip_longest(*groups))
    return [dream for dream in turns if dream is not None][:count]


def key(content: Content) -> str:
    """Return what a dream shares with its near-duplicates, however it is answered."""
    return normalised(asked(content))


def asked(content: Content) -> str:
    """Return what a user asks first in a content, or its text; "" where nobody asks."""
    match content:
        case Completion(prompt=text) | Text(text=text):
            return text
        case Conversation(messages=messages):
            said = (one.content for one in messages if one.role is Role.USER)
            return next(said, "")


def normalised(text: str) -> str:
    """Return what near-duplicates share: the words alone, in lower case."""
    return " ".join(WORD.findall(text.casefold()))
