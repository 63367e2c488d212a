"""The three canonical forms of training content, and their hash.

Whatever shape a row came in, it is stored as one of these; nothing after the
feed knows about Alpaca or ShareGPT.
"""

import hashlib
import json
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


@dataclass(frozen=True, slots=True)
class Completion:
    """A prompt, and the completion to learn.

    The two are joined as they are: a space between them belongs to one of them.
    """

    prompt: str
    completion: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation; what the assistant says is learned."""

    messages: tuple[Message, ...]


Content = Text | Completion | Conversation


def canonical_json(content: Content) -> str:
    """Write content in the one form that is stored and hashed.

    Keys have a fixed order, there is no white space, and text is not escaped,
    so equal content is equal text.
    """
    match content:
        case Text(text):
            fields: dict[str, object] = {"text": text}
        case Completion(prompt, completion):
            fields = {"prompt": prompt, "completion": completion}
        case Conversation(messages):
            fields = {
                "messages": [
                    {"role": str(message.role), "content": message.content}
                    for message in messages
                ]
            }
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def parse_canonical(line: str) -> Content:
    """Read what `canonical_json` wrote."""
    return from_fields(json.loads(line))


def from_fields(fields: Any) -> Content:  # noqa: ANN401 - JSON has any shape
    """Build content from the parsed canonical form."""
    if "text" in fields:
        return Text(fields["text"])
    if "prompt" in fields:
        return Completion(fields["prompt"], fields["completion"])
    return Conversation(
        tuple(
            Message(Role(message["role"]), message["content"])
            for message in fields["messages"]
        )
    )


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
