"""The shapes that training rows come in, and how each becomes content."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed import exports
from sleepcycle.feed.keys import REJECTED, UNSUPPORTED, Fields, plain
from sleepcycle.feed.langsmith import langsmith
from sleepcycle.feed.repeats import is_left_out, repeats
from sleepcycle.feed.row_values import (
    answer_text,
    filled_text,
    kind_of,
    said_text,
    text_of,
    unfolded,
)
from sleepcycle.feed.tool_calls import tools_of
from sleepcycle.feed.turns import as_context, read_turns, template_args_of, with_system
from sleepcycle.feed.wanted import expect_wanted, weighed
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
    OPEN_WEBUI_RATING = "openwebui-rating"
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
    Format.OPEN_WEBUI_RATING: {"data", "snapshot"},
    Format.LANGSMITH: {"inputs", "outputs"},
    Format.COMPLETION: {"prompt", "completion"},
    Format.ALPACA: {"instruction", "output"},
    Format.DOLLY: {"instruction", "response"},
    Format.QUESTION: {"question", "answer"},
    Format.TEXT: {"text"},
}

SPOKEN = frozenset().union(*KEYS.values()) | {"input"}
"""Keys of the shapes: beside another's they may only repeat what that says."""

PROMPTED = {Format.COMPLETION, Format.ALPACA, Format.DOLLY, Format.QUESTION}
"""Shapes whose answer may rest on a long text beside them, whatever its key is."""

OF_TURNS = "turns[]."
"""Comes before the name of a key that stands in the turns."""


@dataclass(frozen=True, slots=True)
class RowOptions:
    """How the keys of rows are read."""

    shape: Format | None = None
    """Shape that every row must have; None lets the first rows of each file decide."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Our key for each of the user's that has another name."""

    ignored: frozenset[str] = frozenset()
    """Keys that are as if they were not there, however they are written."""

    def __post_init__(self) -> None:
        """Write the keys that are ignored in one form."""
        object.__setattr__(self, "ignored", frozenset(map(plain, self.ignored)))


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
    return found or _match({plain(key) for key in value})


def _match(keys: Iterable[str]) -> Format | None:
    """Return the first shape that has its keys among these."""
    present = set(keys)
    return next((shape for shape, needed in KEYS.items() if needed <= present), None)


def has_keys(value: object, shape: Format) -> bool:
    """Return whether a row has the keys of a shape, however they are written."""
    return _with_keys(value, KEYS[shape]) is not None


def renamed(value: object, options: RowOptions) -> object:
    """Give the keys of a row the names that the user says they stand for.

    Ignored keys are left out first, and so is one whose name another one takes.
    """
    if not options.renamed or not isinstance(value, Mapping):
        return value
    kept = {key: one for key, one in value.items() if plain(key) not in options.ignored}
    taken = {options.renamed[key] for key in kept if key in options.renamed}
    return {
        options.renamed.get(key, key): one
        for key, one in kept.items()
        if key in options.renamed or key not in taken
    }


def expect_none_displaced(value: object, options: RowOptions) -> None:
    """Refuse a row whose own key says something else than one that takes its name.

    Raises:
        RowError: `E_UNSUPPORTED_KEY`.
    """
    if not options.renamed or not isinstance(value, Mapping):
        return
    for theirs, ours in options.renamed.items():
        own = value.get(ours)
        is_left = ours in options.renamed or plain(ours) in options.ignored
        if theirs not in value or own in (None, "", value[theirs]) or is_left:
            continue
        raise RowError(
            UNSUPPORTED,
            f"expected no key {ours!a:.60} beside {theirs!a:.60}, which is read as it "
            f"by --map, got one that says something else; or leave it out: --ignore "
            f"{ours}",
        )


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
    row = _with_keys(value, KEYS[shape]) if shape else None
    if row is None:
        _refuse_preferences(value)
    if shape is None:
        raise RowError("E_SHAPE", f"expected {_expected()}, got {kind_of(value)}")
    if row is None:
        keys = " and ".join(sorted(KEYS[shape]))
        raise RowError(
            "E_SHAPE", f"expected an object with {keys}, got {kind_of(value)}"
        )
    ours = map(plain, options.renamed.values())
    fields = Fields(row, options.ignored.difference(ours))
    has_more = len(row) > len(KEYS[shape])
    if has_more:
        expect_wanted(fields, has_classes=shape is Format.TEXT)
    content = _CONVERTERS[shape](fields, options)
    if has_more:
        content = weighed(content, fields)
    return Reading(content, dict(_beside(fields, shape, content)))


def _refuse_preferences(value: object) -> None:
    """Refuse a pair of answers, of which one is better, if a row is one."""
    if isinstance(value, Mapping) and "chosen" in value:
        Fields({"chosen": value["chosen"]}, frozenset()).expect_harmless()


def _with_keys(value: object, keys: set[str]) -> Mapping[str, Any] | None:
    """Return a row that has these keys, however written; None for one that has not."""
    if not isinstance(value, Mapping):
        return None
    if keys <= value.keys():
        return value
    same = {plain(key): one for key, one in value.items()}
    return same if keys <= same.keys() and len(same) == len(value) else None


def _beside(
    fields: Fields, shape: Format, content: Content
) -> Iterable[tuple[str, Any]]:
    """Yield the keys that change nothing, with their values.

    Raises:
        RowError: One may change what is learned, or says something else.
    """
    for key, value in fields.rest():
        name = plain(key)
        if name in SPOKEN and not repeats(name, value, content):
            raise RowError(
                UNSUPPORTED,
                f"expected no {key} beside the keys of another shape, got one that "
                "says something else; name the right --format, or leave it out: "
                f"--ignore {key}",
            )
        is_asked = shape in PROMPTED and not key.startswith(OF_TURNS)
        if is_asked and name not in SPOKEN and is_left_out(key, value, content):
            raise fields.refusal(key, "has a long text that is not learned")
        yield key, value


def _text(fields: Fields, _: RowOptions) -> Text:
    """Read `{"text"}`."""
    text = text_of(fields.take("text"), "text")
    if not text.strip():
        raise RowError("E_EMPTY", "expected text in text, got none")
    return Text(text)


def _completion(fields: Fields, options: RowOptions) -> Content:
    """Read `{"prompt", "completion"}`, each text or (as TRL has it) messages.

    Of messages, those of the prompt are context alone.
    """
    prompt = unfolded(fields.take("prompt"), "prompt")
    completion = unfolded(fields.take("completion"), "completion")
    system = _system(fields)
    if isinstance(prompt, list) and isinstance(completion, list):
        turns = _turns(fields, [*prompt, *completion], options)
        asked, said = turns[: len(prompt)], turns[len(prompt) :]
        return _conversation(fields, [*as_context(asked), *said], system)
    asked_text = said_text(prompt, "prompt")
    answer = answer_text(completion, "completion")
    if system:
        return _conversation(fields, _pair(asked_text, answer), system)
    return Completion(asked_text, answer)


def _messages(fields: Fields, options: RowOptions) -> Conversation:
    """Read `{"messages": [{"role", "content"}]}`."""
    turns = _turns(fields, fields.take("messages"), options)
    return _conversation(fields, turns, _system(fields))


def _sharegpt(fields: Fields, options: RowOptions) -> Conversation:
    """Read `{"conversations": [{"from", "value"}]}`."""
    turns = _turns(fields, fields.take("conversations"), options)
    return _conversation(fields, turns, _system(fields))


def _turns(fields: Fields, turns: object, options: RowOptions) -> list[Message]:
    """Read turns, and keep what stands beside them and changes nothing."""
    beside: dict[str, list[Any]] = {}
    read = read_turns(turns, options.ignored, beside)
    for key, values in beside.items():
        fields.keep(f"{OF_TURNS}{key}", values)
    return read


def _system(fields: Fields) -> object:
    """Return the system text that stands beside what is said."""
    return fields.given("system", "system_prompt")


def _alpaca(fields: Fields, _: RowOptions) -> Conversation:
    """Read `{"instruction", "input", "output"}`, with `system` and `history`."""
    asked = _joined(fields, "instruction", "input")
    answer = answer_text(fields.take("output"), "output")
    history = _history(fields.given("history") or [])
    system = _system(fields)
    return _conversation(fields, [*history, *_pair(asked, answer)], system)


def _dolly(fields: Fields, _: RowOptions) -> Conversation:
    """Read `{"instruction", "context", "response"}`."""
    asked = _joined(fields, "instruction", "context")
    answer = answer_text(fields.take("response"), "response")
    system = _system(fields)
    return _conversation(fields, _pair(asked, answer), system)


def _question(fields: Fields, _: RowOptions) -> Conversation:
    """Read `{"question", "context", "answer"}`."""
    asked = _joined(fields, "question", "context")
    answer = answer_text(fields.take("answer"), "answer")
    system = _system(fields)
    return _conversation(fields, _pair(asked, answer), system)


def _exported(
    read: Callable[[Fields, frozenset[str]], list[Message]],
) -> Callable[[Fields, RowOptions], Conversation]:
    """Return what reads a chat as a program exports it."""
    return lambda fields, options: _conversation(fields, read(fields, options.ignored))


def _joined(fields: Fields, asked: str, more: str) -> str:
    """Read what is asked, and what it is asked about, a line below."""
    parts = [filled_text(fields.take(asked), asked)]
    if (about := fields.take(more)) is not None and about != "":
        parts.append(said_text(about, more))
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
        yield Message(Role.USER, said_text(pair[0], "history"))
        yield Message(Role.ASSISTANT, answer_text(pair[1], "history"))


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
    if fields.is_read():
        return Conversation(tuple(messages))
    return Conversation(tuple(messages), tools_of(fields), template_args_of(fields))


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
    Format.OPEN_WEBUI_RATING: _exported(exports.open_webui_rating),
    Format.LANGSMITH: _exported(langsmith),
    Format.COMPLETION: _completion,
    Format.ALPACA: _alpaca,
    Format.DOLLY: _dolly,
    Format.QUESTION: _question,
    Format.TEXT: _text,
}
