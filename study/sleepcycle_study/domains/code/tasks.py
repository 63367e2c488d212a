"""Small tasks in Python: an expression in words and in code, and what it must give."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from sleepcycle_study.domains.domain import JSON
from sleepcycle_study.domains.words import COLOURS, THINGS

BUILTINS = {"len": len, "max": max, "min": min, "sorted": sorted, "sum": sum}
LETTERS = "aeiolnrst"
Part = tuple[str, str, str]  # in words, in code, and its name in a plan


@dataclass(frozen=True, slots=True)
class Case:
    """One input, and what must come out."""

    names: Mapping[str, JSON]
    value: JSON


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to write an expression for."""

    text: str
    """What the expression gives, such as `the sum of the even numbers in xs`."""

    expression: str
    """One that is right."""

    plan: str
    """Its parts, such as `filter, sum`."""

    cases: tuple[Case, ...]
    """The first is an example; the last is of an empty input."""

    hard: bool
    """Whether it has more than one part."""


ENDS: list[Part] = [
    ("the sum of the {}", "sum({})", "sum"),
    ("how many there are of the {}", "len({})", "count"),
    ("the largest (0 for none) of the {}", "max({}, default=0)", "largest"),
    ("the smallest (0 for none) of the {}", "min({}, default=0)", "smallest"),
    ("a sorted list of the {}", "sorted({})", "sort"),
    ("a list, last one first, of the {}", "{}[::-1]", "reverse"),
]
"""What is made of numbers; the code works on a list."""

ENDS_OF_TEXT: list[Part] = [
    ("{} in capital letters", "{}.upper()", "capitals"),
    ("{} backwards", "{}[::-1]", "reverse"),
    ("the length of {}", "len({})", "length"),
]
"""What is made of a text, next to what has a number or a letter in it."""


def draw(rng: Random) -> Task:
    """Draw a task about a list of numbers, or one about a text."""
    return _of_numbers(rng) if rng.random() < 0.75 else _of_text(rng)


def _of_numbers(rng: Random) -> Task:
    """Choose among numbers, change each, and make one thing of them."""
    n, k = rng.randint(2, 9), rng.randint(1, 20)
    kept, condition, choosing = rng.choice(_conditions(n, k))
    changed, change, changing = rng.choice(_changes(rng.randint(2, 9)))
    text, code, ending = rng.choice(ENDS)
    is_plain = not condition and not changing
    inner = "xs" if is_plain else f"[{change} for x in xs{condition}]"
    inputs: list[dict[str, JSON]] = [{"xs": _numbers(rng, n, k)} for _ in range(3)]
    return _task(
        text.format(changed.format(kept)),
        code.format(inner),
        (choosing, changing, ending),
        [*inputs, {"xs": []}],
    )


def _conditions(n: int, k: int) -> list[Part]:
    """Return the ways to choose among numbers."""
    return [
        ("numbers in xs", "", ""),
        ("even numbers in xs", " if x % 2 == 0", "filter"),
        ("odd numbers in xs", " if x % 2 == 1", "filter"),
        (f"numbers above {k} in xs", f" if x > {k}", "filter"),
        (f"numbers below {k} in xs", f" if x < {k}", "filter"),
        (f"multiples of {n} in xs", f" if x % {n} == 0", "filter"),
    ]


def _changes(n: int) -> list[Part]:
    """Return the ways to change each number."""
    return [
        ("{}", "x", ""),
        ("{}, each plus " + str(n), f"x + {n}", "map"),
        ("{}, each minus " + str(n), f"x - {n}", "map"),
        ("{}, each times " + str(n), f"x * {n}", "map"),
        ("{}, each squared", "x * x", "map"),
    ]


def _numbers(rng: Random, n: int, k: int) -> list[JSON]:
    """Draw numbers, with those among them where a wrong bound would show."""
    numbers: list[JSON] = [k, n * rng.randint(1, 3), k + rng.choice((-1, 1))]
    numbers += [rng.randint(-9, 25) for _ in range(3)]
    rng.shuffle(numbers)
    return numbers


def _of_text(rng: Random) -> Task:
    """Take a part of a text, and make something of it."""
    n, letter, word = rng.randint(1, 6), rng.choice(LETTERS), rng.choice(THINGS)
    inner, inner_code, taking = rng.choice([
        ("s", "s", ""),
        (f"the first {n} letters of s", f"s[:{n}]", "slice"),
        (f"the last {n} letters of s", f"s[-{n}:]", "slice"),
        (f"s without each {letter}", f"s.replace('{letter}', '')", "replace"),
    ])  # fmt: skip
    times, other = rng.randint(2, 9), rng.choice(LETTERS)
    text, code, ending = rng.choice([
        *ENDS_OF_TEXT,
        (f"how often {other} is in {{}}", f"{{}}.count('{other}')", "count"),
        (f"{{}}, written {times} times", f"{{}} * {times}", "repeat"),
        (f"{{}} with {word} behind it", f"{{}} + '{word}'", "join"),
    ])  # fmt: skip
    inputs: list[dict[str, JSON]] = [
        {"s": f"{rng.choice(COLOURS)} {rng.choice(THINGS)}"} for _ in range(3)
    ]
    return _task(
        text.format(inner),
        code.format(inner_code),
        (taking, ending),
        [*inputs, {"s": f"{letter}{other}{letter}"}, {"s": ""}],
    )


def _task(
    text: str, expression: str, parts: tuple[str, ...], inputs: list[dict[str, JSON]]
) -> Task:
    """Put a task together; what must come out is what its own expression gives."""
    plan = [part for part in parts if part]
    code = compile(expression, "task", "eval")
    cases = tuple(
        Case(names, eval(code, {"__builtins__": BUILTINS, **names})) for names in inputs
    )
    return Task(text, expression, ", ".join(plan), cases, hard=len(plan) > 1)
