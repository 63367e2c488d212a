"""The shapes that training rows come in, and how each becomes content."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed import exports
from sleepcycle.feed.keys import REJECTED, UNSUPPORTED, Fields
from sleepcycle.feed.turns import (
    as_context,
    kind_of,
    number_text,
    read_turns,
    template_args_of,
    text_of,
    tools_of,
    weight_of,
    with_system,
)
from sleepcycle.records.content import (
    Completion,
    Content,
    Conversation,
    Message,
    Role,
    Text,
)


class Format(StrEnum):
    """Shape of a row. Where a row has the keys of several, the first one counts."""

    MESSAGES = "messages"
    SHAREGPT = "sharegpt"
    CHATGPT = "chatgpt"
    CLAUDE = "claude"
    OPEN_WEBUI = "openwebui"
    LANGSMITH = "langsmith"
    COMPLETION = "completion"
    ALPACA = "alpaca"
    DOLLY = "dolly"
    QUESTION = "question"
    TEXT = "text"


KEYS = {
    Format.MESSAGES: {"messages"},
    Format.SHAREGPT: {"conversations"},
    Format.CHATGPT: {"mapping"},
    Format.CLAUDE: {"chat_messages"},
    Format.OPEN_WEBUI: {"chat"},
    Format.LANGSMITH: {"inputs", "outputs"},
    Format.COMPLETION: {"prompt", "completion"},
    Format.ALPACA: {"instruction", "output"},
    Format.DOLLY: {"instruction", "response"},
    Format.QUESTION: {"question", "answer"},
    Format.TEXT: {"text"},
}

SPOKEN = frozenset().union(*KEYS.values()) | {"input"}
"""Keys of the shapes: beside another's they may only repeat what that says."""


@dataclass(frozen=True, slots=True)
class RowOptions:
    """How the keys of rows are read."""

    shape: Format | None = None
    """Shape that every row must have; None lets the first rows of each file decide."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Our key for each of the user's that has another name."""

    ignored: frozenset[str] = frozenset()
    """Keys that are as if they were not there."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a row says."""

    content: Content
    provenance: dict[str, Any]
    """The keys beside it that change nothing, with their values."""


AS_THEY_ARE = RowOptions()


def shape_of(value: object) -> Format | None:
    """Return the shape whose keys a parsed row has."""
    if not isinstance(value, Mapping):
        return None
    found = _match(value.keys())
    return found or _match({key.strip().lower() for key in value})


def _match(keys: Iterable[str]) -> Format | None:
    """Return the first shape that has its keys among these."""
    present = set(keys)
    return next((shape for shape, needed in KEYS.items() if needed <= present), None)


def has_keys(value: object, shape: Format) -> bool:
    """Return whether a row has the keys of a shape, however they are written."""
    return _with_keys(value, KEYS[shape]) is not None


def renamed(value: object, options: RowOptions) -> object:
    """Give the keys of a row the names that the user says they stand for."""
    if not options.renamed or not isinstance(value, Mapping):
        return value
    taken = set(options.renamed.values())
    kept = {key: one for key, one in value.items() if key not in taken}
    return {options.renamed.get(key, key): one for key, one in kept.items()}


def to_content(
    value: object, shape: Format | None, options: RowOptions = AS_THEY_ARE
) -> Content:
    """Turn a parsed row into content; see `read_row`."""
    return read_row(value, shape, options).content


def read_row(
    value: object, shape: Format | None, options: RowOptions = AS_THEY_ARE
) -> Reading:
    """Turn a parsed row into content, every key of it read.

    Args:
        value: A row as parsed, its keys already renamed.
        shape: What it should be; None where it has no shape.
        options: Which keys are left out.

    Raises:
        RowError: `E_SHAPE`, `E_ROLE`, `E_EMPTY` or `E_NAN` for what cannot be read,
            `E_UNSUPPORTED_KEY` for a key that would change what is learned, and
            `E_REJECTED` for what the row itself says is not to be learned.
    """
    if shape is None and isinstance(value, Mapping) and "chosen" in value:
        _refuse_preferences(value)
    if shape is None:
        raise RowError("E_SHAPE", f"expected {_expected()}, got {kind_of(value)}")
    row = _with_keys(value, KEYS[shape])
    if row is None:
        keys = " and ".join(sorted(KEYS[shape]))
        raise RowError(
            "E_SHAPE", f"expected an object with {keys}, got {kind_of(value)}"
        )
    fields = Fields(row, options.ignored)
    _expect_wanted(fields, shape)
    content = _weighed(_CONVERTERS[shape](fields, options), fields)
    return Reading(content, dict(_beside(fields, content)))


def _refuse_preferences(value: Mapping[str, Any]) -> None:
    """Refuse a pair of answers, of which one is better."""
    for _ in Fields({"chosen": value["chosen"]}, frozenset()).rest():
        pass


def _with_keys(value: object, keys: set[str]) -> Mapping[str, Any] | None:
    """Return a row that has these keys, however written; None for one that has not."""
    if not isinstance(value, Mapping):
        return None
    if keys <= value.keys():
        return value
    plain = {key.strip().lower(): one for key, one in value.items()}
    return plain if keys <= plain.keys() and len(plain) == len(value) else None


def _expect_wanted(fields: Fields, shape: Format) -> None:
    """Refuse a row that says that it is not to be learned.

    The label of a text may be the class that it belongs to, if it is no truth value.

    Raises:
        RowError: `E_REJECTED`.
    """
    if (train := fields.take("train")) is not None and not _is_true(train, "train"):
        raise RowError(REJECTED, "train is false: the row is not to be learned")
    label = fields.take("label")
    if shape is Format.TEXT and not isinstance(label, bool):
        fields.keep("label", label)
        return
    if label is None:
        return
    if not _is_true(label, "label"):
        raise RowError(REJECTED, "label is false: the answer is not to be learned")


def _is_true(value: object, key: str) -> bool:
    """Read a truth value, however it is written."""
    written = str(value).strip().lower()
    if written in {"true", "1", "1.0"}:
        return True
    if written in {"false", "0", "0.0"}:
        return False
    raise RowError(
        UNSUPPORTED,
        f"expected {key} as true or false, got {written!r:.40}; or leave it out: "
        f"--ignore {key}",
    )


def _weighed(content: Content, fields: Fields) -> Content:
    """Give content the weight that its row has.

    Raises:
        RowError: The weight is 0, so there is nothing to learn.
    """
    given = fields.take("weight")
    if given is None:
        return content
    weight = weight_of(given)
    if weight == 0:
        raise RowError(REJECTED, "weight is 0: the row is not to be learned")
    if isinstance(content, Conversation):
        turns = (
            replace(turn, weight=turn.weight * weight)
            if turn.role is Role.ASSISTANT
            else turn
            for turn in content.messages
        )
        return replace(content, messages=tuple(turns))
    return replace(content, weight=weight)


def _beside(fields: Fields, content: Content) -> Iterable[tuple[str, Any]]:
    """Yield the keys that change nothing, with their values.

    Raises:
        RowError: One may change what is learned, or says something else.
    """
    for key, value in fields.rest():
        if key in SPOKEN and not _repeats(value, content):
            raise RowError(
                UNSUPPORTED,
                f"expected no {key} beside the keys of another shape, got one that "
                "says something else; name the right --format, or leave it out: "
                f"--ignore {key}",
            )
        yield key, value


def _repeats(value: object, content: Content) -> bool:
    """Return whether a value says a part of content, or all of it and more."""
    if not isinstance(value, str):
        return False
    match content:
        case Text(text):
            said = [text]
        case Completion(prompt, completion):
            said = [prompt, completion]
        case Conversation(messages):
            said = [message.content for message in messages]
    text = value.strip()
    return any(text in one for one in said) or said[-1].strip() in text


def _text(fields: Fields, _: RowOptions) -> Text:
    """Read `{"text"}`."""
    return Text(_filled(fields.take("text"), "text"))


def _completion(fields: Fields, options: RowOptions) -> Content:
    """Read `{"prompt", "completion"}`, each text or (as TRL has it) messages.

    Of messages, those of the prompt are context alone.
    """
    prompt, completion = fields.take("prompt"), fields.take("completion")
    if isinstance(prompt, list) and isinstance(completion, list):
        asked = as_context(read_turns(prompt, options.ignored))
        said = read_turns(completion, options.ignored)
        return _conversation(fields, [*asked, *said])
    asked_text, said_text = (
        text_of(prompt, "prompt"),
        _answer(completion, "completion"),
    )
    if system := fields.take("system", "system_prompt"):
        return _conversation(fields, _pair(asked_text, said_text), system)
    return Completion(asked_text, said_text)


def _messages(fields: Fields, options: RowOptions) -> Conversation:
    """Read `{"messages": [{"role", "content"}]}`."""
    turns = read_turns(fields.take("messages"), options.ignored)
    return _conversation(fields, turns, fields.take("system", "system_prompt"))


def _sharegpt(fields: Fields, options: RowOptions) -> Conversation:
    """Read `{"conversations": [{"from", "value"}]}`."""
    turns = read_turns(fields.take("conversations"), options.ignored)
    return _conversation(fields, turns, fields.take("system", "system_prompt"))


def _alpaca(fields: Fields, _: RowOptions) -> Conversation:
    """Read `{"instruction", "input", "output"}`, with `system` and `history`."""
    asked = _joined(fields, "instruction", "input")
    answer = _answer(fields.take("output"), "output")
    history = _history(fields.take("history") or [])
    system = fields.take("system", "system_prompt")
    return _conversation(fields, [*history, *_pair(asked, answer)], system)


def _dolly(fields: Fields, _: RowOptions) -> Conversation:
    """Read `{"instruction", "context", "response"}`."""
    asked = _joined(fields, "instruction", "context")
    answer = _answer(fields.take("response"), "response")
    system = fields.take("system", "system_prompt")
    return _conversation(fields, _pair(asked, answer), system)


def _question(fields: Fields, _: RowOptions) -> Conversation:
    """Read `{"question", "context", "answer"}`."""
    asked = _joined(fields, "question", "context")
    answer = _answer(fields.take("answer"), "answer")
    system = fields.take("system", "system_prompt")
    return _conversation(fields, _pair(asked, answer), system)


def _exported(
    read: Callable[[Fields], list[Message]],
) -> Callable[[Fields, RowOptions], Conversation]:
    """Return what reads a chat as a program exports it."""
    return lambda fields, _: _conversation(fields, read(fields))


def _joined(fields: Fields, asked: str, more: str) -> str:
    """Read what is asked, and what it is asked about, a line below."""
    parts = [_filled(fields.take(asked), asked)]
    if (about := fields.take(more)) is not None and about != "":
        parts.append(text_of(about, more))
    return "\n".join(parts)


def _pair(asked: str, answer: str) -> list[Message]:
    """Return one exchange."""
    return [Message(Role.USER, asked), Message(Role.ASSISTANT, answer)]


def _history(pairs: object) -> Iterable[Message]:
    """Read Alpaca's earlier turns: pairs of question and answer."""
    if not isinstance(pairs, list):
        raise RowError("E_SHAPE", f"expected history as a list, got {kind_of(pairs)}")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise RowError("E_SHAPE", "expected history as pairs of texts")
        yield Message(Role.USER, text_of(pair[0], "history"))
        yield Message(Role.ASSISTANT, text_of(pair[1], "history"))


def _conversation(
    fields: Fields, turns: list[Message], system: object = None
) -> Conversation:
    """Build a conversation from which there is something to learn."""
    messages = with_system(system, turns)
    answers = [turn for turn in messages if turn.role is Role.ASSISTANT]
    if not answers:
        raise RowError("E_ROLE", "expected a turn of the assistant, got none")
    if not any(turn.is_learned for turn in answers):
        raise RowError(REJECTED, "every answer has weight 0: there is nothing to learn")
    return Conversation(tuple(messages), tools_of(fields), template_args_of(fields))


def _answer(value: object, key: str) -> str:
    """Read an answer: a text, or a number as it is written."""
    return _filled(number_text(value), key)


def _filled(value: object, key: str) -> str:
    """Read a text that holds more than white space."""
    text = text_of(value, key)
    if not text.strip():
        raise RowError("E_EMPTY", f"expected text in {key}, got none")
    return text


def _expected() -> str:
    """Name the keys of every shape."""
    keys = (" and ".join(sorted(keys)) for keys in KEYS.values())
    return f"an object with {', or '.join(keys)}"


_CONVERTERS: dict[Format, Callable[[Fields, RowOptions], Content]] = {
    Format.MESSAGES: _messages,
    Format.SHAREGPT: _sharegpt,
    Format.CHATGPT: _exported(exports.chatgpt),
    Format.CLAUDE: _exported(exports.claude),
    Format.OPEN_WEBUI: _exported(exports.open_webui),
    Format.LANGSMITH: _exported(exports.langsmith),
    Format.COMPLETION: _completion,
    Format.ALPACA: _alpaca,
    Format.DOLLY: _dolly,
    Format.QUESTION: _question,
    Format.TEXT: _text,
}
