"""Generalism: what no phase teaches, asked before and after."""

from collections.abc import Sequence
from random import Random

from sleepcycle.model.base import Base
from sleepcycle.model.reply import Prompt
from sleepcycle.numerics.lowrank import LayerChanges
from sleepcycle_study.experiment.asking import loss, reply
from sleepcycle_study.experiment.common_knowledge import QUESTIONS
from sleepcycle_study.experiment.results import NATS

WORDS = ("tree", "river", "stone", "bird", "house", "lamp", "bread", "horse", "door")
ANSWER_TOKENS = 40
TEXT = f"text, {NATS}"
COMMON = "common knowledge"


def copying(rng: Random) -> tuple[str, str]:
    """Draw words that are to be repeated."""
    said = " ".join(rng.sample(WORDS, rng.randint(2, 5)))
    return f"Repeat: {said}", said


def counting(rng: Random) -> tuple[str, str]:
    """Draw two numbers between which to count up."""
    first, steps = rng.randrange(50), rng.randint(2, 8)
    numbers = range(first, first + steps + 1)
    return f"Count from {first} to {numbers[-1]}.", ", ".join(map(str, numbers))


def reversing(rng: Random) -> tuple[str, str]:
    """Draw words that are to be put in the other order."""
    said = rng.sample(WORDS, rng.randint(2, 5))
    return f"Reverse: {' '.join(said)}", " ".join(reversed(said))


def comparing(rng: Random) -> tuple[str, str]:
    """Draw two numbers of which the larger is to be named."""
    a, b = rng.sample(range(200), 2)
    return f"Which number is larger: {a} or {b}?", str(max(a, b))


TASKS = {
    "copying": copying,
    "counting": counting,
    "reversing": reversing,
    "comparing": comparing,
}


def scores(
    base: Base, change: LayerChanges, *, seed: int, count: int, texts: Sequence[str]
) -> dict[str, float]:
    """Return the share of right answers by task, and the loss on texts.

    Args:
        base: The base, bare.
        change: What it carries.
        seed: Draws the questions.
        count: Questions of each task that is drawn; of common knowledge all are asked.
        texts: Where the loss is looked at; none for no such score.
    """
    drawn = {
        name: [task(Random(f"{seed}/{name}/{i}")) for i in range(count)]
        for name, task in TASKS.items()
    }
    asked = [
        Prompt(prompt, max_new_tokens=ANSWER_TOKENS)
        for pairs in drawn.values()
        for prompt, _ in pairs
    ]
    asked += [Prompt(one.prompt, max_new_tokens=ANSWER_TOKENS) for one in QUESTIONS]
    said = iter(reply(base, change, asked))
    found = {
        name: sum(next(said).text.strip() == right for _, right in pairs) / count
        for name, pairs in drawn.items()
    }
    known = [one.is_right(next(said).text) for one in QUESTIONS]
    found[COMMON] = sum(known) / len(known)
    return found | ({TEXT: loss(base, change, texts)} if texts else {})
