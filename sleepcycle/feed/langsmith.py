"""Runs that LangSmith exports: what went in is context, what came out is learned."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sleepcycle.errors import RowError
from sleepcycle.feed.exports import expect_object
from sleepcycle.feed.keys import UNSUPPORTED, Fields
from sleepcycle.feed.row_values import kind_of, parsed
from sleepcycle.feed.turns import as_context, read_turns
from sleepcycle.records.content import Message

TYPES = {"human": "user", "ai": "assistant", "chat": "assistant"}
"""Roles by the types of LangChain's messages, where they differ."""

ASKED = ("input", "question", "prompt", "query", "text")
ANSWERED = ("output", "answer", "response", "completion", "result", "text")
"""Keys of a side that is one text."""

SCORED = frozenset({"user", "rating", "thumbs", "feedback", "correctness"})
"""Words in the names of scores that are high where a run is good."""

LOW = 0.5
"""Where a score from 0 to 1, or from -1 to 1, is of a bad run below it."""

SHARED = ("tools", "functions")
"""Keys of what went in that are those of a row."""


def langsmith(fields: Fields, ignored: frozenset[str]) -> list[Message]:
    """Read one run.

    Raises:
        RowError: It failed, its user thought it bad, or it has more than a chat or a
            text on a side.
    """
    _expect_good(fields)
    given = expect_object(fields.take("inputs"), "inputs")
    inputs = Fields(given, ignored, "inputs: ")
    outputs = Fields(
        expect_object(fields.take("outputs"), "outputs"), ignored, "outputs: "
    )
    called = _called_with(fields)
    for key in SHARED:
        fields.put(key, inputs.take(key) or called.get(key))
    asked, said = _asked(inputs), _answered(outputs)
    for name, side in (("inputs", inputs), ("outputs", outputs)):
        for key, value in side.rest():  # refuses what would change the run
            fields.keep(f"{name}.{key}", value)
    return [*as_context(asked), *said]


def _expect_good(fields: Fields) -> None:
    """Refuse a run that did not succeed, or whose user gave it a low score."""
    if fields.take("error"):
        raise RowError(UNSUPPORTED, "expected no error, got a run that failed")
    status = fields.given("status")
    if status is not None and status != "success":
        raise RowError(
            UNSUPPORTED,
            f"expected status 'success', got {status!r:.40}; or leave it out: "
            "--ignore status",
        )
    stats = parsed(fields.given("feedback_stats"), "feedback_stats")
    for key, told in stats.items() if isinstance(stats, Mapping) else ():
        score = told.get("avg") if isinstance(told, Mapping) else told
        words = set(re.findall("[a-z]+", key.lower()))
        is_users = words == {"score"} or not SCORED.isdisjoint(words)
        if is_users and isinstance(score, int | float) and score < LOW:
            raise RowError(
                UNSUPPORTED,
                f"expected feedback_stats of a good run, got {key!a:.60} at {score:g}; "
                "or leave it out: --ignore feedback_stats",
            )
    fields.keep("status", status)
    fields.keep("feedback_stats", stats)


def _called_with(fields: Fields) -> Mapping[str, Any]:
    """Return what the model was called with, which stands beside what went in."""
    extra = fields.take("extra")
    fields.keep("extra", extra)
    called = extra.get("invocation_params") if isinstance(extra, Mapping) else None
    return called if isinstance(called, Mapping) else {}


def _asked(side: Fields) -> list[Message]:
    """Read what went in: messages, or a text."""
    prompts = side.given("prompts")
    if prompts is not None:
        return read_turns([{"role": "user", "content": _only(prompts, "prompts")}])
    return _said(side, "user", ASKED)


def _answered(side: Fields) -> list[Message]:
    """Read what came out: a choice, messages, generations, or a text."""
    message = side.given("message")
    if choices := side.given("choices"):
        message = expect_object(_only(choices, "choices"), "choices").get("message")
    found = side.given("generations")
    while isinstance(found, list):
        found = _only(found, "generations")
    if isinstance(found, Mapping):
        plain = {"role": "assistant", "content": found.get("text")}
        message = found.get("message") or plain
    if message is not None:
        return read_turns([as_turn(message)])
    return _said(side, "assistant", ANSWERED)


def _said(side: Fields, role: str, keys: Sequence[str]) -> list[Message]:
    """Read messages, or the one text that a side of a run has."""
    messages = side.given("messages")
    while isinstance(messages, list) and messages and isinstance(messages[0], list):
        messages = _only(messages, "messages")
    if messages is not None:
        if not isinstance(messages, list):
            raise RowError(
                "E_SHAPE", f"expected messages as a list, got {kind_of(messages)}"
            )
        return read_turns([as_turn(message) for message in messages])
    text = side.given(*keys)
    others = [key for key, _ in side.rest()]
    if not isinstance(text, str) or others:
        found = ", ".join(map(ascii, others)) or kind_of(text)
        raise RowError(
            "E_SHAPE",
            f"{side.where}expected messages or one text of the {role}, got {found:.80}",
        )
    return read_turns([{"role": role, "content": text}])


def _only(values: object, key: str) -> Any:  # noqa: ANN401 - JSON has any shape
    """Return the one element of a list."""
    if not isinstance(values, list) or len(values) != 1:
        got = len(values) if isinstance(values, list) else kind_of(values)
        raise RowError(UNSUPPORTED, f"expected one of {key} in a run, got {got}")
    return values[0]


def as_turn(message: Any) -> Any:  # noqa: ANN401 - JSON has any shape
    """Return a message of LangChain's as OpenAI would write it; others as they are."""
    if not isinstance(message, Mapping):
        return message
    inner = message.get("kwargs", message.get("data"))
    if isinstance(inner, Mapping) and "content" not in message:
        named = message.get("id")
        last = named[-1] if isinstance(named, list) and named else message.get("type")
        message = {"type": last, **inner}
    if "role" in message and "type" not in message:
        return message
    fields = {key: one for key, one in message.items() if key not in TELLING}
    more = fields.pop("additional_kwargs", None)
    if isinstance(more, Mapping):
        fields = {**more, **{key: one for key, one in fields.items() if one}}
    kind = str(message.get("type"))
    kind = kind.removesuffix("Chunk").removesuffix("Message").lower()
    return {"role": TYPES.get(kind, kind), **fields}


TELLING = frozenset({"type", "id", "example", "response_metadata", "usage_metadata"})
"""Keys of LangChain's messages that tell of them, and say nothing."""
