"""What a turn is given to begin with, so that a base asks what it hardly would else.

From nothing a chat model asks mostly for long texts, of which few come to an end; from
a question's first word it asks short questions.
"""

import math
from collections.abc import Callable, Sequence
from random import Random

from sleepcycle.files.dream_archive import asked
from sleepcycle.model.base import Base
from sleepcycle.model.dream_start import (
    dream_start,
)
from sleepcycle.model.encode import (
    Encoded,
)
from sleepcycle.model.score import each_nll, ignore_batch
from sleepcycle.model.token_ids import plain
from sleepcycle.records.content import Content

LONGEST = 9  # words, of which the last is never given
LEAST_LIKELY = 1e-4  # chance of a word to be the first; a base that never saw it has
# less than 1e-5, and of what others ask now and then, "How many" has 3e-4


def likely(
    base: Base,
    words: Sequence[str],
    *,
    on_batch: Callable[[], None] = ignore_batch,
) -> list[str]:
    """Return those words with which whatever is active might begin a turn itself.

    So words of another language, or of none that a base has read, are left out.

    Args:
        base: The base; one without a chat template begins texts, and no turn.
        words: What may come first.
        on_batch: Called after each batch.

    Raises:
        ModelError: The base cannot dream.
    """
    if not (base.chat and words):
        return []
    start = dream_start(base)
    encoded = [_after(start, plain(base.tokenizer, word)) for word in words]
    nats = each_nll(base, encoded, on_batch=on_batch)
    return [
        word
        for word, unlikely in zip(words, nats, strict=True)
        if math.exp(-unlikely) >= LEAST_LIKELY
    ]


def first_words(contents: Sequence[Content], count: int, seed: int) -> list[str]:
    """Return the first words of so many contents, cut at random."""
    rng = Random(seed)
    found = []
    for content in contents and rng.choices(contents, k=count):
        words = asked(content).split()[:LONGEST]
        if len(words) > 1:
            found.append(" ".join(words[: rng.randrange(1, len(words))]))
    return found


def _after(start: Sequence[int], word: Sequence[int]) -> Encoded:
    """Return a sequence whose last tokens are to be scored."""
    return Encoded((*start, *word), (0.0,) * len(start) + (1.0,) * len(word))
