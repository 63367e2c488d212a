"""What is learned: the same batches for every way, from a file's rows or made up."""

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sleepcycle.model.base import Base
from sleepcycle.model.encode import Encoded, encode_all
from sleepcycle.records.content import Completion


@dataclass(frozen=True)
class Work:
    """What every way has to do."""

    rows: str
    """File of questions and answers, one JSON object a line; "" for made-up ones."""

    examples: int
    """A step."""

    length: int
    """Tokens of every example; 0 leaves them as long as they are."""

    steps: int
    warm: int
    """Steps before the clock starts."""

    device: str
    checkpointing: str
    """`on` or `off`."""

    memory: float
    """Most GB that torch may take of a GPU, loading included; 0 for all."""


def batches_of(base: Base, work: Work) -> list[list[Encoded]]:
    """Return the examples of each step; rows begin anew where they end."""
    contents = (Completion(*pair) for pair in _pairs(work.rows))
    count = work.steps * work.examples
    examples = encode_all(islice(contents, count), base, prompt_weight=0)
    if work.length:
        examples = _of_length(examples, work)
    examples = [examples[i % len(examples)] for i in range(count)]
    starts = range(0, count, work.examples)
    return [examples[first : first + work.examples] for first in starts]


def _of_length(examples: Sequence[Encoded], work: Work) -> list[Encoded]:
    """Return examples of one length, all of it learned, made of these."""
    ids = [token for one in examples for token in one.ids]
    ids *= -(-work.length // len(ids))  # at least one
    count = min(work.steps * work.examples, len(ids) // work.length)
    cuts = (tuple(ids[i * work.length : (i + 1) * work.length]) for i in range(count))
    return [Encoded(cut, (0.0, *[1.0] * (work.length - 1))) for cut in cuts]


def _pairs(rows: str) -> Iterator[tuple[str, str]]:
    """Yield questions and answers."""
    if rows:
        opened = gzip.open if rows.endswith(".gz") else open
        with opened(rows, "rt", encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield row["question"], row["answer"]
        return
    rng = random.Random(0)
    while True:
        yield _made_up(rng)


def _made_up(rng: random.Random) -> tuple[str, str]:
    """Return an invented word problem with its solution, about 200 tokens."""
    things = ("apples", "stamps", "candles", "marbles", "postcards", "bricks")
    thing, name = rng.choice(things), rng.choice(("Orla", "Mirko", "Tarn", "Ines"))
    count, steps, text = rng.randint(20, 90), [], ""
    for day in range(rng.randint(2, 6)):
        more = rng.randint(2, 19)
        text += f" On day {day + 1} {name} buys {more} more {thing} at the market."
        count += more
        steps.append(
            f"After day {day + 1} there are {count - more} + {more} = {count}."
        )
    first = f"{name} keeps a box of {thing}.{text} How many {thing} are in the box?"
    return first, "\n".join([*steps, f"#### {count}"])
