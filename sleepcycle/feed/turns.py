"""Turns of a conversation, in the forms that people have them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import UNSUPPORTED, Fields
from sleepcycle.feed.row_values import kind_of, object_text, said_text, text_of
from sleepcycle.feed.tool_calls import called_in, calls_of
from sleepcycle.feed.wanted import expect_final, turn_weight
from sleepcycle.feed.written_numbers import number_text
from sleepcycle.records.content import Message, Role

ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "human": Role.USER,
    "assistant": Role.ASSISTANT,
    "gpt": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "function_call": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
    "observation": Role.TOOL,
}

REASONING = ("reasoning_content", "thinking", "reasoning")
PLAIN = {"role", "content"}
SPEAKER = frozenset({"role", "from"})
SAID = frozenset({"content", "value", "text", "parts"})
"""Keys of who speaks, and of what is said: two of them must say the same."""

MEDIA_WORDS = frozenset({"image", "audio", "video", "file", "document", "media"})
"""Words in the type of a part that is a picture, sound or a file."""


def read_turns(
    turns: object,
    ignored: frozenset[str] = frozenset(),
    beside: dict[str, list[Any]] | None = None,
) -> list[Message]:
    """Read a list of turns.

    Args:
        turns: The list, as parsed.
        ignored: Keys of turns that are as if they were not there.
        beside: Takes what stands beside the turns and changes nothing, by its key.

    Raises:
        RowError: `E_SHAPE`, `E_ROLE`, `E_EMPTY`, `E_NAN` or `E_UNSUPPORTED_KEY`.
    """
    if not isinstance(turns, list):
        raise RowError("E_SHAPE", f"expected a list of turns, got {kind_of(turns)}")
    kept = {} if beside is None else beside
    return [_turn(turn, number, ignored, kept) for number, turn in enumerate(turns, 1)]


def _turn(
    turn: object, number: int, ignored: frozenset[str], beside: dict[str, list[Any]]
) -> Message:
    """Read one turn: `role` and `content`, or `from` and `value`."""
    if not isinstance(turn, Mapping):
        raise RowError("E_SHAPE", f"expected a turn as an object, got {kind_of(turn)}")
    if turn.keys() == PLAIN and not ignored and isinstance(turn["content"], str):
        return _plain_turn(turn["role"], turn["content"])
    fields = Fields(turn, ignored, f"turn {number}: ")
    said = fields.take("role", "from")
    role, given = _role(said), fields.take("content", "value")
    message = _message(fields, str(said), given)
    _check(message)
    for key, value in fields.rest():
        plain = key.lower()
        is_other = plain in SPEAKER and ROLES.get(str(value)) != role
        if is_other or (plain in SAID and value != given):
            raise RowError(
                UNSUPPORTED, f"turn {number}: expected what is said once, got {key} too"
            )
        if role is Role.ASSISTANT:
            expect_final(fields, key, value)
        beside.setdefault(key, []).append(value)
    return message


def _plain_turn(said: object, content: str) -> Message:
    """Read a turn that has no other key, as nearly all have: that spares time."""
    role = _role(said)
    if said == "function_call":
        return Message(role, "", tool_calls=called_in(content))
    message = Message(role, said_text(content, "content"))
    _check(message)
    return message


def _role(said: object) -> Role:
    """Return who speaks."""
    if isinstance(said, str) and said in ROLES:
        return ROLES[said]
    raise RowError("E_ROLE", f"expected user, assistant or system, got {said!r:.40}")


def _message(fields: Fields, said: str, given: object) -> Message:
    """Read what a turn says, and what it says it with."""
    if fields.is_read() and said != "function_call":  # most turns: spares time
        is_answer = ROLES[said] is Role.ASSISTANT
        given = number_text(given) if is_answer else given
        return Message(ROLES[said], _content(given, has_calls=False))
    role, calls = ROLES[said], calls_of(fields)
    given = number_text(given) if role is Role.ASSISTANT else given
    content = _content(given, has_calls=bool(calls))
    if said == "function_call":
        calls, content = called_in(content), ""
    return Message(
        role,
        content,
        weight=turn_weight(fields, role),
        reasoning=text_of(fields.given(*REASONING) or "", "reasoning"),
        tool_calls=calls,
        name=text_of(fields.given("name") or "", "name"),
        tool_call_id=text_of(fields.given("tool_call_id") or "", "tool_call_id"),
    )


def _check(message: Message) -> None:
    """Refuse a turn that says nothing, or what only the assistant may say."""
    if message.role is Role.ASSISTANT:
        if not message.content.strip() and not message.tool_calls:
            raise RowError(
                "E_EMPTY", "expected the assistant to say something, got nothing"
            )
        return
    for key, given in (
        ("reasoning", message.reasoning),
        ("tool_calls", message.tool_calls),
    ):
        if given:
            raise RowError(
                UNSUPPORTED,
                f"expected {key} of the assistant, got the {message.role}'s",
            )


def _content(content: object, *, has_calls: bool) -> str:
    """Read what a turn says: a text, or a list of parts of text."""
    if content is None and has_calls:
        return ""
    if isinstance(content, list):
        content = "".join(_part(part, n) for n, part in enumerate(content))
    return said_text(content, "content")


def _part(part: object, place: int) -> str:
    """Read one part of a message that comes in parts: text alone is known."""
    if not isinstance(part, Mapping) or part.get("type") != "text":
        named = part.get("type") if isinstance(part, Mapping) else kind_of(part)
        is_media = not MEDIA_WORDS.isdisjoint(str(named).lower().split("_"))
        raise RowError(
            UNSUPPORTED if is_media else "E_SHAPE",
            f"expected parts of type text, got content[{place}] of type {named!r:.40}",
        )
    fields = Fields(part, frozenset({"type"}), f"content[{place}]: ")
    text = text_of(fields.take("text"), "text")
    fields.expect_harmless()
    return text


def template_args_of(fields: Fields) -> str:
    """Read what the row gives its chat template.

    Raises:
        RowError: `E_SHAPE`, or `E_UNSUPPORTED_KEY` for what is ours to say.
    """
    given = fields.given("chat_template_kwargs", "template_args")
    text = object_text(given, "chat_template_kwargs") if given else ""
    ours = {"tokenize", "add_generation_prompt", "tools", "chat_template", "messages"}
    if text and (wrong := sorted(ours & json.loads(text).keys())):
        raise RowError(
            UNSUPPORTED, f"expected no {wrong[0]} in chat_template_kwargs, got one"
        )
    return text


def with_system(system: object, turns: Sequence[Message]) -> list[Message]:
    """Put a system text that stands beside the turns before them, once.

    Raises:
        RowError: The turns have another one.
    """
    if not system:
        return list(turns)
    text = text_of(system, "system")
    first = next((turn.content for turn in turns if turn.role is Role.SYSTEM), None)
    if first is not None and first.strip() != text.strip():
        raise RowError(
            UNSUPPORTED, "expected system once, got another one among the turns"
        )
    if first is not None:
        return list(turns)
    return [Message(Role.SYSTEM, text), *turns]


def as_context(turns: Iterable[Message]) -> list[Message]:
    """Return turns of which nothing is learned."""
    return [
        replace(turn, weight=0.0) if turn.role is Role.ASSISTANT else turn
        for turn in turns
    ]
