"""The shapes that training rows come in, and how each becomes content."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.records.content import (
    Completion,
    Content,
    Conversation,
    Message,
    Role,
    Text,
)

Fields = Mapping[str, Any]


class Format(StrEnum):
    """Shape of a row. Where a row has the keys of several, the first one counts."""

    MESSAGES = "messages"
    SHAREGPT = "sharegpt"
    COMPLETION = "completion"
    ALPACA = "alpaca"
    TEXT = "text"


KEYS = {
    Format.MESSAGES: {"messages"},
    Format.SHAREGPT: {"conversations"},
    Format.COMPLETION: {"prompt", "completion"},
    Format.ALPACA: {"instruction", "output"},
    Format.TEXT: {"text"},
}

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "human": Role.USER,
    "assistant": Role.ASSISTANT,
    "gpt": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
    "observation": Role.TOOL,
}


def shape_of(value: object) -> Format | None:
    """Return the shape whose keys a parsed row has."""
    if not isinstance(value, Mapping):
        return None
    return next((shape for shape, keys in KEYS.items() if keys <= value.keys()), None)


def to_content(value: object, shape: Format | None) -> Content:
    """Turn a parsed row into content; keys that the shape does not know are ignored.

    Args:
        value: A row as parsed.
        shape: What it should be; None where it has no shape.

    Raises:
        RowError: `E_SHAPE`, `E_ROLE` or `E_EMPTY`.
    """
    if shape is None:
        raise RowError("E_SHAPE", f"expected {_expected()}, got {_kind(value)}")
    if not isinstance(value, Mapping) or not KEYS[shape] <= value.keys():
        keys = " and ".join(sorted(KEYS[shape]))
        raise RowError("E_SHAPE", f"expected an object with {keys}, got {_kind(value)}")
    return _CONVERTERS[shape](value)


def _text(fields: Fields) -> Text:
    """Read `{"text"}`."""
    return Text(_filled(fields["text"], "text"))


def _completion(fields: Fields) -> Content:
    """Read `{"prompt", "completion"}`, each text or (as TRL has it) messages.

    Of messages, all that the assistant says is learned, in the prompt too.
    """
    prompt, completion = fields["prompt"], fields["completion"]
    if isinstance(prompt, list) and isinstance(completion, list):
        return _conversation(_turns(prompt + completion))
    return Completion(_string(prompt, "prompt"), _filled(completion, "completion"))


def _messages(fields: Fields) -> Conversation:
    """Read `{"messages": [{"role", "content"}]}`."""
    return _conversation(_turns(fields["messages"]))


def _sharegpt(fields: Fields) -> Conversation:
    """Read `{"conversations": [{"from", "value"}]}`, with `system` beside it."""
    return _conversation([*_system(fields), *_turns(fields["conversations"])])


def _alpaca(fields: Fields) -> Conversation:
    """Read `{"instruction", "input", "output"}`, with `system` and `history`."""
    asked = [_filled(fields["instruction"], "instruction")]
    if fields.get("input"):
        asked.append(_string(fields["input"], "input"))
    answer = _filled(fields["output"], "output")
    return _conversation(
        [
            *_system(fields),
            *_history(fields.get("history") or []),
            Message(Role.USER, "\n".join(asked)),
            Message(Role.ASSISTANT, answer),
        ]
    )


def _history(pairs: object) -> Iterable[Message]:
    """Read Alpaca's earlier turns: pairs of question and answer."""
    if not isinstance(pairs, list):
        raise RowError("E_SHAPE", f"expected history as a list, got {_kind(pairs)}")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise RowError("E_SHAPE", "expected history as pairs of texts")
        yield Message(Role.USER, _string(pair[0], "history"))
        yield Message(Role.ASSISTANT, _string(pair[1], "history"))


def _system(fields: Fields) -> list[Message]:
    """Read a system text that stands beside the turns."""
    if not fields.get("system"):
        return []
    return [Message(Role.SYSTEM, _string(fields["system"], "system"))]


def _turns(turns: object) -> list[Message]:
    """Read a list of turns."""
    if not isinstance(turns, list):
        raise RowError("E_SHAPE", f"expected a list of turns, got {_kind(turns)}")
    return [_turn(turn) for turn in turns]


def _turn(turn: object) -> Message:
    """Read one turn: `role` and `content`, or `from` and `value`."""
    if not isinstance(turn, Mapping):
        raise RowError("E_SHAPE", f"expected a turn as an object, got {_kind(turn)}")
    if turn.get("tool_calls") or turn.get("function_call"):
        raise RowError("E_SHAPE", "expected turns of text, got a tool call")
    role = turn.get("role", turn.get("from"))
    if not isinstance(role, str) or role not in _ROLES:
        raise RowError(
            "E_ROLE", f"expected user, assistant or system, got {role!r:.40}"
        )
    content = turn.get("content", turn.get("value"))
    if isinstance(content, list):
        content = "".join(_part(part) for part in content)
    return Message(_ROLES[role], _string(content, "content"))


def _part(part: object) -> str:
    """Read one part of a message that comes in parts: text alone is known."""
    if not isinstance(part, Mapping) or part.get("type") != "text":
        raise RowError("E_SHAPE", "expected parts of type text, got another")
    return _string(part.get("text"), "text")


def _conversation(messages: list[Message]) -> Conversation:
    """Build a conversation from which there is something to learn."""
    answers = [turn.content for turn in messages if turn.role is Role.ASSISTANT]
    if not answers:
        raise RowError("E_ROLE", "expected a turn of the assistant, got none")
    if not any(answer.strip() for answer in answers):
        raise RowError("E_EMPTY", "expected the assistant to say something")
    return Conversation(tuple(messages))


def _filled(value: object, key: str) -> str:
    """Read a text that holds more than white space."""
    text = _string(value, key)
    if not text.strip():
        raise RowError("E_EMPTY", f"expected text in {key}, got none")
    return text


def _string(value: object, key: str) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise RowError("E_SHAPE", f"expected text in {key}, got {_kind(value)}")
    return value


def _kind(value: object) -> str:
    """Return what kind of JSON a value is."""
    if isinstance(value, Mapping):
        return f"an object with {', '.join(map(ascii, value)) or 'no keys'!s:.80}"
    names = {str: "text", bool: "a truth value", float: "a number", list: "a list"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def _expected() -> str:
    """Name the keys of every shape."""
    keys = (" and ".join(sorted(keys)) for keys in KEYS.values())
    return f"an object with {', or '.join(keys)}"


_CONVERTERS: dict[Format, Callable[[Fields], Content]] = {
    Format.MESSAGES: _messages,
    Format.SHAREGPT: _sharegpt,
    Format.COMPLETION: _completion,
    Format.ALPACA: _alpaca,
    Format.TEXT: _text,
}
