"""Distinguish what a chat program asks for itself from what its user asks.

Such programs let the model name a chat, tag it, go on for its user or write queries
for a search, and what it answers then is no answer to anybody.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

TASK = re.compile(r"\s*#{1,4}\s*\w+\s*:")
TASK_FORM = re.compile(
    r"<chat_history>|#{1,4}\s*Chat History|"
    r"""\{\s*["'](?:title|tags|follow_ups|queries|text|prompt|emoji)["']\s*:""",
    re.IGNORECASE,
)
"""Open WebUI's: a task under a heading, and either the chat or the JSON it wants."""

QUOTED = re.compile(
    r"<context>.*?(?:</context>|\Z)|<user_query>.*?(?:</user_query>|\Z)", re.DOTALL
)
"""What such a task quotes where a user asks, with documents that were found."""

ALONE = re.compile(
    r"\bfacial\s+expression\b[^.\n]{0,60}\bemoji|\bprompt\s+for\s+future\s+context\b",
    re.IGNORECASE,
)
"""What no user asks: a face for a voice, and a memory of the chat."""

TOOLS = re.compile(
    r"\s*Available\s+Tools:.*\bchoose\b[^.\n]{0,40}\btool", re.IGNORECASE | re.DOTALL
)
"""The choice of a tool, behind a list of any length."""

_CHAT = (
    r"(?:conversation|chat(?:\s+(?:history|session))?|discussion|dialogue|session|"
    r"thread|exchange|previous\s+(?:query|message))"
)
_NAME = r"(?:title|name|headline|topic|tags|emoji|follow[- ]?ups?(?:\s+\w+)?)"
NAMING = re.compile(
    rf"\b{_NAME}\b[^.\n]{{0,80}}\b(?:this|our|the|a|that|given|following|above)\s+"
    rf"(?:\w+\s+)?{_CHAT}\b|"
    rf"\b(?:summari[sz]e|sum\s+up|name|title)\b[^.\n]{{0,40}}\b{_CHAT}\b[^.\n]{{0,60}}"
    rf"\b{_NAME}\b|\b{_CHAT}\b[^.\n]{{0,20}}\ba\s+(?:title|name)\b|"
    rf"\banaly[sz]e\s+this\s+{_CHAT}\b[\s\S]{{0,120}}\b{_NAME}\b|"
    r"\b(?:title|tag|follow[- ]?up)s?\s+generator\b|\bconversation\s+titles?\b",
    re.IGNORECASE,
)
"""Words that ask for the name of a chat, or for tags or questions to it."""

FORM = re.compile(
    r"\b(?:\d+|two|three|four|five|six|seven|eight|ten)(?:\s*(?:-|to|or)\s*\w+)?[\s-]+"
    r"(?:word|character|char|letter)s?\b|"
    r"\b(?:no|without|avoid|omit|not\s+us\w+|any)\s+(?:any\s+)?(?:\w+,?\s+){0,3}"
    r"(?:punctuation|quot\w+|preamble|explanation|lead-in|formatting)|"
    r"\b(?:only|just|nothing\s+but|exclusively)\b[^.\n]{0,30}\b(?:title|name|tags|json|"
    r"questions)\b|\bJSON\b|\btitle\s+case\b|"
    r"\bextremely\s+(?:concise|short|brief)\b",
    re.IGNORECASE,
)
"""Words that bind the form of an answer, as a program needs it and a person seldom."""

HEAD_CHARS = 800  # a program says what it wants before it quotes the chat


def is_housekeeping(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a chat program asks, for its own use, and not its user.

    The system's turns and the user's last one are looked at. A task must have two
    signs: what is to be made of the chat, and the form that a program wants it in.

    Args:
        messages: The request's, as OpenAI has them.
    """
    said = [
        _text_of(turn)
        for turn in messages
        if turn.get("role") in {"system", "developer"}
    ]
    users = [_text_of(turn) for turn in messages if turn.get("role") == "user"]
    asked = [*said, *users[-1:]]
    return any(map(_is_task, asked))


def _is_task(text: str) -> bool:
    """Return whether a text has both signs of a program's task."""
    if TASK.match(text) and TASK_FORM.search(QUOTED.sub("", text)):
        return True
    head = QUOTED.sub("", text[:HEAD_CHARS])
    if ALONE.search(head) or TOOLS.match(text):
        return True
    return NAMING.search(head) is not None and FORM.search(head) is not None


def _text_of(turn: Mapping[str, Any]) -> str:
    """Return what a turn says in text, its parts joined."""
    content = turn.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))
