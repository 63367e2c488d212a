"""The three canonical forms of training content, and their hash.

Whatever shape a row came in, it is stored as one of these; nothing after the
feed knows about Alpaca or ShareGPT.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Who says a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text, learned whole."""

    text: str
    weight: float = 1.0
    """Of its tokens in the loss, in (0, 1]."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A prompt, and the completion to learn.

    The two are joined as they are: a space between them belongs to one of them.
    """

    prompt: str
    completion: str
    weight: float = 1.0
    """Of the completion's tokens in the loss, in (0, 1]."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, as the assistant makes it."""

    name: str
    arguments: str
    """An object of JSON."""

    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    weight: float = 1.0
    """Of an assistant's turn in the loss, in [0, 1]; 0 is context alone."""

    reasoning: str = ""
    """What the assistant thinks before it answers."""

    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""
    """Of the speaker, or of the tool that answers."""

    tool_call_id: str = ""

    @property
    def is_learned(self) -> bool:
        """Whether the turn is an answer to learn."""
        return self.role is Role.ASSISTANT and self.weight > 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation; what the assistant says is learned, by each turn's weight."""

    messages: tuple[Message, ...]
    tools: str = ""
    """What the assistant may call: a list of JSON, or nothing."""

    template_args: str = ""
    """What the chat template is given beside: an object of JSON, or nothing."""

    @property
    def has_system(self) -> bool:
        """Whether the system says something."""
        return any(turn.role is Role.SYSTEM for turn in self.messages)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
Content = Text | Completion | Conversation


def canonical_json(content: Content) -> str:
    """Write content in the one form that is stored and hashed.

    Keys have a fixed order, what is at its default is left out, there is no white
    space, and text is not escaped, so equal content is equal text.
    """
    match content:
        case Text(text):
            fields = {"text": text, **_weight(content.weight)}
        case Completion(prompt, completion):
            fields = {"prompt": prompt, "completion": completion}
            fields |= _weight(content.weight)
        case Conversation(messages):
            fields = {"messages": [_turn(message) for message in messages]}
            more = {"tools": content.tools, "template_args": content.template_args}
            fields |= {key: said for key, said in more.items() if said}
    return plain_json(fields)


def plain_json(value: object) -> str:
    """Write a value as JSON without white space, its text not escaped."""
    return _ENCODER.encode(value)


def _weight(weight: float) -> dict[str, Any]:
    """Return a weight that is not at its default."""
    return {} if weight == 1 else {"weight": weight}


def _turn(message: Message) -> dict[str, Any]:
    """Return the fields of a turn that are not at their defaults."""
    fields: dict[str, Any] = {"role": str(message.role), "content": message.content}
    fields |= _weight(message.weight)
    if message.tool_calls:
        fields["tool_calls"] = [_call(call) for call in message.tool_calls]
    for key in ("reasoning", "name", "tool_call_id"):
        if said := getattr(message, key):
            fields[key] = said
    return fields


def _call(call: ToolCall) -> dict[str, str]:
    """Return the fields of a tool call."""
    given = {"id": call.id} if call.id else {}
    return {"name": call.name, "arguments": call.arguments, **given}


def parse_canonical(line: str) -> Content:
    """Read what `canonical_json` wrote."""
    return from_fields(json.loads(line))


def from_fields(fields: Any) -> Content:  # noqa: ANN401 - JSON has any shape
    """Build content from the parsed canonical form."""
    if "text" in fields:
        return Text(**fields)
    if "prompt" in fields:
        return Completion(**fields)
    messages = tuple(_message(**message) for message in fields["messages"])
    return Conversation(**fields | {"messages": messages})


def _message(
    role: str,
    tool_calls: Iterable[dict[str, str]] = (),
    **fields: Any,  # noqa: ANN401 - JSON has any shape
) -> Message:
    """Build a message from its parsed canonical form."""
    calls = tuple(ToolCall(**call) for call in tool_calls)
    return Message(Role(role), tool_calls=calls, **fields)


def content_hash(canonical: str) -> bytes:
    """Return the SHA-256 of canonical content: 32 bytes, its identity in the store."""
    return hashlib.sha256(canonical.encode()).digest()


def is_held_out(digest: bytes, share: float) -> bool:
    """Return whether content is held out, never to be trained on.

    The first 8 bytes of its hash decide, so the same content falls on the same
    side in every home, in any order of feeding.

    Args:
        digest: What `content_hash` returned.
        share: Part of all content to hold out, in [0, 1).
    """
    return int.from_bytes(digest[:8]) < share * 2**64
