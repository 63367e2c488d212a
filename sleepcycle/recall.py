"""What past nights have dreamt, and how it is drawn: evenly over the dreamers."""

import random
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from pathlib import Path

from sleepcycle.records import Dream
from sleepcycle.runfolder import read_dreams


def recorded(nights: Iterable[Path]) -> list[Dream]:
    """Return all dreams that are sealed with some nights."""
    return [dream for night in nights for dream in read_dreams(night)]


def spread(dreams: Sequence[Dream], count: int, seed: int) -> list[Dream]:
    """Draw up to `count` dreams, as many of each dreamer as it has and others have.

    A lesson that was dreamt once is so not drowned by one that dreams every night.
    """
    rng = random.Random(seed)
    by_dreamer: dict[int, list[Dream]] = {}
    for dream in dreams:
        by_dreamer.setdefault(dream.version, []).append(dream)
    groups = list(by_dreamer.values())
    for group in groups:
        rng.shuffle(group)
    rng.shuffle(groups)
    turns = chain.from_iterable(zip_longest(*groups))
    return [dream for dream in turns if dream is not None][:count]
