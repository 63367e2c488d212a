"""Turns of a conversation, in the forms that people have them."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import UNSUPPORTED, Fields
from sleepcycle.feed.rows import Number
from sleepcycle.records.content import Message, Role, ToolCall, plain_json

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
MEDIA = re.compile(
    r"(?:\A|\n)[ \t]*(?:<\|?(?:image|video|audio|img)(?:_\w+)?(?:_?\d+)?\|?>|\[IMG\])"
)
"""A marker of a picture or sound, where a line begins with it."""


def read_turns(turns: object, ignored: frozenset[str] = frozenset()) -> list[Message]:
    """Read a list of turns.

    Raises:
        RowError: `E_SHAPE`, `E_ROLE`, `E_EMPTY`, or `E_UNSUPPORTED_KEY`.
    """
    if not isinstance(turns, list):
        raise RowError("E_SHAPE", f"expected a list of turns, got {kind_of(turns)}")
    return [_turn(turn, number, ignored) for number, turn in enumerate(turns, 1)]


def _turn(turn: object, number: int, ignored: frozenset[str]) -> Message:
    """Read one turn: `role` and `content`, or `from` and `value`."""
    if not isinstance(turn, Mapping):
        raise RowError("E_SHAPE", f"expected a turn as an object, got {kind_of(turn)}")
    fields = Fields(turn, ignored, f"turn {number}: ")
    said = fields.take("role", "from")
    if not isinstance(said, str) or said not in ROLES:
        raise RowError(
            "E_ROLE", f"expected user, assistant or system, got {said!r:.40}"
        )
    role = ROLES[said]
    calls = _calls(fields, said)
    given = fields.take("content", "value")
    if role is Role.ASSISTANT:
        given = number_text(given)
    content = _content(given, has_calls=bool(calls))
    message = Message(
        role,
        "" if said == "function_call" else content,
        weight=_weight(fields, role),
        reasoning=text_of(fields.take(*REASONING) or "", "reasoning"),
        tool_calls=_called(content) if said == "function_call" else calls,
        name=text_of(fields.take("name") or "", "name"),
        tool_call_id=text_of(fields.take("tool_call_id") or "", "tool_call_id"),
    )
    _check(message)
    for _ in fields.rest():  # refuses what would change the turn
        pass
    return message


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


def _weight(fields: Fields, role: Role) -> float:
    """Read how much an answer counts: by `weight`, or by `train`."""
    weight, train = fields.take("weight"), fields.take("train")
    if train is not None:
        if not isinstance(train, bool) or (
            weight is not None and bool(weight) != train
        ):
            raise RowError(
                UNSUPPORTED, f"expected train as true or false, got {kind_of(train)}"
            )
        weight = float(train) if weight is None else weight
    if weight is None:
        return 1.0
    number = weight_of(weight)
    if role is Role.ASSISTANT:
        return number
    if number:
        raise RowError(
            UNSUPPORTED,
            f"expected weight 0 or none on a turn of the {role}, got {number:g}: the "
            "assistant alone is learned",
        )
    return 1.0


def weight_of(value: object) -> float:
    """Read a weight.

    Raises:
        RowError: It is no number in [0, 1].
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number <= 1:
        raise RowError(
            UNSUPPORTED, f"expected weight as a number in [0, 1], got {value!r:.40}"
        )
    return number


def _content(content: object, *, has_calls: bool) -> str:
    """Read what a turn says: a text, or a list of parts of text."""
    if content is None and has_calls:
        return ""
    if isinstance(content, list):
        content = "".join(_part(part, n) for n, part in enumerate(content))
    text = text_of(content, "content")
    if marker := MEDIA.search(text):
        raise RowError(
            UNSUPPORTED,
            f"expected text in content, got the marker {marker[0].strip()} of a "
            "picture or sound that is not here",
        )
    return text


def _part(part: object, place: int) -> str:
    """Read one part of a message that comes in parts: text alone is known."""
    if not isinstance(part, Mapping) or part.get("type") != "text":
        named = part.get("type") if isinstance(part, Mapping) else kind_of(part)
        raise RowError(
            "E_SHAPE",
            f"expected parts of type text, got content[{place}] of type {named!r:.40}",
        )
    return text_of(part.get("text"), "text")


def _calls(fields: Fields, said: str) -> tuple[ToolCall, ...]:
    """Read the calls of tools: OpenAI's list, or its older single one."""
    calls, single = fields.take("tool_calls"), fields.take("function_call")
    if calls is None and isinstance(single, Mapping):
        calls = [single]
    if calls is None:
        return ()
    if not isinstance(calls, list):
        raise RowError(
            "E_SHAPE", f"expected tool_calls as a list, got {kind_of(calls)}"
        )
    return tuple(_call(call) for call in calls)


def _call(call: object) -> ToolCall:
    """Read one call: with its `function`, or flat."""
    if not isinstance(call, Mapping):
        raise RowError(
            "E_SHAPE", f"expected a tool call as an object, got {kind_of(call)}"
        )
    function = call.get("function", call)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise RowError("E_SHAPE", "expected a tool call with the name of its function")
    given = call.get("id")
    return ToolCall(
        function["name"],
        _object(function.get("arguments"), "arguments of a tool call"),
        given if isinstance(given, str) else "",
    )


def _called(content: str) -> tuple[ToolCall, ...]:
    """Read the calls that a turn of ShareGPT's has as text."""
    calls = parsed(content, "a tool call")
    return tuple(
        _call(call) for call in (calls if isinstance(calls, list) else [calls])
    )


def _object(value: object, what: str) -> str:
    """Return an object of JSON in one form, given as one or as text."""
    found = parsed(value, what) if isinstance(value, str) and value.strip() else value
    if not isinstance(found or {}, Mapping):
        raise RowError("E_SHAPE", f"expected an object in {what}, got {kind_of(found)}")
    return plain_json(found or {})


def tools_of(fields: Fields) -> str:
    """Read what may be called: OpenAI's `tools`, its older `functions`, or their text.

    Raises:
        RowError: `E_SHAPE`.
    """
    tools, functions = fields.take("tools"), fields.take("functions")
    found = parsed(tools, "tools") if isinstance(tools, str) else tools
    if not found and functions:
        plain = (
            parsed(functions, "functions") if isinstance(functions, str) else functions
        )
        if not isinstance(plain, list):
            raise RowError(
                "E_SHAPE", f"expected functions as a list, got {kind_of(plain)}"
            )
        found = [{"type": "function", "function": one} for one in plain]
    if not found:
        return ""
    if not isinstance(found, list) or not all(isinstance(t, Mapping) for t in found):
        raise RowError("E_SHAPE", "expected tools as a list of objects, got another")
    return plain_json([t if "function" in t else _wrapped(t) for t in found])


def _wrapped(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a tool that is given flat as templates expect it."""
    flat = {key: value for key, value in tool.items() if key != "type"}
    return {"type": "function", "function": flat} if "name" in tool else tool


def template_args_of(fields: Fields) -> str:
    """Read what the row gives its chat template.

    Raises:
        RowError: `E_SHAPE`, or `E_UNSUPPORTED_KEY` for what is ours to say.
    """
    given = fields.take("chat_template_kwargs", "template_args")
    text = _object(given, "chat_template_kwargs") if given else ""
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


def parsed(text: object, what: str) -> Any:  # noqa: ANN401 - JSON has any shape
    """Parse JSON that a row has as text.

    Raises:
        RowError: `E_SHAPE`: it is none.
    """
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError) as error:
        raise RowError(
            "E_SHAPE", f"expected JSON in {what}, got: {error!s:.80}"
        ) from error


def text_of(value: object, key: str) -> str:
    """Read a text.

    Raises:
        RowError: `E_SHAPE`, or `E_NAN` for what is not a number.
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise RowError("E_NAN", f"expected text in {key}, got {float(value)}")
    raise RowError("E_SHAPE", f"expected text in {key}, got {kind_of(value)}")


def number_text(value: object) -> object:
    """Return a number as it is written; another value as it is."""
    if isinstance(value, Number):
        return value.written
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(value) if math.isfinite(value) else value


def kind_of(value: object) -> str:
    """Return what kind of JSON a value is."""
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(ascii, value)) or 'no keys'!s:.80}"
    if isinstance(value, float):
        return "a number"
    names = {str: "text", bool: "a truth value", list: "a list"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def as_context(turns: Iterable[Message]) -> list[Message]:
    """Return turns of which nothing is learned."""
    return [
        Message(
            t.role, t.content, 0.0, t.reasoning, t.tool_calls, t.name, t.tool_call_id
        )
        if t.role is Role.ASSISTANT
        else t
        for t in turns
    ]
