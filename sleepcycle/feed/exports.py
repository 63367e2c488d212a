"""Chats as ChatGPT, Claude and Open WebUI export them, a row for each."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed.keys import OFF, REJECTED, UNSUPPORTED, Fields
from sleepcycle.feed.row_values import kind_of, text_of
from sleepcycle.feed.turns import REASONING, read_turns
from sleepcycle.records.content import Message, Role

Json = Mapping[str, Any]

_THOUGHT = re.compile(
    r'\s*<details type="reasoning"[^>]*>(.*?)</details>\s*', re.DOTALL
)
_CITED = re.compile(r"[\ue200-\ue206]|\u3010\d+\u2020")
"""A mark of ChatGPT's for what a tool found or showed, which is not there."""

FOUND = frozenset({"sources", "citations", "code_executions", "embeds", "output"})
"""Keys of Open WebUI's for what a search, a tool or a piece of code brought in."""

FINISHED = frozenset({"end_turn", "stop", "stop_sequence"})
"""Why an answer ended that did not break off."""

LIKED = frozenset({"upvote", "thumbs_up", "up", "positive", "good", "like", "1", "1.0"})
"""What a user says of a good answer; all else is of a bad one."""

CHATGPT_PARTS = frozenset({"author", "content", "metadata"})
"""Keys of each message of ChatGPT's that cannot be left out: they say what it is."""

CONTEXTS = {
    "user_editable_context": ("user_profile", "user_instructions"),
    "model_editable_context": ("model_set_context",),
}
"""What ChatGPT was told beside the chat: own instructions, and what it remembers."""


def chatgpt(fields: Fields, ignored: frozenset[str]) -> list[Message]:
    """Read one conversation of ChatGPT's `conversations.json`: the branch last seen.

    What the program hides from the user is left out, but for what the user told it to
    heed in every chat, which is its system turn.
    """
    nodes = expect_object(fields.take("mapping"), "mapping")
    shown = fields.take("current_node")
    path = _path(nodes, shown if isinstance(shown, str) else None, "parent", "children")
    messages = [m for node in path if isinstance(m := node.get("message"), Mapping)]
    told = "\n\n".join(filter(None, map(_chatgpt_context, messages)))
    turns = [_system(told)] if told and "system" not in ignored else []
    thoughts: list[str] = []
    for number, message in enumerate(messages, 1):
        fields = Fields(message, ignored - CHATGPT_PARTS, f"message {number}: ")
        turns += _chatgpt_turns(fields, thoughts, ignored)
    return turns


def _system(text: str) -> Message:
    """Return a system turn."""
    return Message(Role.SYSTEM, text)


def _chatgpt_context(message: Json) -> str:
    """Return what a message tells the model beside the chat, if it does."""
    content = message.get("content")
    if not isinstance(content, Mapping):
        return ""
    keys = CONTEXTS.get(str(content.get("content_type")), ())
    return "\n".join(text_of(content[key], key) for key in keys if content.get(key))


def _chatgpt_turns(
    fields: Fields, thoughts: list[str], ignored: frozenset[str]
) -> Iterator[Message]:
    """Yield the turn of a message, if it was seen.

    Thoughts wait for their answer, up to the next question.
    """
    author, content, metadata = (
        expect_object(fields.take(key) or {}, key)
        for key in ("author", "content", "metadata")
    )
    kind, role = content.get("content_type"), author.get("role")
    is_hidden = metadata.get("is_visually_hidden_from_conversation")
    if is_hidden or kind in CONTEXTS or kind == "reasoning_recap":
        return
    if kind == "thoughts":
        thoughts += _thoughts(content)
        return
    if role == "user":
        thoughts.clear()
    text = _chatgpt_text(content, metadata)
    if role != "assistant" and not text.strip():
        return
    if (fields.take("recipient") or "all") != "all":
        raise RowError(UNSUPPORTED, "expected no recipient but all, got a tool's")
    turn: dict[str, Any] = {"role": role, "content": text}
    weight = _chatgpt_weight(fields, metadata)
    fields.expect_harmless()
    if role == "assistant":
        turn |= {"weight": weight, **_reasoned(thoughts, ignored)}
        thoughts.clear()
    yield from read_turns([turn])


def _chatgpt_text(content: Json, metadata: Json) -> str:
    """Return the text of a message that is text alone."""
    kind, parts = content.get("content_type"), content.get("parts") or []
    if kind != "text" or not all(isinstance(part, str) for part in parts):
        raise RowError(
            UNSUPPORTED, f"expected content_type text alone, got {kind!r:.40}"
        )
    if metadata.get("attachments"):
        raise RowError(UNSUPPORTED, "expected no attachments, got some not here")
    text = "".join(parts)
    if _CITED.search(text):
        raise RowError(
            UNSUPPORTED, "expected text in parts, got a mark of what a tool found"
        )
    return text


def _chatgpt_weight(fields: Fields, metadata: Json) -> object:
    """Return how much an answer counts; one that broke off is context alone."""
    status = fields.take("status") or "finished_successfully"
    details = metadata.get("finish_details")
    how = details.get("type") if isinstance(details, Mapping) else None
    is_whole = status == "finished_successfully" and str(how or "stop") in FINISHED
    weight = fields.take("weight")
    if _is_unwanted(fields) or not is_whole or metadata.get("is_complete") is False:
        return 0
    return 1 if weight is None else weight


def _thoughts(content: Json) -> Iterator[str]:
    """Yield what was thought before an answer."""
    for thought in content.get("thoughts") or []:
        yield text_of(expect_object(thought, "thoughts").get("content"), "thoughts")


def _reasoned(thoughts: Sequence[str], ignored: frozenset[str]) -> dict[str, str]:
    """Return the field of what was thought, unless it is to be left out."""
    said = "\n\n".join(filter(None, thoughts))
    return {REASONING[0]: said} if said and not ignored.intersection(REASONING) else {}


def claude(fields: Fields, ignored: frozenset[str]) -> list[Message]:
    """Read one conversation of Claude's `conversations.json`: its newest branch."""
    found = fields.take("chat_messages")
    if not isinstance(found, list):
        raise RowError(
            "E_SHAPE", f"expected chat_messages as a list, got {kind_of(found)}"
        )
    messages = [expect_object(message, "a message") for message in found]
    branch = _claude_branch(messages)
    read = (
        _claude_turn(Fields(message, ignored, f"message {number}: "), ignored)
        for number, message in enumerate(branch or messages, 1)
    )
    turns = [turn for turn in read if turn is not None]
    return turns if branch else _last_answers(turns)


def _claude_branch(messages: Sequence[Json]) -> list[Json]:
    """Return the branch with the newest end; none where messages name no parents."""
    parent = "parent_message_uuid"
    nodes = {str(message.get("uuid")): message for message in messages}
    is_tree = all(isinstance(m.get(parent), str) for m in messages[1:])
    if not is_tree or len(nodes) < len(messages):
        return []
    parents = {str(message.get(parent)) for message in messages}
    ends = [name for name in reversed(nodes) if name not in parents]
    newest = max(
        ends, key=lambda name: str(nodes[name].get("created_at")), default=None
    )
    return list(_path(nodes, newest, parent, "")) if newest else []


def _last_answers(turns: Sequence[Message]) -> list[Message]:
    """Return turns where, of several answers in a row, the last alone is learned."""
    after = [*(turn.role for turn in turns[1:]), None]
    return [
        replace(turn, weight=0.0) if turn.role is then is Role.ASSISTANT else turn
        for turn, then in zip(turns, after, strict=False)
    ]


def _claude_turn(fields: Fields, ignored: frozenset[str]) -> Message | None:
    """Read one message, whose parts are newer than its text; None for an empty one."""
    parts = _parts(fields.take("content"))
    thought = [str(p.get("thinking", "")) for p in parts if p["type"] == "thinking"]
    said = [p for p in parts if p["type"] not in {"thinking", "token_budget"}]
    for part in said:
        if part["type"] != "text":
            raise RowError(
                UNSUPPORTED, f"expected parts of type text, got {part['type']!r:.40}"
            )
        Fields(part, ignored, f"{fields.where}content: ").expect_harmless()
    text = "".join(text_of(p.get("text"), "text") for p in said) or fields.take("text")
    turn: dict[str, Any] = {"role": fields.take("sender"), "content": text}
    for key in ("weight", "train"):
        if key in fields:
            turn[key] = fields.take(key)
    if _is_unwanted(fields) or any(part.get("cut_off") for part in parts):
        turn |= {"weight": 0, "train": None}
    fields.expect_harmless()
    if turn["role"] != "assistant" and not text:
        return None
    [read] = read_turns([turn | _reasoned(thought, ignored)])
    return read


def _parts(value: object) -> list[Json]:
    """Return the parts of a message, if it has some."""
    if not isinstance(value, list):
        return []
    parts = [expect_object(part, "content") for part in value]
    return [{"type": None, **part} for part in parts]


def open_webui(fields: Fields, ignored: frozenset[str]) -> list[Message]:
    """Read one chat of Open WebUI's export: the branch last seen."""
    chat = expect_object(fields.take("chat"), "chat")
    if chat.get("files") and "files" not in ignored:
        raise RowError(UNSUPPORTED, "expected no files, got some that are not here")
    history = chat.get("history")
    nodes = history.get("messages") if isinstance(history, Mapping) else None
    messages: Sequence[Any] = chat.get("messages") or []
    if isinstance(nodes, Mapping) and nodes:
        shown = history.get("currentId") if isinstance(history, Mapping) else None
        messages = list(_path(nodes, shown, "parentId", "childrenIds"))
    turns = [
        _open_webui_turn(expect_object(m, "a message"), n, ignored)
        for n, m in enumerate(messages, 1)
    ]
    params = chat.get("params")
    system = params.get("system") if isinstance(params, Mapping) else None
    if (system := system or chat.get("system")) and "system" not in ignored:
        return [_system(text_of(system, "system")), *turns]
    return turns


def open_webui_rating(fields: Fields, ignored: frozenset[str]) -> list[Message]:
    """Read one rating of Open WebUI's export: the answer that was found good.

    The answers before it are context, as each has a rating of its own or none.
    """
    rated, meta, snapshot = (
        expect_object(fields.take(key) or {}, key)
        for key in ("data", "meta", "snapshot")
    )
    rating = rated.get("rating")
    if str(rating) not in LIKED:
        raise RowError(REJECTED, f"expected a rating of 1, got {rating!r:.20}")
    chat = expect_object(snapshot.get("chat"), "snapshot.chat")
    chat = expect_object(chat.get("chat", chat), "snapshot.chat.chat")
    history = chat.get("history")
    nodes = history.get("messages") if isinstance(history, Mapping) else None
    shown = meta.get("message_id")
    if not isinstance(nodes, Mapping) or shown not in nodes:
        raise RowError(
            "E_SHAPE", "expected the rated answer, meta.message_id, in snapshot.chat"
        )
    history = {"messages": nodes, "currentId": shown}
    turns = open_webui(Fields({"chat": {**chat, "history": history}}, ignored), ignored)
    return [*(_as_context(turn) for turn in turns[:-1]), turns[-1]]


def _as_context(turn: Message) -> Message:
    """Return a turn of which nothing is learned."""
    return replace(turn, weight=0.0) if turn.role is Role.ASSISTANT else turn


def _open_webui_turn(message: Json, number: int, ignored: frozenset[str]) -> Message:
    """Read one message; what was thought stands in a block of its content."""
    fields = Fields(message, ignored, f"turn {number}: ")
    if fields.take("error"):
        raise RowError(UNSUPPORTED, "expected an answer, got a message with an error")
    content = text_of(fields.take("content"), "content")
    turn: dict[str, Any] = {"role": fields.take("role"), "content": content}
    if thought := _THOUGHT.match(content):
        plain = _thought_in(thought[1])
        turn |= {"content": content[thought.end() :], **_reasoned([plain], ignored)}
    if '<details type="' in turn["content"]:
        raise RowError(
            UNSUPPORTED, "expected text in content, got a block of <details>"
        )
    if turn["role"] == "assistant" and _is_unwanted(fields):
        turn["weight"] = 0
    if fields.given("merged"):
        raise RowError(
            UNSUPPORTED,
            f"{fields.where}expected no merged, got an answer made of those of several "
            "models; or leave it out: --ignore merged",
        )
    for key, _ in fields.rest():
        if key in FOUND:
            raise RowError(
                UNSUPPORTED,
                f"{fields.where}expected no {key}, got what the answer rests on and "
                f"nobody sees; or leave it out: --ignore {key}",
            )
    [read] = read_turns([turn])
    return read


def _thought_in(block: str) -> str:
    """Return what was thought, as a block has it: below a summary, and quoted."""
    said = block.strip()
    if said.startswith("<summary>"):
        said = said.partition("</summary>")[2].strip()
    if not said.startswith(">"):  # newer versions escape all of it
        said = html.unescape(said)
    return "\n".join(line.removeprefix(">").lstrip() for line in said.splitlines())


def _is_unwanted(fields: Fields) -> bool:
    """Return whether the user thought an answer bad, or it broke off."""
    rated = fields.take("annotation")
    rating = rated.get("rating") if isinstance(rated, Mapping) else None
    told = fields.given("feedback", "chat_feedback")
    liked = told.get("type") if isinstance(told, Mapping) else told
    is_bad = str(rating).startswith("-")
    is_bad |= told is not None and str(liked).lower() not in LIKED
    end = str(fields.given("stop_reason") or "stop").lower()
    is_cut = str(fields.take("truncated") or False).lower() not in OFF
    return is_bad or is_cut or end not in FINISHED or fields.take("done") is False


def _path(nodes: Json, last: object, parent: str, children: str) -> Iterator[Json]:
    """Yield the nodes from the first to the last; without one, along the newest."""
    if not isinstance(last, str) or last not in nodes:
        last = _newest(nodes, parent, children)
    path: list[Json] = []
    seen: set[str] = set()
    while isinstance(last, str) and last in nodes and last not in seen:
        seen.add(last)
        node = expect_object(nodes[last], "a message")
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


def expect_object(value: object, what: str) -> Json:
    """Return an object.

    Raises:
        RowError: `E_SHAPE`: it is none.
    """
    if not isinstance(value, Mapping):
        raise RowError("E_SHAPE", f"expected an object in {what}, got {kind_of(value)}")
    return value
