"""The stored form of content, as an export writes it: fed again it is the same."""

import json
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sleepcycle.feed.shapes import shape_of, to_content
from sleepcycle.records.content import (
    Completion,
    Conversation,
    Message,
    Role,
    Text,
    ToolCall,
    canonical_json,
)

CALL = ToolCall("lamp", '{"room":"hall"}', "c1")
TOOLS = '[{"type":"function","function":{"name":"lamp","parameters":{}}}]'


def again(content):
    """Return what a feed makes of the stored form of content."""
    row = json.loads(canonical_json(content))
    return to_content(row, shape_of(row))


@pytest.mark.parametrize(
    "content",
    [
        Text("a river", 0.5),
        Completion("ask", " 42", 0.25),
        Conversation((Message(Role.USER, "q"), Message(Role.ASSISTANT, "a"))),
        Conversation(
            (
                Message(Role.SYSTEM, "be brief"),
                Message(Role.USER, "q", name="ann"),
                Message(Role.ASSISTANT, "a", 0.0),
                Message(Role.USER, "q"),
                Message(Role.ASSISTANT, "b", 0.5, reasoning="think"),
            )
        ),
        Conversation(
            (
                Message(Role.USER, "q"),
                Message(Role.ASSISTANT, "", tool_calls=(CALL, CALL)),
                Message(Role.TOOL, "on", name="lamp", tool_call_id="c1"),
                Message(Role.TOOL, "on", name="lamp", tool_call_id="c1"),
                Message(Role.ASSISTANT, "done"),
            ),
            tools=TOOLS,
            template_args='{"enable_thinking":false}',
        ),
        Conversation(
            (
                Message(Role.USER, "q"),
                Message(Role.ASSISTANT, "w", tool_calls=(ToolCall("f", "{}"),)),
            ),
        ),
    ],
)
def test_every_field_comes_back(content):
    assert again(content) == content


WORDS = st.text(alphabet="aä 猫\n<|>?\"'{", min_size=1).filter(str.strip)
WEIGHTS = st.sampled_from([1.0, 0.5, 0.25])
USERS = st.builds(Message, st.just(Role.USER), WORDS)
ANSWERS = st.builds(
    Message, st.just(Role.ASSISTANT), WORDS, st.sampled_from([0.0, 0.5, 1.0]), WORDS
)
LEARNED = (Message(Role.USER, "q"), Message(Role.ASSISTANT, "a"))
TALKS = st.lists(st.tuples(USERS, ANSWERS), min_size=1, max_size=3).map(
    lambda pairs: Conversation((*chain.from_iterable(pairs), *LEARNED))
)


@given(
    st.builds(Text, WORDS, WEIGHTS)
    | st.builds(Completion, WORDS, WORDS, WEIGHTS)
    | TALKS
)
def test_any_content_comes_back(content):
    assert again(content) == content
