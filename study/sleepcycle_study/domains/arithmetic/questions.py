"""The questions on arithmetic: what is asked on each dimension, about what."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import cycle
from random import Random

from sleepcycle_study.domains.arithmetic.expressions import (
    Difficulty,
    canonical,
    draw,
    draw_of,
    evaluate,
)
from sleepcycle_study.domains.arithmetic.traps import Trap, trap
from sleepcycle_study.domains.domain import JSON, Question
from sleepcycle_study.domains.fresh import fresh
from sleepcycle_study.errors import StudyError

STRATA = {
    Difficulty.ELEMENTARY: "simple",
    Difficulty.MEDIUM: "medium",
    Difficulty.COMPLEX: "hard",
}
"""What the measures call the difficulties."""


class Dimension(StrEnum):
    """What is asked about."""

    EXACT = "exact"
    SENSE = "number_sense"
    METACOGNITION = "metacognition"
    ADVERSARIAL = "adversarial"
    ERRORS = "errors"
    EFFECTIVE = "effective"
    ABILITY = "ability"
    """What metacognition is about, to be calculated."""


FORMS = {
    "en": ("Calculate: {} =", "Estimate: {} =", "Analyze: {}", "Solve: {}"),
    "it": ("Calcola: {} =", "Stima: {} =", "Analizza: {}", "Risolvi: {}"),
}
"""How each phase asks, by language."""

ASKED_AS = {
    Dimension.EXACT: 0,
    Dimension.SENSE: 1,
    Dimension.METACOGNITION: 2,
    Dimension.ADVERSARIAL: 0,
    Dimension.ERRORS: 0,
    Dimension.EFFECTIVE: 3,
    Dimension.ABILITY: 0,
}
"""The form that each dimension is asked in."""

SIZES = {
    "single_digit": ("+-*", range(1, 10), range(1, 10)),
    "two_digit_sum": ("+", range(10, 100), range(10, 100)),
    "two_digit_product": ("*", range(10, 100), range(10, 100)),
    "three_digit_sum": ("+", range(100, 1_000), range(100, 1_000)),
    "three_digit_difference": ("-", range(100, 1_000), range(100, 1_000)),
    "large_product": ("*", range(100, 1_000), range(10, 100)),
}
"""Signs and numbers of the errors' categories, from the easiest on."""

EFFECTIVE = (
    *(Difficulty.ELEMENTARY, Difficulty.MEDIUM),
    *(Difficulty.ELEMENTARY, Difficulty.COMPLEX),
)
LONGEST = len("99 * 99")  # of the elementary expressions


def ask(
    rng: Random, count: int, taken: Collection[str], language: str = "en"
) -> list[Question]:
    """Draw `count` questions for each dimension, none about a taken expression.

    No expression is asked about twice, in any dimension, nor one that is it with
    operands in another order, but for twins, and for what metacognition is about, which
    is also to be calculated. Of every dimension the first questions are the same for a
    larger count, unless one of another has come to be asked about in between.

    Raises:
        StudyError: So many that are new cannot be found, or the language is unknown.
    """
    if language not in FORMS:
        raise StudyError(f"expected the language en or it, got {language!r}")
    seen, seed = set(taken), rng.getrandbits(64)
    asked: list[Question] = []
    for dimension, choose in CHOOSERS.items():
        drawing = _Drawing(Random(f"{seed}/{dimension}"), seen)
        for number, chosen in enumerate(choose(drawing, count), 1):
            asked.append(_question(dimension, number, chosen, language))
    decided = [one for one in asked if one.dimension == Dimension.METACOGNITION]
    for number, one in enumerate(decided, 1):
        chosen = _Chosen(str(one.facts["expression"]), {"of": one.id})
        asked.append(_question(Dimension.ABILITY, number, chosen, language))
    return asked


@dataclass(frozen=True, slots=True)
class _Chosen:
    """An expression to ask about, and what grading must know beside its value."""

    expression: str
    facts: dict[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Draws expressions that are neither taken nor asked about yet."""

    rng: Random
    seen: set[str]

    def new(self, text: Callable[[], str]) -> str:
        """Draw a new expression."""
        return self.together(lambda: (text(),))[0]

    def of(self, difficulty: Difficulty) -> str:
        """Draw a new expression of one difficulty."""
        return self.new(lambda: draw_of(self.rng, difficulty).text)

    def together(self, texts: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
        """Draw expressions that belong together, all of them new."""
        drawn = next(fresh(texts, self._key, self.seen))
        self.seen.update(map(canonical, drawn))
        return drawn

    def _key(self, texts: tuple[str, ...]) -> str:
        """Return the key of the first that is not new, or just of the first."""
        keys = [canonical(text) for text in texts]
        return next((key for key in keys if key in self.seen), keys[0])


def _question(
    dimension: Dimension, number: int, chosen: _Chosen, language: str
) -> Question:
    """Write a question about an expression."""
    text = chosen.expression
    facts = {"expression": text, "value": evaluate(text), **chosen.facts}
    return Question(
        id=_id(dimension, number),
        dimension=dimension.value,
        prompt=FORMS[language][ASKED_AS[dimension]].format(text),
        facts=facts,
        uses_tool=dimension is Dimension.EFFECTIVE,
        key=canonical(text),
    )


def _id(dimension: Dimension, number: int) -> str:
    """Return the id of a dimension's question, counted from 1."""
    return f"{dimension}/{number:02d}"


def _exact(drawing: _Drawing, count: int) -> Iterator[_Chosen]:
    """Choose the three difficulties in turn."""
    for number in range(count):
        difficulty = list(STRATA)[number % len(STRATA)]
        yield _Chosen(drawing.of(difficulty), {"stratum": STRATA[difficulty]})


def _sense(drawing: _Drawing, count: int) -> Iterator[_Chosen]:
    """Choose as teaching does."""
    for _ in range(count):
        yield _Chosen(drawing.new(lambda: draw(drawing.rng).text))


def _metacognition(drawing: _Drawing, count: int) -> Iterator[_Chosen]:
    """Choose one half for the tool and one half not.

    Every other one for the tool is as short as most that are not, so that length alone
    tells three of four apart and no more.
    """
    for number in range(count):
        should = number % 2 == 1
        if should:
            text = drawing.new(partial(_short if number % 4 == 1 else _long, drawing))
        else:
            text = drawing.of(Difficulty.ELEMENTARY)
        yield _Chosen(text, {"should_delegate": should})


def _short(drawing: _Drawing) -> str:
    """Draw a medium product that is as long as the longest elementary expressions."""
    return f"{drawing.rng.randint(100, 999)} * {drawing.rng.randint(2, 9)}"


def _long(drawing: _Drawing) -> str:
    """Draw a medium or complex expression that is longer than any elementary one."""
    difficulty = drawing.rng.choice((Difficulty.MEDIUM, Difficulty.COMPLEX))
    text = ""
    while len(text) <= LONGEST:
        text = draw_of(drawing.rng, difficulty).text
    return text


def _adversarial(drawing: _Drawing, count: int) -> Iterator[_Chosen]:
    """Choose the traps in turn; of twins both, one after the other."""
    kinds, number = cycle(Trap), 1
    while number <= count:
        kind = next(kinds)
        if kind is Trap.TWIN and number == count:
            continue
        texts = drawing.together(partial(trap, kind, drawing.rng))
        facts: dict[str, JSON] = {"trap": kind.value}
        if kind is Trap.TWIN:
            first, second = (_id(Dimension.ADVERSARIAL, number + i) for i in (0, 1))
            yield _Chosen(texts[0], {**facts, "twin": second})
            yield _Chosen(texts[1], {**facts, "twin": first})
        else:
            yield _Chosen(texts[0], facts)
        number += len(texts)


def _errors(drawing: _Drawing, count: int) -> Iterator[_Chosen]:
    """Choose the categories in turn."""
    for number in range(count):
        category = list(SIZES)[number % len(SIZES)]
        text = drawing.new(partial(_sized, drawing.rng, category))
        yield _Chosen(text, {"category": category})


def _sized(rng: Random, category: str) -> str:
    """Draw an expression of a category of the errors."""
    signs, left, right = SIZES[category]
    return f"{rng.choice(left)} {rng.choice(signs)} {rng.choice(right)}"


def _effective(drawing: _Drawing, count: int) -> Iterator[_Chosen]:
    """Choose simple ones and hard ones in turn, the hard of both difficulties."""
    for number in range(count):
        difficulty = EFFECTIVE[number % len(EFFECTIVE)]
        hard = difficulty > Difficulty.ELEMENTARY
        yield _Chosen(drawing.of(difficulty), {"stratum": "hard" if hard else "simple"})


CHOOSERS: dict[Dimension, Callable[[_Drawing, int], Iterator[_Chosen]]] = {
    Dimension.EXACT: _exact,
    Dimension.SENSE: _sense,
    Dimension.METACOGNITION: _metacognition,
    Dimension.ADVERSARIAL: _adversarial,
    Dimension.ERRORS: _errors,
    Dimension.EFFECTIVE: _effective,
}
