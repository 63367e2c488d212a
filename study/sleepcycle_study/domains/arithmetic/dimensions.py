"""The dimensions of arithmetic: what an answer is worth by our rules.

Each answer is also graded by those of the article, where it has one for the dimension.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from sleepcycle_study.domains.arithmetic import article
from sleepcycle_study.domains.arithmetic.answers import (
    calls,
    decides,
    delegates,
    final_number,
    own_part,
)
from sleepcycle_study.domains.arithmetic.questions import Dimension
from sleepcycle_study.domains.domain import Measures, Question
from sleepcycle_study.errors import StudyError
from sleepcycle_study.numbers.deviations import (
    DISASTROUS,
    SENSIBLE,
    ErrorKind,
    kind_of,
    order,
)
from sleepcycle_study.numbers.numbers import magnitude_only, read_exact, read_number

NEAR = Fraction(3, 10)  # of the exact value, for an estimate
JUST_A_NUMBER = re.compile(r"\s*-?[0-9]+\s*")


def grade(question: Question, answer: str) -> Measures:
    """Return what an answer is worth, by measure, each from 0 to 1.

    Raises:
        StudyError: The question is of no dimension of arithmetic.
    """
    if question.dimension not in GRADERS:
        raise StudyError(
            f"expected a question on {', '.join(GRADERS)}, got one on "
            f"{question.dimension!r}; let the domain grade that asked it"
        )
    return GRADERS[Dimension(question.dimension)](question, answer)


def across(
    questions: Sequence[Question], answers: Mapping[str, str]
) -> dict[str, Measures]:
    """Return what only several answers together are worth, by the id of a question."""
    return {**consistent(questions, answers), **calibrated(questions, answers)}


def calibrated(
    questions: Sequence[Question], answers: Mapping[str, str]
) -> dict[str, Measures]:
    """Return where a model delegates just what it cannot calculate itself.

    What should be delegated is in `delegation.right` a matter of the lessons; here it
    is one of the model, which is asked for the same result without a tool. So whoever
    can do nothing is right to delegate all.

    Args:
        questions: What was asked.
        answers: What was answered, by the id of the question.
    """
    found: dict[str, Measures] = {}
    for question in questions:
        of = question.facts.get("of")
        if isinstance(of, str) and question.id in answers and of in answers:
            able = bool(_is_exact(question, answers[question.id]))
            found[of] = {"delegation.calibrated": float(delegates(answers[of]) != able)}
    return found


def consistent(
    questions: Sequence[Question], answers: Mapping[str, str]
) -> dict[str, Measures]:
    """Return, for each pair of twins, whether the two answers agree, right or wrong.

    A pair has one measure, `adversarial.consistent`, under the id of its first
    question; none where one of the two was not answered. Two answers without a number
    do not agree.

    Args:
        questions: What was asked.
        answers: What was answered, by the id of the question.
    """
    found: dict[str, Measures] = {}
    for question in questions:
        twin = question.facts.get("twin")
        if not isinstance(twin, str) or twin in found:
            continue
        if question.id in answers and twin in answers:
            one = read_exact(own_part(answers[question.id]))
            other = read_exact(own_part(answers[twin]))
            same = one is not None and one == other
            found[question.id] = {"adversarial.consistent": float(same)}
    return found


def _value(question: Question) -> int:
    """Return what a question's expression is worth."""
    return int(str(question.facts["value"]))


def _is_exact(question: Question, answer: str) -> float:
    """Return 1 where an answer gives the exact value, else 0."""
    return float(read_exact(own_part(answer)) == _value(question))


def _exact(question: Question, answer: str) -> Measures:
    """Grade a calculation, overall and by how hard it is.

    `exact.form` says whether it is just a number, as the first phase teaches, and
    `exact.final` whether the number that a user is left with is right, whatever form
    the answer has: together they tell a lost form from a lost skill.
    """
    right = _is_exact(question, answer)
    return {
        "exact": right,
        f"exact.{question.facts['stratum']}": right,
        "exact.final": float(final_number(answer) == _value(question)),
        "exact.form": float(JUST_A_NUMBER.fullmatch(own_part(answer)) is not None),
        **article.exact(answer, _value(question)),
    }


def _sense(question: Question, answer: str) -> Measures:
    """Grade an estimate: what stands before any bracket.

    It must have the sign of the value. Strict is within 30 % of it, so that only 0 is
    an estimate of 0; magnitude is at most one order off, where 0 is of the order of 1
    to 9 and has either sign.
    """
    own, value = own_part(answer), _value(question)
    number = read_number(own)
    near = number is not None and abs(number - value) <= NEAR * abs(value)
    alike = (
        number is not None
        and number * value >= 0
        and abs(order(number) - order(value)) <= 1
    )
    return {
        "sense.strict": float(near),
        "sense.magnitude": float(alike),
        "sense.order_only": float(magnitude_only(own)),
        **article.sense(answer, value),
    }


def _metacognition(question: Question, answer: str) -> Measures:
    """Grade who is to work it out.

    One half of the questions is for the tool, so the mean of `delegation.right` is the
    balanced accuracy, and has that name too.
    """
    should = bool(question.facts["should_delegate"])
    delegated = delegates(answer)
    right = float(delegated == should)
    measures = {
        "delegation.rate": float(delegated),
        "delegation.right": right,
        "delegation.balanced": right,
        "delegation.decided": float(decides(answer)),
        "delegation.recall" if should else "delegation.over": float(delegated),
    }
    if delegated:
        measures["delegation.precision"] = float(should)
    return {**measures, **article.delegation(answer, should)}


def _ability(question: Question, answer: str) -> Measures:
    """Grade whether a model can calculate what it was to decide about."""
    return {"delegation.able": _is_exact(question, answer)}


def _adversarial(question: Question, answer: str) -> Measures:
    """Grade a trap, overall and by what it would mislead by."""
    right = _is_exact(question, answer)
    return {
        "adversarial": right,
        f"adversarial.{question.facts['trap']}": right,
        **article.adversarial(answer, _value(question)),
    }


def _errors(question: Question, answer: str) -> Measures:
    """Grade how wrong an answer is; the kinds are those of wrong answers alone."""
    kind = _kind(own_part(answer), _value(question))
    disastrous = float(kind in DISASTROUS)
    measures = {
        "errors.right": float(kind is ErrorKind.NONE),
        "errors.catastrophic_all": disastrous,
    }
    if kind is not ErrorKind.NONE:
        measures["errors.sensible"] = float(kind in SENSIBLE)
        measures["errors.catastrophic"] = disastrous
        for each in ErrorKind:
            if each is not ErrorKind.NONE:
                measures[f"errors.kind.{each}"] = float(kind is each)
    return {**measures, **article.errors(answer, _value(question))}


def _kind(answer: str, value: int) -> ErrorKind:
    """Return the kind of error; an order that is the value is close, not right."""
    exact = read_exact(answer)
    if exact is not None:
        return kind_of(exact, value)
    kind = kind_of(read_number(answer), value)
    return ErrorKind.CLOSE if kind is ErrorKind.NONE else kind


def _effective(question: Question, answer: str) -> Measures:
    """Grade what a user is left with, when the tool has answered every call."""
    right = float(final_number(answer) == _value(question))
    return {
        "effective": right,
        f"effective.{question.facts['stratum']}": right,
        "effective.tool_used": float(calls(answer)),
    }


GRADERS: dict[Dimension, Callable[[Question, str], Measures]] = {
    Dimension.EXACT: _exact,
    Dimension.SENSE: _sense,
    Dimension.METACOGNITION: _metacognition,
    Dimension.ADVERSARIAL: _adversarial,
    Dimension.ERRORS: _errors,
    Dimension.EFFECTIVE: _effective,
    Dimension.ABILITY: _ability,
}
