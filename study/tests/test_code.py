"""Code: tasks whose own solutions pass, answers as models write them, and grades."""

import json
import re
from functools import cache
from random import Random

import pytest

from sleepcycle_study.domains.code import sandbox, tasks
from sleepcycle_study.domains.code.code import Code, expression_in
from sleepcycle_study.domains.code.sandbox import Ending, Limits

CODE = Code(Limits(cpu_s=0.2, wall_s=5.0))
ASKED = CODE.ask(Random(0), 50, set())


@cache
def drawn(count):
    """Return tasks."""
    rng = Random("test/tasks")
    return [tasks.draw(rng) for _ in range(count)]


@cache
def question_about(words):
    """Return a question whose task has these words."""
    asked = CODE.ask(Random(1), 400, set())
    return next(question for question in asked if words in question.prompt)


class TestTasks:
    def test_their_own_expressions_pass_in_the_sandbox(self):
        for task in drawn(15):
            inputs = [dict(case.names) for case in task.cases]
            outcome = sandbox.evaluate(task.expression, inputs)

            assert outcome.ending is Ending.DONE
            assert list(outcome.values) == [json.dumps(c.value) for c in task.cases]

    @pytest.mark.parametrize(
        ("words", "reference"),
        [
            (r"the sum of the even numbers in xs",
             lambda xs: sum(filter(lambda x: not x & 1, xs))),
            (r"the largest \(0 for none\) of the odd numbers in xs",
             lambda xs: max([0, *filter(lambda x: x & 1, xs)])
             if any(x & 1 and x > 0 for x in xs)
             else max([x for x in xs if x & 1], default=0)),
            (r"how many there are of the numbers in xs", len),
            (r"a sorted list of the numbers in xs, each squared",
             lambda xs: sorted(x**2 for x in xs)),
            (r"a list, last one first, of the numbers in xs",
             lambda xs: list(reversed(xs))),
            (r"s in capital letters", str.upper),
            (r"the length of s", len),
            (r"s backwards", lambda s: "".join(reversed(s))),
        ],
    )  # fmt: skip
    def test_what_must_come_out_is_what_the_words_say(self, words, reference):
        """
        The values come from the expression; here they are worked out another way.
        """
        found = [task for task in drawn(4_000) if re.fullmatch(words, task.text)]

        assert found
        for case in (case for task in found for case in task.cases):
            [value] = case.names.values()
            assert case.value == reference(value)

    @pytest.mark.parametrize(
        ("words", "keeps"),
        [
            (r"numbers above (\d+)", lambda x, n: x > n),
            (r"numbers below (\d+)", lambda x, n: x < n),
            (r"multiples of (\d+)", lambda x, n: x % n == 0),
        ],
    )
    def test_a_number_in_the_words_is_the_one_in_the_code(self, words, keeps):
        pattern = rf"how many there are of the {words} in xs"
        for task in drawn(4_000):
            if match := re.fullmatch(pattern, task.text):
                for case in task.cases:
                    [xs] = case.names.values()
                    kept = [x for x in xs if keeps(x, int(match[1]))]

                    assert case.value == len(kept)

    def test_inputs_tell_above_from_not_below(self):
        """
        The number that is named stands in every list, where a wrong bound shows.
        """
        for task in drawn(2_000):
            if match := re.search(r"(?:above|below) (\d+)", task.text):
                for case in task.cases[:-1]:
                    assert int(match[1]) in case.names["xs"]

    def test_the_last_input_is_empty(self):
        for task in drawn(200):
            [value] = task.cases[-1].names.values()

            assert not value


class TestAsking:
    def test_nothing_is_asked_twice_or_that_was_taught(self):
        rng = Random(0)
        taken = {CODE.draw(rng).key for _ in range(1_000)}

        asked = CODE.ask(Random(0), 50, taken)

        assert len({question.id for question in asked}) == 50
        assert taken.isdisjoint(question.key for question in asked)

    def test_the_same_seed_asks_the_same(self):
        assert CODE.ask(Random(4), 20, set()) == CODE.ask(Random(4), 20, set())

    def test_what_a_question_must_know_is_plain_data(self):
        for question in ASKED:
            assert json.loads(json.dumps(question.facts)) == question.facts

    def test_an_item_s_example_is_right(self):
        rng = Random(0)
        for _ in range(100):
            fields = CODE.draw(rng).fields
            name, value = fields["input"].split(" = ", 1)
            names = {name: eval(value)}

            assert repr(eval(fields["expression"], names)) == fields["result"]


class TestReading:
    @pytest.mark.parametrize(
        ("answer", "expression"),
        [
            ("sum(xs)", "sum(xs)"),
            (" `sum(xs)` ", "sum(xs)"),
            ("sum(xs)\nIt adds them up.", "sum(xs)"),
            ("```python\nsum(xs)\n```", "sum(xs)"),
            ("Here it is:\n```\nsum(xs)\n```\nGood luck.", "sum(xs)"),
            ("```py\nsum(xs)", "sum(xs)"),
            ("Plan: sum\nExpression: sum(xs)", "sum(xs)"),
            ("Here is the expression:\nsum(xs)", "sum(xs)"),
            ("Answer: sum(xs)", "sum(xs)"),
            ("", ""),
            ("Expression:", ""),
            ("\n\n", ""),
        ],
    )
    def test_the_expression_is_found_in_what_is_said(self, answer, expression):
        assert expression_in(answer) == expression


class TestGrades:
    def test_what_gives_all_values_is_right(self):
        question = question_about("gives the sum of the even numbers in xs.")

        grade = CODE.grade(question, "sum(x for x in xs if not x % 2)")

        assert grade == {"code": 1.0, "code.runs": 1.0}

    @pytest.mark.parametrize(
        ("answer", "runs"),
        [
            ("sum(xs)", 1.0),
            ("0", 1.0),
            ("sum(x for x in xs if x % 2 == 1)", 1.0),
            ("str(sum(x for x in xs if x % 2 == 0))", 1.0),
            ("sum(x for x in xs if x % 2 == 0) / 1", 1.0),
            ("xs[0]", 0.0),
            ("sum(ys)", 0.0),
            ("sum(xs", 0.0),
            ("import os", 0.0),
            ("__import__('os').getcwd()", 0.0),
            ("open('/etc/passwd').read()", 0.0),
            ("'a' * 10 ** 6", 0.0),
            ("max(range(10 ** 11))", 0.0),
            ("", 0.0),
            ("The answer depends on xs.", 0.0),
        ],
    )
    def test_what_does_not_is_wrong(self, answer, runs):
        question = question_about("gives the sum of the even numbers in xs.")

        assert CODE.grade(question, answer) == {"code": 0.0, "code.runs": runs}
