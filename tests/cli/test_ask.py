"""Asking with the calculator: it answers what the model works out wrong."""

import json

import pytest

from sleepcycle.cli.day_output import show_answer
from sleepcycle.home.home import Answer
from sleepcycle.model.calculator import ToolUse
from tests.cli.conftest import Cli

PROMPT = "How much?"
TAUGHT = "Tool: 7 / 2 = 1."
"""Learned by heart, and wrong: so who answered can be told."""


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
    """A home whose open day calls the tool; its tests only ask."""
    folder = tmp_path_factory.mktemp("caller")
    made = Cli(folder / "home", {"SLEEPCYCLE__FEED__HELD_OUT_SHARE": "0"})
    made.run("init")
    row = json.dumps({"prompt": PROMPT, "completion": TAUGHT})
    made.run("feed", "-", "--source", "calls", "--format", "completion", stdin=row)
    made.run("wake")
    return made


def test_without_the_tool_an_answer_is_what_the_model_says(caller):
    asked = caller.json("ask", PROMPT, "--version", "day")

    assert asked == {"version": "v1", "text": TAUGHT}


def test_the_calculator_answers_while_the_model_writes(caller):
    done = caller.run("ask", PROMPT, "--version", "day", "--tool", "calculator")

    assert done.stdout == "Tool: 7 / 2 = 3.5.\n"


def test_a_program_hears_what_the_tool_was_asked(caller):
    asked = caller.json("ask", PROMPT, "--version", "day", "--tool", "calculator")

    assert asked == {
        "version": "v1",
        "text": "Tool: 7 / 2 = 3.5.",
        "tool": [{"expression": "7 / 2", "result": "3.5"}],
    }


def test_where_the_model_calls_nothing_the_list_is_empty(caller):
    asked = caller.json("ask", "What is 2 + 3?", "--tool", "calculator")

    assert asked == {"version": "v0", "text": "5", "tool": []}


def test_a_program_hears_why_a_call_has_no_result(capsys):
    failed = ToolUse("1 / 0", error="expected a divisor other than 0")

    show_answer(Answer("v1", "Tool: 1 / 0 = error", (failed,)), as_json=True)

    assert json.loads(capsys.readouterr().out)["tool"] == [
        {"expression": "1 / 0", "error": "expected a divisor other than 0"}
    ]


def test_an_unknown_tool_is_refused_by_the_names_there_are(caller):
    done = caller.run("ask", PROMPT, "--tool", "abacus", exit_code=2)

    assert "calculator" in done.stderr
