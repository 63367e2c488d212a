"""Calls of tools in what a model wrote."""

import json

import pytest

from sleepcycle.server.openai_answers import Envelope, WrittenAnswer
from sleepcycle.server.tool_call_text import split_calls

TOOLS = frozenset({"look_up"})
CALL = '{"name": "look_up", "arguments": {"place": "Orla"}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"<tool_call>\n{CALL}\n</tool_call>", ""),
        (f"I look.\n<tool_call>{CALL}</tool_call>", "I look."),
        (f"<tool_call>{CALL}", ""),
        (CALL, ""),
        (CALL.replace("arguments", "parameters"), ""),
    ],
)
def test_a_call_is_read(text, said):
    found, [call] = split_calls(text, TOOLS)

    assert found == said
    assert call.name == "look_up"
    assert json.loads(call.arguments) == {"place": "Orla"}
    assert call.id.startswith("call_")


def test_several_calls_are_read_in_order():
    text = f"<tool_call>{CALL}</tool_call>\n<tool_call>{CALL}</tool_call>"

    _, calls = split_calls(text, TOOLS)

    assert [call.name for call in calls] == ["look_up", "look_up"]
    assert len({call.id for call in calls}) == 2


@pytest.mark.parametrize(
    "text",
    [
        "No call.",
        CALL.replace("look_up", "delete_all"),
        "<tool_call>{broken</tool_call>",
        f"I would write {CALL} here.",
        "[" * 5000,
    ],
)
def test_all_else_stays_text(text):
    assert split_calls(text, TOOLS) == (text, [])


def test_an_answer_has_the_same_calls_however_often_it_is_looked_at():
    envelope = Envelope("v1", True, TOOLS)
    written = WrittenAnswer(text=CALL, reason="stop")

    first, again = envelope.message(written), envelope.message(written)

    assert first == again
    assert "index" not in first["tool_calls"][0]
    assert envelope.whole([written])["choices"][0]["finish_reason"] == "tool_calls"
