"""Whether a chat template has rendered all that a conversation says."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from sleepcycle.model.template_probe import THINK, THOUGHT, is_python, leaves
from sleepcycle.records.content import (
    Conversation,
    Message,
    Role,
    ToolCall,
    plain_json,
)

_FIRST = 7_700_000_001  # of the numbers that stand for numbers


class MarkedParts:
    """A conversation each of whose parts is a word of its own.

    What a template drops is then missing, whatever else it renders. Reasoning is left
    as it is: templates drop that of earlier turns.

    Args:
        conversation: What is to be rendered.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._keys: dict[str, str] = {}
        turns = tuple(self._turn(turn) for turn in conversation.messages)
        self.conversation = replace(conversation, messages=turns)

    def missing_in(self, text: str) -> Iterator[str]:
        """Yield what of the conversation is not in its rendering."""
        return (key for mark, key in self._keys.items() if mark not in text)

    def _turn(self, turn: Message) -> Message:
        """Return a turn with marks for what it says and calls."""
        key = f"content of a turn of {turn.role}"
        content = self._mark(key) if turn.content.strip() else turn.content
        calls = tuple(self._call(call) for call in turn.tool_calls)
        return replace(turn, content=content, tool_calls=calls)

    def _call(self, call: ToolCall) -> ToolCall:
        """Return a call with marks for its name and every value."""
        name = self._mark("tool_calls")
        return replace(
            call,
            name=name,
            arguments=plain_json(self._value(json.loads(call.arguments))),
        )

    def _value(self, value: Any) -> Any:  # noqa: ANN401 - JSON has any shape
        """Return a value with marks for its texts and numbers."""
        if isinstance(value, dict):
            return {key: self._value(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._value(one) for one in value]
        key = "arguments of tool_calls"
        if isinstance(value, str) and value.strip():
            return self._mark(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = _FIRST + len(self._keys)
            self._keys[str(number)] = key
            return number
        return value

    def _mark(self, key: str) -> str:
        """Return a word that stands for a part, and for nothing else."""
        mark = f"heron{len(self._keys):06}x"
        self._keys[mark] = key
        return mark


def left_out(turn: Message, text: str, quote: Callable[[str], str]) -> str | None:
    """Return the key of what a turn says that a rendering has not, but reasoning.

    Args:
        turn: The turn.
        text: The rendering.
        quote: What was made of content before it was rendered.
    """
    if not _stands(text, quote(parted(turn)[1].strip())):
        return "content"
    for call in turn.tool_calls:
        if not _stands(text, quote(call.name)):
            return "tool_calls"
        if is_python(call, text) or not _holds_arguments(text, call, quote):
            return "arguments of tool_calls"
    return None


def parted(message: Message) -> tuple[str, str]:
    """Return the reasoning and the words of a turn, which may hold it marked."""
    head, closed, rest = message.content.partition(THOUGHT)
    if (
        message.role is not Role.ASSISTANT
        or message.reasoning
        or not closed
        or not head.lstrip().startswith(THINK)
    ):
        return message.reasoning, message.content
    return head.replace(THINK, "", 1).strip(), rest


def _holds_arguments(text: str, call: ToolCall, quote: Callable[[str], str]) -> bool:
    """Return whether a rendering holds every value of a call's arguments."""
    written = json.loads(call.arguments, parse_int=str, parse_float=str)
    pairs = zip(leaves(written), leaves(json.loads(call.arguments)), strict=True)
    return all(
        any(_stands(text, quote(form.strip())) for form in _forms(as_written, read))
        for as_written, read in pairs
    )


def _forms(as_written: Any, read: Any) -> tuple[str, ...]:  # noqa: ANN401
    """Return what a value of JSON may be rendered as."""
    if isinstance(read, str):
        return (read,)
    if isinstance(as_written, str):
        return (as_written, str(read))
    return (plain_json(read), str(read))  # true, null; {} and [] have no leaves


def _stands(text: str, words: str) -> bool:
    """Return whether a text holds words, as they are or as JSON writes them."""
    if words in text:
        return True
    for is_ascii in (False, True):
        once = json.dumps(words, ensure_ascii=is_ascii)[1:-1]
        twice = json.dumps(once, ensure_ascii=is_ascii)[1:-1]
        if once in text or twice in text:
            return True
    return False
