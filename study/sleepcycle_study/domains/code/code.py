"""Code as a domain: one-line expressions in Python, graded by running them."""

import json
import re
from collections.abc import Collection
from itertools import islice
from random import Random

from sleepcycle_study.domains.code import sandbox, tasks
from sleepcycle_study.domains.code.sandbox import Ending, Limits
from sleepcycle_study.domains.code.tasks import Task
from sleepcycle_study.domains.domain import JSON, Item, Measures, Question
from sleepcycle_study.domains.fresh import fresh, name_of
from sleepcycle_study.domains.short_replies import MARK

PROMPT = "Write an expression that gives {}."
"""How a task is asked; the first phase of the curriculum teaches in the same way."""

FENCE = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)


class Code:
    """Expressions to write, each with inputs and what must come out."""

    name = "code"

    def __init__(self, limits: Limits = sandbox.DEFAULT) -> None:
        self.limits = limits

    def draw(self, rng: Random) -> Item:
        """Draw a task to teach; `hard` where it has more than one part."""
        task = tasks.draw(rng)
        example = task.cases[0]
        [(name, value)] = example.names.items()
        fields = {
            "task": task.text,
            "expression": task.expression,
            "plan": task.plan,
            "complexity": "complex" if task.hard else "elementary",
            "input": f"{name} = {value!r}",
            "result": repr(example.value),
        }
        return Item(task.text, "hard" if task.hard else "simple", fields)

    def ask(
        self, rng: Random, count: int, taken: Collection[str], language: str = "en"
    ) -> list[Question]:
        """Draw `count` tasks that are not taken.

        Raises:
            StudyError: So many new ones are not to be had.
        """
        found = fresh(lambda: tasks.draw(rng), lambda task: task.text, taken)
        return [_question(task) for task in islice(found, count)]

    def grade(self, question: Question, answer: str) -> Measures:
        """Run an answer: does it give what it must, and does it give anything at all.

        Raises:
            StudyError: The sandbox cannot be started on this machine.
        """
        inputs, wanted = _cases(question)
        outcome = sandbox.evaluate(expression_in(answer), inputs, self.limits)
        runs = outcome.ending is Ending.DONE
        return {
            "code": float(runs and list(outcome.values) == wanted),
            "code.runs": float(runs),
        }


def expression_in(answer: str) -> str:
    """Return the expression in an answer, as far as one can be told from words.

    It is what a fence of backticks holds, or else the first line behind the last
    `Expression:` or `Answer:`, or else the first line.
    """
    fenced = FENCE.search(answer)
    if fenced:
        return fenced[1].strip()
    lines = MARK.split(answer)[-1].strip().splitlines()
    return lines[0].strip().strip("`").strip() if lines else ""


def _question(task: Task) -> Question:
    """Ask for an expression."""
    cases: list[JSON] = [[dict(case.names), case.value] for case in task.cases]
    return Question(
        id=name_of("code", task.text),
        dimension="code",
        prompt=PROMPT.format(task.text),
        facts={"cases": cases},
        key=task.text,
    )


def _cases(question: Question) -> tuple[list[dict[str, JSON]], list[str]]:
    """Return the inputs of a question, and as JSON what must come out."""
    cases = question.facts["cases"]
    inputs, wanted = [], []
    for case in cases if isinstance(cases, list) else []:
        if isinstance(case, list) and isinstance(case[0], dict):
            inputs.append(case[0])
            wanted.append(json.dumps(case[1], sort_keys=True))
    return inputs, wanted
