"""The calculator as a tool: which lines call it, and what follows them."""

import time
from random import Random

import pytest

from sleepcycle.model.calculator import Call, behind_result, call_in, with_result


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("Tool: 847 * 93 =", Call("847 * 93", 0, 16)),
        ("Tool: 847 * 93 = ", Call("847 * 93", 0, 16)),
        ("Tool: 2 + 2 = 5\nResult: 5", Call("2 + 2", 0, 13)),
        ("Tool:1+1=", Call("1+1", 0, 9)),
        (" Tool: 1 + 1 =", Call("1 + 1", 1, 14)),
        ("\n\t Tool: 1 + 1 =", Call("1 + 1", 3, 16)),
        ("Decision: delegate\nTool: 3 * 4 =", Call("3 * 4", 19, 32)),
        ("Tool:\r\nTool: 1 + 1 =", Call("1 + 1", 7, 20)),
        ("Tool: 1 + 1\nTool: 2 + 2 =", Call("2 + 2", 12, 25)),
        ("Tool: 1 + 1 =\nTool: 2 + 2 =", Call("1 + 1", 0, 13)),
        ("Tool: 1 == 2", Call("1", 0, 9)),
        ("Tool: =", Call("", 0, 7)),
        ("Tool: Tool: 1 =", Call("Tool: 1", 0, 15)),
        ("Tool: import os =", Call("import os", 0, 17)),
        ("Tool: ٣ =", Call("٣", 0, 9)),
        ("The Tool: 1 + 1 =", Call("1 + 1", 4, 17)),
        ("Step 3, Tool: 1 =\n2 =", Call("1", 8, 17)),
    ],
)
def test_the_first_complete_line_is_a_call(text, call):
    found = call_in(text)

    assert found == call
    assert text[found.start :].startswith("Tool:")
    assert text[: found.end].endswith("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Tool",
        "Tool:",
        "Tool: 847 * 93",
        "Tool: 847 * 93\n= 5",
        "tool: 1 + 1 =",
        "TOOL: 1 + 1 =",
        "Tool 1 + 1 =",
        "Tools: 1 + 1 =",
        "Step: Tool: 1 + 1 =",
        "MyTool: 1 + 1 =",
        "847 * 93 = 78771",
        "Complexity: complex\nDecision: delegate to the tool\n",
    ],
)
def test_any_other_text_calls_nothing(text):
    assert call_in(text) is None


class TestWithResult:
    @pytest.mark.parametrize(
        ("text", "answered"),
        [
            ("Tool: 847 * 93 =", "Tool: 847 * 93 = 78771"),
            ("Tool: 847 * 93 = ", "Tool: 847 * 93 = 78771"),
            ("Tool: 25 - 285 = 12\nResult: 12", "Tool: 25 - 285 = -260"),
            ("A: b\n Tool: 5/2=", "A: b\n Tool: 5/2= 2.5"),
            ("Tool: 1 / 3 =", "Tool: 1 / 3 = 1/3"),
        ],
    )
    def test_the_result_stands_behind_the_sign_and_nothing_after_it(
        self, text, answered
    ):
        assert with_result(text, call_in(text)) == (answered, None)

    @pytest.mark.parametrize(
        ("expression", "reason"),
        [
            ("1 / 0", "expected a divisor other than 0"),
            ("", 'expected a number, "-" or "("'),
            ("two plus two", "expected a number"),
            ("__import__('os')", "expected a number"),
            ("2 ** 9", "expected a number"),
            ("9" * 300, "expected an expression of at most 200 characters"),
        ],
    )
    def test_a_failed_call_is_answered_without_a_number(self, expression, reason):
        """
        A digit in what the model reads next could be taken for the answer.
        """
        text = f"Tool: {expression} = 7\nResult: 7"

        answered, error = with_result(text, call_in(text))

        assert answered == f"Tool: {expression} = error"
        assert error.startswith(reason)


@pytest.mark.parametrize(
    ("more", "left"),
    [
        ("", ""),
        ("\nResult: 5", "\nResult: 5"),
        (" 12", " 12"),
        (", so 5", ", so 5"),
        (".", "."),
        (". 5 more", ". 5 more"),
        ("1", ""),
        ("12\nResult: 5", "\nResult: 5"),
        (".25 is it", " is it"),
        ("/3", ""),
        ("1,000.5.", "."),
        ("٣", "٣"),
    ],
)
def test_what_follows_a_result_cannot_make_it_another_number(more, left):
    assert behind_result(more) == left


def test_every_call_is_answered_once():
    """
    As a runner does it: it looks for the next call behind the last result.
    """
    text = "Tool: 2 + 3 ="
    text, _ = with_result(text, call_in(text))
    done = len(text)

    assert call_in(text, done) is None
    text += "\nTool: 5 * 5 ="
    text, _ = with_result(text, call_in(text, done))
    assert text == "Tool: 2 + 3 = 5\nTool: 5 * 5 = 25"


def test_a_call_does_not_begin_in_the_middle_of_a_line():
    assert call_in("Result: 5 Tool: 1 + 1 =", start=10) is None


def test_random_text_is_answered_or_left():
    rng = Random(5)
    parts = ("Tool:", "Tool", ":", "=", " ", "\n", "\t", "\r", "7", "*", "(", "x", "²")
    answered = 0
    for _ in range(3_000):
        text = "Tool:" + "".join(rng.choices(parts, k=rng.randint(0, 40)))
        call = call_in(text)
        if call:
            result, _error = with_result(text, call)
            answered += 1

            assert result.startswith(text[: call.end] + " ")

    assert answered > 300


@pytest.mark.parametrize(
    "text",
    ["Tool:" * 40_000, "Tool: " + " " * 200_000, " " * 200_000, "Tool:\n" * 30_000],
)
def test_a_long_text_without_a_call_takes_no_time(text):
    start = time.process_time()

    assert call_in(text) is None
    assert time.process_time() - start < 1
