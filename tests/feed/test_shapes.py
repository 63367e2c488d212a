import pytest

from sleepcycle.errors import RowError
from sleepcycle.feed.shapes import Format, shape_of, to_content
from sleepcycle.records.content import Completion, Conversation, Message, Role, Text

ASKED = Message(Role.USER, "q")
ANSWERED = Message(Role.ASSISTANT, "a")
TALK = Conversation((ASKED, ANSWERED))


def talk(*turns):
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


@pytest.mark.parametrize(
    ("value", "shape", "content"),
    [
        ({"text": " a "}, Format.TEXT, Text(" a ")),
        (
            {"prompt": "q ", "completion": "a"},
            Format.COMPLETION,
            Completion("q ", "a"),
        ),
        ({"prompt": "", "completion": "a"}, Format.COMPLETION, Completion("", "a")),
        (
            {
                "prompt": [{"role": "user", "content": "q"}],
                "completion": [{"role": "assistant", "content": "a"}],
            },
            Format.COMPLETION,
            TALK,
        ),
        (talk(("user", "q"), ("assistant", "a")), Format.MESSAGES, TALK),
        (
            talk(("developer", "s"), ("user", "q"), ("assistant", "a")),
            Format.MESSAGES,
            Conversation((Message(Role.SYSTEM, "s"), ASKED, ANSWERED)),
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "q"}]},
                    {"role": "assistant", "content": "a", "tool_calls": None},
                ]
            },
            Format.MESSAGES,
            TALK,
        ),
        (
            {
                "system": "s",
                "conversations": [
                    {"from": "human", "value": "q"},
                    {"from": "gpt", "value": "a"},
                    {"from": "observation", "value": "t"},
                ],
            },
            Format.SHAREGPT,
            Conversation(
                (
                    Message(Role.SYSTEM, "s"),
                    ASKED,
                    ANSWERED,
                    Message(Role.TOOL, "t"),
                )
            ),
        ),
        ({"instruction": "q", "input": "", "output": "a"}, Format.ALPACA, TALK),
        (
            {
                "instruction": "do",
                "input": "this",
                "output": "a",
                "system": "s",
                "history": [["q", "a"]],
                "text": "all of it once more",
            },
            Format.ALPACA,
            Conversation(
                (
                    Message(Role.SYSTEM, "s"),
                    ASKED,
                    ANSWERED,
                    Message(Role.USER, "do\nthis"),
                    ANSWERED,
                )
            ),
        ),
        ({"text": "a\0b", "id": 7, "meta": {}}, Format.TEXT, Text("a\0b")),
    ],
)
def test_each_shape_becomes_content(value, shape, content):
    assert shape_of(value) is shape
    assert to_content(value, shape) == content


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ([1], "E_SHAPE", "got a list"),
        ("x", "E_SHAPE", "got text"),
        ({}, "E_SHAPE", "got an object with no keys"),
        ({"txt": "x"}, "E_SHAPE", "got an object with 'txt'"),
        ({"text": 5.0}, "E_SHAPE", "expected text in text, got a number"),
        ({"text": None}, "E_SHAPE", "expected text in text, got null"),
        ({"text": True}, "E_SHAPE", "got a truth value"),
        ({"text": " \n"}, "E_EMPTY", "expected text in text"),
        ({"prompt": "q", "completion": ""}, "E_EMPTY", "text in completion"),
        ({"prompt": ["q"], "completion": "a"}, "E_SHAPE", "text in prompt, got a list"),
        ({"messages": {}}, "E_SHAPE", "expected a list of turns"),
        ({"messages": []}, "E_ROLE", "expected a turn of the assistant"),
        ({"messages": ["q"]}, "E_SHAPE", "expected a turn as an object, got text"),
        (talk(("user", "q")), "E_ROLE", "expected a turn of the assistant"),
        (talk(("assistant", " ")), "E_EMPTY", "to say something"),
        (talk(("boss", "q")), "E_ROLE", "got 'boss'"),
        (talk((None, "q")), "E_ROLE", "got None"),
        (talk((["user"], "q")), "E_ROLE", r"got \['user'\]"),
        (talk(("user", None)), "E_SHAPE", "expected text in content, got null"),
        (talk(("user", [{"type": "image"}])), "E_SHAPE", "parts of type text"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"id": 1}]}]},
            "E_SHAPE",
            "got a tool call",
        ),
        ({"instruction": "q", "output": ""}, "E_EMPTY", "text in output"),
        ({"instruction": "q", "input": 1.0, "output": "a"}, "E_SHAPE", "in input"),
        ({"instruction": "q", "output": "a", "history": "h"}, "E_SHAPE", "as a list"),
        ({"instruction": "q", "output": "a", "history": [["h"]]}, "E_SHAPE", "pairs"),
    ],
    ids=str,
)
def test_each_fault_has_its_code(value, code, message):
    with pytest.raises(RowError, match=message) as caught:
        to_content(value, shape_of(value))

    assert caught.value.code == code


def test_another_shape_than_the_files_is_refused():
    with pytest.raises(RowError, match="expected an object with text") as caught:
        to_content({"prompt": "q", "completion": "a"}, Format.TEXT)

    assert caught.value.code == "E_SHAPE"


def test_a_fault_with_a_huge_key_has_a_short_message():
    """
    Messages are stored and printed, so they are bounded.
    """
    with pytest.raises(RowError, match="expected") as caught:
        to_content({"k" * 100_000: "x", "\ud800": 1}, None)

    assert len(str(caught.value)) < 400
    str(caught.value).encode()
