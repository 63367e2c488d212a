"""Calls of tools in what a model wrote, as the common chat templates let it."""

import json
import re
import secrets
from collections.abc import Collection, Sequence
from typing import Any

from sleepcycle.records.content import ToolCall

BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)


def split_calls(text: str, tools: Collection[str]) -> tuple[str, Sequence[ToolCall]]:
    """Return what is said beside calls, and the calls.

    Calls are blocks of `<tool_call>`, or a text that is one call as JSON and nothing
    else. What is none of a tool that was offered stays text.

    Args:
        text: What a model wrote.
        tools: Names of those that it was offered.
    """
    found = [_call(block, tools) for block in BLOCK.findall(text)]
    calls = [call for call in found if call is not None]
    if calls and len(calls) == len(found):
        return BLOCK.sub("", text).strip(), calls
    whole = _call(text.strip(), tools)
    return (text, []) if whole is None else ("", [whole])


def _call(text: str, tools: Collection[str]) -> ToolCall | None:
    """Read one call; None where it is none."""
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.get("name") not in tools:
        return None
    given = fields.get("arguments", fields.get("parameters", {}))
    arguments = given if isinstance(given, str) else json.dumps(given)
    return ToolCall(str(fields["name"]), arguments, f"call_{secrets.token_hex(8)}")
