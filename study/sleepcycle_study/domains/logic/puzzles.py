"""Logic puzzles of eight kinds, drawn with their answers and a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from sleepcycle_study.domains.short_replies import CANNOT_TELL
from sleepcycle_study.domains.words import (
    ACTIONS,
    PEOPLE,
    THINGS,
    action_of,
    invented_plural,
)

YES_NO = ("yes", "no", CANNOT_TELL)
TRUTH = ("true", "false")


@dataclass(frozen=True, slots=True)
class Puzzle:
    """One question with a short answer."""

    question: str
    answer: str
    reason: str
    """In a few words, such as `Anna > Bruno > Clara`."""

    options: tuple[str, ...] = ()
    """What an answer is chosen from; none where it is a number."""

    hard: bool = False
    """Whether it takes more than one step."""


RELATIONS = (
    ("taller", "tallest", "shortest"),
    ("older", "oldest", "youngest"),
    ("faster", "fastest", "slowest"),
    ("stronger", "strongest", "weakest"),
)
"""A comparison, and what the first and the last are."""


def comparison(rng: Random) -> Puzzle:
    """Order three or four people by pairs, and name an end of the chain."""
    more, most, least = rng.choice(RELATIONS)
    chain = rng.sample(PEOPLE, rng.choice((3, 3, 4)))
    told = [f"{a} is {more} than {b}." for a, b in pairwise(chain)]
    rng.shuffle(told)
    first = rng.random() < 0.5
    return Puzzle(
        f"{' '.join(told)} Who is the {most if first else least}?",
        chain[0] if first else chain[-1],
        " > ".join(chain),
        tuple(chain),
        hard=len(chain) > 3,
    )


def boolean(rng: Random) -> Puzzle:
    """Work out an expression of and, or and not."""
    leaves = [_leaf(rng) for _ in range(rng.choice((2, 3, 4)))]
    text, value = leaves[0]
    for other, truth in leaves[1:]:
        sign = rng.choice(("and", "or"))
        text = f"({text}) {sign} {other}" if " " in text else f"{text} {sign} {other}"
        value = (value and truth) if sign == "and" else (value or truth)
    if rng.random() < 0.5:
        text, value = f"not ({text})", not value
    answer = str(value).lower()
    return Puzzle(
        f"What is {text}, true or false?",
        answer,
        f"it comes out as {answer}",
        TRUTH,
        hard=len(leaves) > 2,
    )


def _leaf(rng: Random) -> tuple[str, bool]:
    """Draw true or false, perhaps turned around."""
    value = rng.random() < 0.5
    word = str(value).lower()
    return (f"not {word}", not value) if rng.random() < 0.4 else (word, value)


def membership(rng: Random) -> Puzzle:
    """Return whether something is in one set, in two, or in only the first."""
    drawn = rng.sample(THINGS, 6)
    first, second = drawn[:3], drawn[2:5]  # one thing is in both
    how = rng.choice(("in A", "in A and in B", "in A or in B", "in A but not in B"))
    inside = {
        "in A": set(first),
        "in A and in B": set(first) & set(second),
        "in A or in B": {*first, *second},
        "in A but not in B": set(first) - set(second),
    }[how]
    wanted = inside if rng.random() < 0.5 else set(drawn) - inside
    asked = rng.choice(sorted(wanted))
    rng.shuffle(first)
    rng.shuffle(second)
    a, b = (
        f"{name} = {{{', '.join(s)}}}." for name, s in (("A", first), ("B", second))
    )
    told = a if how == "in A" else f"{a} {b}"
    places = [name for name, s in (("A", first), ("B", second)) if asked in s]
    where = " and ".join(places) or "neither"
    answer = "yes" if asked in inside else "no"
    return Puzzle(
        f"{told} Is {asked} {how}?",
        answer,
        f"{asked} is in {where}" if how != "in A" else f"it is{_not(answer)} listed",
        YES_NO,
        hard=how != "in A",
    )


SYLLOGISMS = (
    ("All {a} are {b}. All {b} are {c}. Are all {a} {c}?", "yes"),
    ("All {a} are {b}. No {b} are {c}. Are any {a} {c}?", "no"),
    ("Some {a} are {b}. All {b} are {c}. Are some {a} {c}?", "yes"),
    ("No {b} are {c}. All {a} are {b}. Are some {a} {c}?", "no"),
    ("All {a} are {c}. All {b} are {c}. Are all {a} {b}?", CANNOT_TELL),
    ("Some {a} are {b}. Some {b} are {c}. Are some {a} {c}?", CANNOT_TELL),
    ("All {a} are {b}. Some {b} are {c}. Are some {a} {c}?", CANNOT_TELL),
)
"""Figures, valid and invalid, and what follows."""


def syllogism(rng: Random) -> Puzzle:
    """Draw a conclusion about things that nobody knows, where there is one."""
    wanted = rng.choice(YES_NO)
    figure = rng.choice([text for text, answer in SYLLOGISMS if answer == wanted])
    names = dict(zip("abc", _plurals(rng), strict=True))
    reason = "it does not follow" if wanted == CANNOT_TELL else "it follows"
    return Puzzle(figure.format(**names), wanted, reason, YES_NO, hard=True)


def _plurals(rng: Random) -> list[str]:
    """Invent three kinds of things."""
    found: list[str] = []
    while len(found) < 3:
        word = invented_plural(rng)
        if word not in found:
            found.append(word)
    return found


def sequence(rng: Random) -> Puzzle:
    """Go on with numbers that have a constant step or factor, or two steps in turn."""
    kind = rng.choice(("step", "step", "factor", "two"))
    start = rng.randint(1, 20)
    steps = [rng.choice((-1, 1)) * rng.randint(2, 12), rng.randint(2, 9)]
    if kind == "factor":
        factor = rng.randint(2, 4)
        numbers = [start * factor**n for n in range(5)]
        reason = f"times {factor}"
    elif kind == "step":
        start += 60 if steps[0] < 0 else 0
        numbers = [start + n * steps[0] for n in range(5)]
        reason = f"{steps[0]:+} each"
    else:
        numbers = [start]
        for n in range(4):
            numbers.append(numbers[-1] + steps[n % 2])
        reason = f"{steps[0]:+}, {steps[1]:+} in turn"
    shown = ", ".join(map(str, numbers[:4]))
    question = f"What comes next: {shown}?"
    return Puzzle(question, str(numbers[4]), reason, hard=kind == "two")


CONDITIONALS = (
    ("{p}.", "Does {q}?", "yes", "the first holds"),
    ("{not_q}.", "Does {p_bare}?", "no", "the second fails"),
    ("{q_holds}.", "Does {p_bare}?", CANNOT_TELL, "other reasons are possible"),
    ("{not_p}.", "Does {q}?", CANNOT_TELL, "it may still be so"),
)
"""What is told after `If p, q`, what is asked, and what follows: modus ponens, modus
tollens, affirming the consequent, denying the antecedent."""


def conditional(rng: Random) -> Puzzle:
    """Draw a conclusion from an if, or see that there is none."""
    wanted = rng.choice(YES_NO)
    told, asked, _, reason = rng.choice([c for c in CONDITIONALS if c[2] == wanted])
    (a, b), (does, then) = rng.sample(PEOPLE, 2), rng.sample(ACTIONS, 2)
    words = {
        "p": f"{a} {does}",
        "p_bare": f"{a} {action_of(does)}",
        "not_p": f"{a} does not {action_of(does)}",
        "q": f"{b} {action_of(then)}",
        "q_holds": f"{b} {then}",
        "not_q": f"{b} does not {action_of(then)}",
    }
    question = f"If {a} {does}, {b} {then}. {told.format(**words)} "
    return Puzzle(question + asked.format(**words), wanted, reason, YES_NO, hard=True)


def negation(rng: Random) -> Puzzle:
    """Count how often something is denied."""
    person, verb = rng.choice(PEOPLE), rng.choice(ACTIONS)
    denied, positive = rng.randint(1, 4), rng.random() < 0.5
    core = f"{person} {verb}" if positive else f"{person} does not {action_of(verb)}"
    told = "It is not true that " + "it is not true that " * (denied - 1) + core
    holds = positive == (denied % 2 == 0)
    return Puzzle(
        f"{told}. Does {person} {action_of(verb)}?",
        "yes" if holds else "no",
        f"denied {denied + (not positive)} times",
        YES_NO,
        hard=denied > 1,
    )


TRANSITIVE = ("older than", "north of", "left of", "heavier than", "ahead of")
INTRANSITIVE = ("next to", "a friend of", "proud of", "in love with", "afraid of")


def transitivity(rng: Random) -> Puzzle:
    """Chain a relation, unless it does not chain."""
    a, b, c = rng.sample(PEOPLE, 3)
    wanted = rng.choice(YES_NO)
    chains = wanted != CANNOT_TELL or rng.random() < 0.5
    relation = rng.choice(TRANSITIVE if chains else INTRANSITIVE)
    second = f"{b} is {relation} {c}."
    if wanted == CANNOT_TELL and chains:
        told, asked = f"{a} is {relation} {c}. {second}", (a, b)
        reason = f"{a} and {b} are not compared"
    else:
        told = f"{a} is {relation} {b}. {second}"
        asked = (c, a) if wanted == "no" else (a, c)
        reason = f"{relation}{'' if chains else ' does not'} carry over"
        reason = f"{a}, {b}, {c}" if chains else reason
    question = f"{told} Is {asked[0]} {relation} {asked[1]}?"
    return Puzzle(question, wanted, reason, YES_NO, hard=True)


def _not(answer: str) -> str:
    """Return the word that a no needs."""
    return "" if answer == "yes" else " not"


PUZZLES: dict[str, Callable[[Random], Puzzle]] = {
    draw.__name__: draw
    for draw in (
        *(comparison, boolean, membership, syllogism),
        *(sequence, conditional, negation, transitivity),
    )
}
"""Every kind, and what draws one."""
