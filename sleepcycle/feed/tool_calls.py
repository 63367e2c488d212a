"""Tools that a row defines, and the calls of them that its turns make."""

from collections.abc import Mapping
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import UNSUPPORTED, Fields
from sleepcycle.feed.row_values import kind_of, object_text, parsed
from sleepcycle.feed.written_numbers import written_json
from sleepcycle.records.content import ToolCall

ARGUMENTS = ("arguments", "args", "parameters", "input")
"""Keys of what a call is made with: OpenAI's, LangChain's, and others'."""

TELLING = frozenset({"id", "type", "index"})
"""Keys of a call beside its function that change nothing but its name."""


def calls_of(fields: Fields) -> tuple[ToolCall, ...]:
    """Read the calls of tools: OpenAI's list, or its older single one.

    Raises:
        RowError: `E_SHAPE`, or `E_UNSUPPORTED_KEY`.
    """
    calls, single = fields.given("tool_calls"), fields.given("function_call")
    if calls is not None and single is not None:
        raise RowError(UNSUPPORTED, "expected tool_calls or function_call, got both")
    if single is not None:
        return (_call(parsed(single, "function_call")),)
    if calls is None:
        return ()
    found = parsed(calls, "tool_calls")
    if not isinstance(found, list):
        raise RowError(
            "E_SHAPE", f"expected tool_calls as a list, got {kind_of(found)}"
        )
    return tuple(map(_call, found))


def _call(call: object) -> ToolCall:
    """Read one call: with its `function`, or flat."""
    if not isinstance(call, Mapping):
        raise RowError(
            "E_SHAPE", f"expected a tool call as an object, got {kind_of(call)}"
        )
    function = call.get("function", call)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise RowError("E_SHAPE", "expected a tool call with the name of its function")
    fields = Fields({**call, "function": None, **function}, frozenset())
    name, given = fields.take("name"), fields.given("id")
    arguments = object_text(fields.given(*ARGUMENTS), "arguments of a tool call")
    for key, _ in fields.rest():
        if key not in TELLING:
            raise RowError(
                UNSUPPORTED,
                f"expected name and arguments in a tool call, got {key!a:.60} too",
            )
    return ToolCall(name, arguments, given if isinstance(given, str) else "")


def called_in(content: str) -> tuple[ToolCall, ...]:
    """Read the calls that a turn of ShareGPT's has as text.

    Raises:
        RowError: `E_SHAPE`, or `E_UNSUPPORTED_KEY`.
    """
    calls = parsed(content, "a tool call")
    return tuple(map(_call, calls if isinstance(calls, list) else [calls]))


def tools_of(fields: Fields) -> str:
    """Read what may be called: OpenAI's `tools`, its older `functions`, or their text.

    Raises:
        RowError: `E_SHAPE`, or `E_UNSUPPORTED_KEY`.
    """
    tools = parsed(fields.given("tools"), "tools")
    functions = parsed(fields.given("functions"), "functions")
    if tools and functions:
        raise RowError(UNSUPPORTED, "expected tools or functions, got both")
    found = tools or functions
    if not found:
        return ""
    if not isinstance(found, list) or not all(isinstance(t, Mapping) for t in found):
        named = "tools" if tools else "functions"
        raise RowError(
            "E_SHAPE", f"expected {named} as a list of objects, got {kind_of(found)}"
        )
    whole = [tool if "function" in tool else _wrapped(tool) for tool in found]
    return written_json(whole, "tools")


def _wrapped(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool that is given flat as templates expect it."""
    flat = {key: value for key, value in tool.items() if key != "type"}
    return {"type": "function", "function": flat} if "name" in tool else tool
