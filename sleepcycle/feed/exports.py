"""Chats as ChatGPT, Claude, Open WebUI and LangSmith export them, a row for each."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import UNSUPPORTED, Fields
from sleepcycle.feed.turns import as_context, kind_of, read_turns, text_of
from sleepcycle.records.content import Message, Role

Json = Mapping[str, Any]

_THOUGHT = re.compile(
    r'\s*<details type="reasoning"[^>]*>(.*?)</details>\s*', re.DOTALL
)
_SUMMARY = re.compile(r"\s*<summary>.*?</summary>\s*", re.DOTALL)
_LANGCHAIN = {"human": "user", "ai": "assistant", "chat": "assistant"}
_ASKED = ("input", "question", "prompt", "query", "text")
_SAID = ("output", "answer", "response", "completion", "result", "text")


def chatgpt(fields: Fields) -> list[Message]:
    """Read one conversation of ChatGPT's `conversations.json`: the branch last seen.

    What the program hides from the user is left out.
    """
    nodes = _object(fields.take("mapping"), "mapping")
    shown = fields.take("current_node")
    path = _path(nodes, shown if isinstance(shown, str) else None, "parent", "children")
    messages = (node.get("message") for node in path)
    turns = [_chatgpt_turn(m) for m in messages if isinstance(m, Mapping)]
    return [turn for turn in turns if turn is not None]


def _chatgpt_turn(message: Json) -> Message | None:
    """Read one message; None for what was never seen."""
    author, content, metadata = (
        _object(message.get(key) or {}, key)
        for key in ("author", "content", "metadata")
    )
    if metadata.get("is_visually_hidden_from_conversation"):
        return None
    kind = content.get("content_type")
    parts = content.get("parts") or []
    if kind != "text" or not all(isinstance(part, str) for part in parts):
        raise RowError(
            UNSUPPORTED, f"expected content_type text alone, got {kind!r:.40}"
        )
    text = "".join(parts)
    role = author.get("role")
    if role != "assistant" and not text.strip():
        return None
    if (message.get("recipient") or "all") != "all":
        raise RowError(UNSUPPORTED, "expected no recipient but all, got a tool's")
    weight = message.get("weight")
    plain: Json = {"role": role, "content": text}
    learned = {"weight": weight} if role == "assistant" and weight is not None else {}
    [turn] = read_turns([{**plain, **learned}])
    return turn


def claude(fields: Fields) -> list[Message]:
    """Read one conversation of Claude's `conversations.json`."""
    messages = fields.take("chat_messages")
    if not isinstance(messages, list):
        raise RowError(
            "E_SHAPE", f"expected chat_messages as a list, got {kind_of(messages)}"
        )
    return [_claude_turn(_object(m, "a message")) for m in messages]


def _claude_turn(message: Json) -> Message:
    """Read one message, whose parts are newer than its text."""
    for key in ("attachments", "files", "files_v2"):
        if message.get(key):
            raise RowError(
                UNSUPPORTED, f"expected no {key}, got some that are not here"
            )
    parts = message.get("content")
    thought = [
        p.get("thinking", "") for p in _parts(parts) if p.get("type") == "thinking"
    ]
    said = [p for p in _parts(parts) if p.get("type") != "thinking"]
    for part in said:
        if part.get("type") != "text":
            raise RowError(
                UNSUPPORTED,
                f"expected parts of type text, got {part.get('type')!r:.40}",
            )
    text = "".join(text_of(p.get("text"), "text") for p in said) or message.get("text")
    turn = {"role": message.get("sender"), "content": text}
    if any(thought):
        turn["reasoning"] = "\n".join(map(str, thought))
    [read] = read_turns([turn])
    return read


def _parts(value: object) -> list[Json]:
    """Return the parts of a message, if it has some."""
    return (
        [p for p in value if isinstance(p, Mapping)] if isinstance(value, list) else []
    )


def open_webui(fields: Fields) -> list[Message]:
    """Read one chat of Open WebUI's export: the branch last seen."""
    chat = _object(fields.take("chat"), "chat")
    history = chat.get("history")
    nodes = history.get("messages") if isinstance(history, Mapping) else None
    messages: Sequence[Any] = chat.get("messages") or []
    if isinstance(nodes, Mapping) and nodes:
        shown = history.get("currentId") if isinstance(history, Mapping) else None
        messages = list(_path(nodes, shown, "parentId", "childrenIds"))
    turns = [_open_webui_turn(_object(m, "a message")) for m in messages]
    params = chat.get("params")
    system = params.get("system") if isinstance(params, Mapping) else None
    if system := system or chat.get("system"):
        return [Message(Role.SYSTEM, text_of(system, "system")), *turns]
    return turns


def _open_webui_turn(message: Json) -> Message:
    """Read one message; what was thought stands in a block of its content."""
    if message.get("files"):
        raise RowError(UNSUPPORTED, "expected no files, got some that are not here")
    if message.get("error"):
        raise RowError(UNSUPPORTED, "expected an answer, got a message with an error")
    content = text_of(message.get("content"), "content")
    turn: dict[str, Any] = {"role": message.get("role"), "content": content}
    if thought := _THOUGHT.match(content):
        lines = _SUMMARY.sub("", thought[1]).strip().splitlines()
        turn["reasoning"] = "\n".join(line.removeprefix(">").lstrip() for line in lines)
        turn["content"] = content[thought.end() :]
    if '<details type="' in turn["content"]:
        raise RowError(
            UNSUPPORTED, "expected text in content, got a block of <details>"
        )
    [read] = read_turns([turn])
    return read


def langsmith(fields: Fields) -> list[Message]:
    """Read one run of LangSmith's: what went in is context, what came out learned."""
    if fields.take("error"):
        raise RowError(UNSUPPORTED, "expected no error, got a run that failed")
    inputs = _object(fields.take("inputs"), "inputs")
    outputs = _object(fields.take("outputs"), "outputs")
    return [*as_context(_said_in(inputs, "user", _ASKED)), *_said_out(outputs)]


def _said_out(outputs: Json) -> list[Message]:
    """Read what came out: a choice, messages, or a text."""
    choices, message = outputs.get("choices"), outputs.get("message")
    if isinstance(choices, list) and choices:
        message = _object(choices[0], "choices").get("message")
    if message is not None:
        return read_turns([_langchain(message)])
    generations = outputs.get("generations")
    while isinstance(generations, list) and generations:
        generations = generations[0]
    if isinstance(generations, Mapping):
        found = generations.get("message") or {
            "role": "assistant",
            "content": generations.get("text"),
        }
        return read_turns([_langchain(found)])
    return _said_in(outputs, "assistant", _SAID)


def _said_in(side: Json, role: str, keys: Sequence[str]) -> list[Message]:
    """Read messages, or the one text that a side of a run has."""
    messages = side.get("messages")
    while isinstance(messages, list) and messages and isinstance(messages[0], list):
        [messages] = messages[:1]
    if messages is not None:
        if not isinstance(messages, list):
            raise RowError(
                "E_SHAPE", f"expected messages as a list, got {kind_of(messages)}"
            )
        return read_turns([_langchain(message) for message in messages])
    named = [key for key in keys if isinstance(side.get(key), str)]
    if len(named) != 1 or len(side) > 1:
        raise RowError(
            "E_SHAPE",
            f"expected messages or one text of a run's {role}, got {kind_of(side)}",
        )
    return read_turns([{"role": role, "content": side[named[0]]}])


def _langchain(message: Any) -> Any:  # noqa: ANN401 - JSON has any shape
    """Return a message of LangChain's as OpenAI would write it; others as they are."""
    if not isinstance(message, Mapping):
        return message
    inner = message.get("kwargs")
    if isinstance(inner, Mapping):  # a serialised object, whose id names its class
        named = message.get("id")
        last = str(named[-1]) if isinstance(named, list) and named else ""
        kind = last.removesuffix("Chunk").removesuffix("Message").lower()
        message = {"type": kind, **inner}
    kind = message.get("type")
    if "role" in message or kind is None:
        return message
    fields = {
        k: message[k] for k in ("content", "tool_calls", "name") if message.get(k)
    }
    return {"role": _LANGCHAIN.get(str(kind), kind), **fields}


def _path(nodes: Json, last: object, parent: str, children: str) -> Iterator[Json]:
    """Yield the nodes from the first to the last; without one, along the newest."""
    if not isinstance(last, str) or last not in nodes:
        last = _newest(nodes, parent, children)
    path: list[Json] = []
    seen: set[str] = set()
    while isinstance(last, str) and last in nodes and last not in seen:
        seen.add(last)
        node = _object(nodes[last], "a message")
        path.append(node)
        last = node.get(parent)
    return reversed(path)


def _newest(nodes: Json, parent: str, children: str) -> str | None:
    """Return the last node of the newest branch."""
    roots = [
        name
        for name, node in nodes.items()
        if isinstance(node, Mapping) and node.get(parent) not in nodes
    ]
    name = roots[0] if roots else None
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)
        after = [c for c in nodes[name].get(children) or [] if c in nodes]
        if not after:
            return name
        name = after[-1]
    return name


def _object(value: object, what: str) -> Json:
    """Return an object."""
    if not isinstance(value, Mapping):
        raise RowError("E_SHAPE", f"expected an object in {what}, got {kind_of(value)}")
    return value
