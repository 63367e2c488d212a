"""What a chat template renders, found out by letting it render."""

import json
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from sleepcycle.records.content import Message, Role, ToolCall
from sleepcycle.records.template import TemplateAbilities

THINK, THOUGHT = "<think>", "</think>"
REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")
REFUSALS = (
    TemplateError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
)
"""What a template raises at turns that it was not made for."""

_WORD = re.compile(r"[A-Za-z_]\w*")
_PRINTED = re.compile(r"""['"]type['"]""", re.IGNORECASE)  # parts, not their text
_MARK = "slowly wandering heron"  # words that no template holds
_ID = "heron0001"  # Mistral's have 9
_FLAT = ToolCall("find_heron", '{"where":"slow river"}', _ID)
_NESTED = ToolCall(
    "find_heron", '{"where":"slow river","how":{"by":["old mill",417]}}', _ID
)
_OTHER = ToolCall("feed_heron", '{"what":"small fish"}', "heron0002")


def _tool(call: ToolCall) -> dict[str, Any]:
    """Return the definition of the tool that a probe calls."""
    known = {
        key: {"type": "string", "description": f"{key} of {_MARK}"}
        for key in json.loads(call.arguments)
    }
    loose = {"type": "object", "properties": known, "required": [*known]}
    described = {"name": call.name, "description": f"to {call.name}, ask"}
    return {"type": "function", "function": {**described, "parameters": loose}}


_TOOLS = [_tool(_FLAT), _tool(_OTHER)]
_DEFINED = (
    *(tool["function"][key] for tool in _TOOLS for key in ("name", "description")),
    f"where of {_MARK}",
    f"what of {_MARK}",
)
_ASKED = Message(Role.USER, "hello")
_RULES = Message(Role.SYSTEM, "be brief")

Row = dict[str, Any]


class CallStyle(StrEnum):
    """In which form a template wants the arguments of a tool call."""

    OBJECT = "object"
    TEXT = "text"
    """Their JSON."""


class TemplateProbe:
    """Turns as a tokenizer's chat template reads them, and what it renders of them.

    Args:
        tokenizer: Transformers' tokenizer, which has a chat template.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401
        self._tokenizer = tokenizer

    @cached_property
    def abilities(self) -> TemplateAbilities:
        """What the template renders."""
        template = self._tokenizer.chat_template
        sources = template.values() if isinstance(template, dict) else [template]
        answered = Message(Role.TOOL, _MARK, name=_FLAT.name, tool_call_id=_ID)
        return TemplateAbilities(
            system=_MARK in self._asked_by([Message(Role.SYSTEM, _MARK), _ASKED]),
            tools=_all_in(_DEFINED, self._asked_by([_ASKED], tools=_TOOLS)),
            tool_calls=self.call_style is not None,
            parallel_calls=self._holds_calls(self.call_style, _FLAT, _OTHER),
            nested_arguments=self._holds_calls(self.call_style, _NESTED),
            tool_turns=_MARK in self._asked_by([_ASKED, _calling(_FLAT), answered]),
            reasoning=bool(self.reasoning_key) or self._opens_reasoning,
            words=tuple(
                sorted({w for source in sources for w in _WORD.findall(source)})
            ),
        )

    @cached_property
    def call_style(self) -> CallStyle | None:
        """The first form of a tool call that is rendered whole, nested if it can be."""
        for call in (_NESTED, _FLAT):
            for style in CallStyle:
                if self._holds_calls(style, call):
                    return style
        return None

    @cached_property
    def reasoning_key(self) -> str | None:
        """The key under which the template reads the reasoning of a turn."""
        said = Message(Role.ASSISTANT, "hi", reasoning=_MARK)
        for key in REASONING_KEYS:
            rows = [row_of(turn, CallStyle.OBJECT, key) for turn in (_ASKED, said)]
            if _MARK in self._first_of(rows):
                return key
        return None

    @cached_property
    def second_system(self) -> bool:
        """Whether a system turn behind another is rendered."""
        return _MARK in self._asked_by([_RULES, Message(Role.SYSTEM, _MARK), _ASKED])

    @cached_property
    def later_system(self) -> bool:
        """Whether a system turn behind an answer is rendered there."""
        answer = Message(Role.ASSISTANT, "small fish")
        turns = [_ASKED, answer, Message(Role.SYSTEM, _MARK), _ASKED]
        return _MARK in self._asked_by(turns).partition(answer.content)[2]

    def rows(self, turns: Sequence[Message]) -> list[Row]:
        """Return turns as the template reads them."""
        style = self.call_style or CallStyle.OBJECT
        rows = [row_of(turn, style, self.reasoning_key) for turn in turns]
        return [_in_parts(row) for row in rows] if self._wants_parts else rows

    @cached_property
    def _wants_parts(self) -> bool:
        """Whether what a turn says is read in parts, as templates with pictures do."""
        asked = Message(Role.USER, _MARK)
        tried = [
            [row_of(turn, CallStyle.OBJECT, None) for turn in turns]
            for turns in ([asked], [_RULES, asked])
        ]
        if any(_MARK in (self._apply(rows) or "") for rows in tried):
            return False
        found = [self._apply([_in_parts(row) for row in rows]) for rows in tried]
        return any(
            _MARK in text and not _PRINTED.search(text) for text in found if text
        )

    @cached_property
    def _opens_reasoning(self) -> bool:
        """Whether an answer is asked for by opening its reasoning."""
        return self._asked_by([_ASKED]).rstrip().endswith(THINK)

    def _holds_calls(self, style: CallStyle | None, *calls: ToolCall) -> bool:
        """Return whether one turn's calls are rendered whole, and not as Python's."""
        if style is None:
            return False
        turns = [_ASKED, _calling(*calls)]
        text = self._first_of([row_of(turn, style, None) for turn in turns])
        return all(
            call.name in text
            and not is_python(call, text)
            and _all_in(map(str, leaves(json.loads(call.arguments))), text)
            for call in calls
        )

    def _asked_by(self, turns: Sequence[Message], **more: Any) -> str:  # noqa: ANN401
        """Return what asks for the answer to turns, or nothing where it is refused."""
        style = self.call_style or CallStyle.OBJECT
        rows = [row_of(turn, style, None) for turn in turns]
        return self._first_of(rows, add_generation_prompt=True, **more)

    def _first_of(self, rows: list[Row], **more: Any) -> str:  # noqa: ANN401
        """Return the rendering of rows, behind a system turn if it must be there."""
        heads = [[]] if rows[0]["role"] == Role.SYSTEM else [[], [_RULES]]
        for head in heads:
            tried = [*(row_of(turn, CallStyle.OBJECT, None) for turn in head), *rows]
            if self._wants_parts:
                tried = [_in_parts(row) for row in tried]
            if (text := self._apply(tried, **more)) is not None:
                return text
        return ""

    def _apply(self, rows: list[Row], **more: Any) -> str | None:  # noqa: ANN401
        """Return a rendering of turns as they are, or None where it is refused."""
        try:
            text: str = self._tokenizer.apply_chat_template(
                rows, tokenize=False, **more
            )
        except REFUSALS:
            return None
        return text


def row_of(message: Message, style: CallStyle, reasoning_key: str | None) -> Row:
    """Return a turn as templates read it."""
    row: Row = {"role": str(message.role), "content": message.content}
    if message.reasoning and reasoning_key:
        row[reasoning_key] = message.reasoning
    if message.tool_calls:
        row["tool_calls"] = [_called(call, style) for call in message.tool_calls]
    for key in ("name", "tool_call_id"):
        if said := getattr(message, key):
            row[key] = said
    return row


def leaves(value: Any) -> list[Any]:  # noqa: ANN401 - JSON has any shape
    """Return what is no list and no object of a value of JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    return [value]


def is_python(call: ToolCall, text: str) -> bool:
    """Return whether a text has objects of a call's arguments as Python prints them."""
    waiting = [json.loads(call.arguments)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict) and value and str(value) in text:
            return True
        if isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
    return False


def _in_parts(row: Row) -> Row:
    """Return a turn whose words are a part of their own."""
    return row | {"content": [{"type": "text", "text": row["content"]}]}


def _called(call: ToolCall, style: CallStyle) -> Row:
    """Return a tool call as templates read it."""
    arguments = (
        call.arguments if style is CallStyle.TEXT else json.loads(call.arguments)
    )
    function = {"name": call.name, "arguments": arguments}
    given = {"id": call.id} if call.id else {}
    return {"type": "function", "function": function, **given}


def _calling(*calls: ToolCall) -> Message:
    """Return an answer that is calls alone."""
    return Message(Role.ASSISTANT, "", tool_calls=calls)


def _all_in(words: Iterable[str], text: str) -> bool:
    """Return whether a text holds all of several words."""
    return all(word in text for word in words)
