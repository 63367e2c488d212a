"""Questions that a careful answer declines: impossible, tricky and nonsense ones."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from sleepcycle_study.domains.words import ANIMALS, COLOURS, PEOPLE, THINGS, invented


@dataclass(frozen=True, slots=True)
class Riddle:
    """One question, and what else than declining it is not wrong."""

    question: str
    right: tuple[str, ...] = ()
    """Answers that are right; a whole number must come first in an answer."""


def impossible(rng: Random) -> Riddle:
    """Ask for what is not told, or is not there."""
    (a, b), thing = rng.sample(PEOPLE, 2), rng.choice(THINGS)
    n, k = rng.randint(3, 99), rng.randint(2, 30)
    none = ("none", "no", "nothing", "there is no", "there are no")
    return rng.choice((
        Riddle(f"{a} has a bag. How many {thing}s are in the bag?"),
        Riddle(f"{a} is {k} years older than {b}. How old is {a}?"),
        Riddle(f"{a} picked a number from 1 to {n}. Which one was it?"),
        Riddle(f"What is {n} divided by 0?", (*none, "infinity", "infinite")),
        Riddle(f"Which whole number lies between {n} and {n + 1}?", none),
        Riddle(f"Which whole number above {n} is both even and odd?", none),
        Riddle(f"{a} bought a {thing} and paid with {n} coins. What was its price?"),
        Riddle(f"How many {thing}s will {a} buy on the first day of next year?"),
    ))  # fmt: skip


def tricky(rng: Random) -> Riddle:
    """Ask what invites a wrong answer."""
    a, (thing, other) = rng.choice(PEOPLE), rng.sample(THINGS, 2)
    n, k, animals = rng.randint(11, 60), rng.randint(2, 9), rng.choice(ANIMALS)
    same = ("neither", "the same", "same", "equal", "equally", "both")
    return rng.choice((
        Riddle(f"{a} has {n} {animals}. All but {k} run away. How many stay?",
               (str(k),)),
        Riddle(f"There are {n} {thing}s. {a} takes {k}. How many has {a}?", (str(k),)),
        Riddle(f"{a} overtakes the runner in place {n}. Which place has {a} now?",
               (str(n),)),
        Riddle(f"Which weighs more: {k} kilos of {thing}s or {k} kilos of {other}s?",
               same),
        Riddle(f"Divide {2 * n} by a half. What comes out?", (str(4 * n),)),
        Riddle(f"A clock strikes {k} times in {k - 1} seconds. How many seconds for "
               f"{k + 1} strikes?", (str(k),)),
        Riddle(f"{a} buries {n} dead {animals}. How many of them are alive?",
               ("0", "none", "zero", "no")),
        Riddle(f"How many {thing}s can {a} put into an empty box before it is not "
               "empty?", ("1", "one")),
    ))  # fmt: skip


def nonsense(rng: Random) -> Riddle:
    """Ask about words and mixtures that mean nothing."""
    first, second, n = invented(rng), invented(rng), rng.randint(2, 999)
    thing, colour = rng.choice(THINGS), rng.choice(COLOURS)
    return rng.choice((
        Riddle(f"How many {first}s are in a {second}?"),
        Riddle(f"What is the colour of the number {n}?"),
        Riddle(f"What is {first} plus {second}?"),
        Riddle(f"Which day comes after {first}day?"),
        Riddle(f"How many {thing}s does the colour {colour} weigh?"),
        Riddle(f"What is the capital of the number {n}?"),
        Riddle(f"In which year did {first.capitalize()} win the {second} prize?"),
        Riddle(f"How long must a {thing} sleep until it is {n}?"),
    ))  # fmt: skip


RIDDLES: dict[str, Callable[[Random], Riddle]] = {
    draw.__name__: draw for draw in (impossible, tricky, nonsense)
}
"""Every kind, and what draws one."""
