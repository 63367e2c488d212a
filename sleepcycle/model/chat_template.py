"""Conversations by a base's chat template: each answer as it will be asked for."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

from jinja2 import TemplateError

from sleepcycle.errors import ExampleError
from sleepcycle.model import token_ids
from sleepcycle.records.content import Conversation, Message, Role, ToolCall
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
_MARK = "slowly wandering heron"  # words that no template holds
_CALL = ToolCall("find_heron", '{"where":"slow river"}', "heron0001")  # Mistral's: 9
_IN_PYTHON = str(json.loads(_CALL.arguments))  # so a template prints an object bare
_LOOSE = {"type": "object", "properties": {}}
_NAMED = {"name": _CALL.name, "description": "find one", "parameters": _LOOSE}
_TOOL = {"type": "function", "function": _NAMED}
_ASKED = Message(Role.USER, "hello")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RenderedAnswer:
    """One learned answer, as text."""

    prompt: str
    """All before it, up to where the assistant begins to speak."""

    said: str
    """What the assistant says then, and what ends its turn."""

    weight: float


class CallStyle(StrEnum):
    """In which form a template wants the arguments of a tool call."""

    OBJECT = "object"
    TEXT = "text"
    """Their JSON."""


class ChatTemplate:
    """The chat template of a tokenizer, and what it can render.

    What it renders is read by `token_ids.rendered`: what content says is quoted.

    Args:
        tokenizer: Transformers' tokenizer, which has a chat template.
    """

    def __init__(self, tokenizer: Any) -> None:  # noqa: ANN401
        self._tokenizer = tokenizer

    @cached_property
    def abilities(self) -> TemplateAbilities:
        """What the template renders, found out by letting it render."""
        template = self._tokenizer.chat_template
        sources = template.values() if isinstance(template, dict) else [template]
        return TemplateAbilities(
            system=self._holds([Message(Role.SYSTEM, _MARK), _ASKED], _MARK),
            tools=self._holds([_ASKED], _CALL.name, tools=[_TOOL]),
            tool_calls=self._call_style is not None,
            tool_turns=self._holds(
                [
                    _ASKED,
                    Message(Role.ASSISTANT, "", tool_calls=(_CALL,)),
                    Message(Role.TOOL, _MARK, name=_CALL.name, tool_call_id=_CALL.id),
                ],
                _MARK,
            ),
            reasoning=bool(self._reasoning_key) or self._opens_reasoning,
            words=tuple(
                sorted({w for source in sources for w in _WORD.findall(source)})
            ),
        )

    def prompt(self, conversation: Conversation) -> str:
        """Render a conversation up to where the assistant answers its last turn.

        Raises:
            ExampleError: The template refuses its turns.
        """
        self._expect_able(conversation)
        return self._render(self._merged(conversation), answer_next=True)

    def answers(self, conversation: Conversation) -> Iterator[RenderedAnswer]:
        """Yield each learned answer, rendered as it will be asked for.

        Templates drop earlier reasoning, mark the last turn, or open the reasoning of
        the next: so every answer is rendered as the last one of its conversation.

        Raises:
            ExampleError: The template refuses its turns, or changes an answer.
        """
        self._expect_able(conversation)
        whole = self._merged(conversation)
        for place, message in enumerate(whole.messages):
            if not message.is_learned:
                continue
            before = replace(whole, messages=whole.messages[:place])
            upto = replace(whole, messages=whole.messages[: place + 1])
            prompt = self._render(before, answer_next=True) if place else ""
            said = _said(prompt, self._render(upto, answer_next=False), message)
            self._expect_whole(said, message)
            yield RenderedAnswer(prompt, said, message.weight)

    def _expect_able(self, conversation: Conversation) -> None:
        """Refuse what the template would leave out without a word.

        Raises:
            ExampleError: There is some.
        """
        for key in self.abilities.missing_for(conversation):
            raise ExampleError("E_TEMPLATE", f"the chat template renders no {key}")

    def _merged(self, conversation: Conversation) -> Conversation:
        """Put what the system says into the user's first turn, if it has none."""
        spoken = conversation.messages
        system = [m.content for m in spoken if m.role is Role.SYSTEM]
        if not system or self.abilities.system:
            return conversation
        others = [m for m in spoken if m.role is not Role.SYSTEM]
        first = next((i for i, m in enumerate(others) if m.role is Role.USER), None)
        if first is None:
            raise ExampleError(
                "E_TEMPLATE", "the chat template has no system turn, and no user's is"
            )
        words = "\n\n".join([*system, others[first].content])
        others[first] = replace(others[first], content=words)
        return replace(conversation, messages=tuple(others))

    @cached_property
    def _call_style(self) -> CallStyle | None:
        """Return the first form of a tool call that the template renders whole."""
        turns = [_ASKED, Message(Role.ASSISTANT, "", tool_calls=(_CALL,))]
        for style in CallStyle:
            rows = [_row(turn, style, None) for turn in turns]
            text = self._try(rows) or ""
            if _CALL.name in text and "river" in text and _IN_PYTHON not in text:
                return style
        return None

    @cached_property
    def _reasoning_key(self) -> str | None:
        """Return the key under which the template reads the reasoning of a turn."""
        said = Message(Role.ASSISTANT, "hi", reasoning=_MARK)
        for key in REASONING_KEYS:
            rows = [_row(turn, CallStyle.OBJECT, key) for turn in (_ASKED, said)]
            if _MARK in (self._try(rows) or ""):
                return key
        return None

    @cached_property
    def _wants_parts(self) -> bool:
        """Whether what a turn says is read in parts, as templates with pictures do."""
        rows = [{"role": "user", "content": _MARK}]
        return _MARK not in (self._apply(rows) or "")

    @cached_property
    def _opens_reasoning(self) -> bool:
        """Whether an answer is asked for by opening its reasoning."""
        rows = [_row(_ASKED, CallStyle.OBJECT, None)]
        text = self._try(rows, add_generation_prompt=True) or ""
        return text.rstrip().endswith(THINK)

    def _holds(
        self, turns: Sequence[Message], words: str, tools: list[Row] | None = None
    ) -> bool:
        """Return whether words are in the rendering of turns."""
        style = self._call_style or CallStyle.OBJECT
        rows = [_row(turn, style, None) for turn in turns]
        text = self._try(rows, tools=tools, add_generation_prompt=True)
        return words in (text or "")

    def _try(self, rows: list[Row], **more: Any) -> str | None:  # noqa: ANN401
        """Return a rendering, or None where the template refuses."""
        if self._wants_parts:
            rows = [_in_parts(row) for row in rows]
        return self._apply(rows, **more)

    def _apply(self, rows: list[Row], **more: Any) -> str | None:  # noqa: ANN401
        """Return a rendering of turns as they are, or None where it is refused."""
        try:
            text: str = self._tokenizer.apply_chat_template(
                rows, tokenize=False, **more
            )
        except REFUSALS:
            return None
        return text

    def _render(self, conversation: Conversation, *, answer_next: bool) -> str:
        """Render turns; what they say is quoted, what the template says is not."""
        style = self._call_style or CallStyle.OBJECT
        rows = [_row(m, style, self._reasoning_key) for m in conversation.messages]
        if self._wants_parts:
            rows = [_in_parts(row) for row in rows]
        args = json.loads(conversation.template_args or "{}")
        tools = json.loads(conversation.tools or "null")
        try:
            text: str = self._tokenizer.apply_chat_template(
                self._quoted(rows),
                tools=self._quoted(tools),
                add_generation_prompt=answer_next,
                tokenize=False,
                **self._quoted(args),
            )
        except REFUSALS as error:
            roles = ", ".join(row["role"] for row in rows)
            raise ExampleError(
                "E_TEMPLATE",
                f"the chat template refuses turns of {roles:.80}: {error!s:.200}",
            ) from error
        return text

    def _quoted(self, value: Any) -> Any:  # noqa: ANN401 - JSON has any shape
        """Quote every text in a value."""
        if isinstance(value, str):
            return token_ids.quote(self._tokenizer, value)
        if isinstance(value, list):
            return [self._quoted(one) for one in value]
        if isinstance(value, dict):
            return {self._quoted(key): self._quoted(one) for key, one in value.items()}
        return value

    def _expect_whole(self, said: str, message: Message) -> None:
        """Refuse an answer that a template has not rendered as it stands.

        Raises:
            ExampleError: A part of it is missing.
        """
        reasoning, content = _parted(message)
        called = (call.name for call in message.tool_calls)
        for key, part in (
            ("reasoning", reasoning),
            ("content", content),
            *(("tool_calls", name) for name in called),
        ):
            if token_ids.quote(self._tokenizer, part.strip()) not in said:
                raise ExampleError(
                    "E_TEMPLATE",
                    f"the chat template leaves out or changes the {key} of an answer",
                )


def template_of(tokenizer: Any) -> ChatTemplate:  # noqa: ANN401
    """Return a tokenizer's chat template, probed once as long as it stays the same."""
    return _kept(tokenizer, str(tokenizer.chat_template))


@lru_cache(maxsize=8)
def _kept(tokenizer: Any, source: str) -> ChatTemplate:  # noqa: ANN401
    """Make a template, or return that made before for the same source."""
    return ChatTemplate(tokenizer)


def _row(message: Message, style: CallStyle, reasoning_key: str | None) -> Row:
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


def _said(prompt: str, whole: str, message: Message) -> str:
    """Return what a rendering says behind its prompt.

    Where the prompt opens the reasoning and the rendering has none, as DeepSeek-R1's,
    the answer begins inside of it: with the reasoning, or by closing it.

    Raises:
        ExampleError: The rendering does not go on from the prompt.
    """
    if whole.startswith(prompt):
        return whole[len(prompt) :]
    before, opened, behind = prompt.rpartition(THINK)
    if not opened or behind.strip() or not whole.startswith(before):
        part = "the reasoning of an" if _parted(message)[0] else "an"
        raise ExampleError(
            "E_TEMPLATE",
            f"the chat template renders {part} answer otherwise than it asks for one",
        )
    rest = whole[len(before) :]
    if rest.startswith(THINK):
        return rest.removeprefix(THINK).lstrip("\n")
    reasoning, _ = _parted(message)
    return f"{reasoning}\n{THOUGHT}\n\n{rest.lstrip()}"


def _parted(message: Message) -> tuple[str, str]:
    """Return the reasoning and the words of a turn, which may hold it marked."""
    head, closed, rest = message.content.partition(THOUGHT)
    if message.reasoning or not closed or not head.lstrip().startswith(THINK):
        return message.reasoning, message.content
    return head.replace(THINK, "", 1).strip(), rest
