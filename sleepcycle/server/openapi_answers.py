"""What routes answer, for the OpenAPI document: of what type, and in which shape."""

from typing import Any

Schema = dict[str, Any]
Content = dict[str, Schema]
"""A schema by the type of what is answered; of a stream, that of each event."""

ERROR = "OpenaiError"
"""The schema of an error at OpenAI's addresses."""

JSON, EVENTS = "application/json", "text/event-stream"
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
OPTIONAL: Schema = {"type": ["string", "null"]}
OBJECT: Schema = {"type": "object"}
LIKELY: Schema = {"type": ["object", "null"]}
"""How likely tokens were; null where that was not asked."""


def listed(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def keyed(properties: dict[str, Schema], *optional: str) -> Schema:
    """Return the schema of an object, all of whose keys are there but some."""
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def named(name: str) -> Schema:
    """Return a reference to a schema of `SHAPES`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _envelope(kind: str, choice: Schema, *optional: str) -> Schema:
    """Return the schema of an answer, or a part of one, of some kind."""
    properties = {
        "id": TEXT,
        "object": {"type": "string", "const": kind},
        "created": NUMBER,
        "model": TEXT,
        "choices": listed(choice),
        "usage": named("Usage"),
    }
    return keyed(properties, *optional)


def _choice(said: dict[str, Schema], *optional: str) -> Schema:
    """Return the schema of one answer, or a part of one."""
    place, ended = {"index": NUMBER}, {"logprobs": LIKELY, "finish_reason": OPTIONAL}
    return keyed({**place, **said, **ended}, *optional)


MESSAGE = keyed(
    {"role": TEXT, "content": OPTIONAL, "tool_calls": listed(OBJECT)}, "tool_calls"
)
DELTA: Schema = {"type": "object", "properties": MESSAGE["properties"]}

SHAPES: dict[str, Schema] = {
    "Usage": keyed(
        {
            "prompt_tokens": NUMBER,
            "completion_tokens": NUMBER,
            "total_tokens": NUMBER,
        }
    ),
    "ChatCompletion": _envelope("chat.completion", _choice({"message": MESSAGE})),
    "StoredCompletion": _envelope(
        "chat.completion", _choice({"message": MESSAGE}), "usage"
    ),
    "ChatCompletionChunk": _envelope(
        "chat.completion.chunk", _choice({"delta": DELTA}), "usage"
    ),
    "TextCompletion": _envelope("text_completion", _choice({"text": TEXT})),
    "TextCompletionChunk": _envelope(
        "text_completion", _choice({"text": TEXT}), "usage"
    ),
}
"""What answers of OpenAI's addresses have at least."""

CHAT, STORED = "/v1/chat/completions", "/v1/chat/completions/{name}"
TEXTS, JOBS = "/v1/completions", "/v1/fine_tuning/jobs"
LISTS = (
    "/api/batches",
    "/api/batches/quarantine",
    "/api/batches/{batch}/examples",
    "/api/batches/{batch}/quarantine",
    "/api/inbox",
    "/api/runs",
    "/api/runs/{run}/dreams",
    "/api/tokens",
    "/api/versions",
)
PAGES = {
    CHAT: named("StoredCompletion"),
    STORED + "/messages": OBJECT,
    "/v1/files": OBJECT,
    JOBS: OBJECT,
    JOBS + "/{name}/events": OBJECT,
}
"""Lists in OpenAI's shape, and what they list."""


def _page(items: Schema) -> Schema:
    """Return the schema of a list in OpenAI's shape."""
    return keyed(
        {
            "object": {"type": "string", "const": "list"},
            "data": listed(items),
            "first_id": OPTIONAL,
            "last_id": OPTIONAL,
            "has_more": {"type": "boolean"},
        }
    )


def _written(whole: str, part: str) -> Content:
    """Return what is answered whole, or with `stream` as it is being written."""
    last = {"const": "[DONE]"}
    parts = _in_text({"anyOf": [named(part), named(ERROR)]})
    return {JSON: named(whole), EVENTS: _event({**TEXT, "anyOf": [last, parts]})}


def _in_text(schema: Schema) -> Schema:
    """Return the schema of a text that is JSON."""
    return {"contentMediaType": JSON, "contentSchema": schema}


def _event(data: Schema) -> Schema:
    """Return the schema of a server-sent event, as FastAPI writes it."""
    properties = {
        "data": data,
        "event": TEXT,
        "id": TEXT,
        "retry": {"type": "integer", "minimum": 0},
    }
    return keyed(properties, "event", "id", "retry")


ANSWERS: dict[tuple[str, str], Content] = {
    **{("GET", path): {JSON: listed(OBJECT)} for path in LISTS},
    **{("GET", path): {JSON: _page(items)} for path, items in PAGES.items()},
    ("POST", CHAT): _written("ChatCompletion", "ChatCompletionChunk"),
    ("POST", TEXTS): _written("TextCompletion", "TextCompletionChunk"),
    ("GET", STORED): {JSON: named("StoredCompletion")},
    ("POST", STORED): {JSON: named("StoredCompletion")},
    ("GET", "/api/events"): {EVENTS: _event({**TEXT, **_in_text(OBJECT)})},
    ("GET", "/v1/files/{name}/content"): {
        "application/octet-stream": {**TEXT, "format": "binary"}
    },
    ("GET", "/metrics"): {"text/plain": TEXT, "application/openmetrics-text": TEXT},
}
"""What a route answers where all is well; any other an object in JSON."""

NOT_READY: Content = {JSON: keyed({"status": TEXT, "reason": TEXT})}
"""What `/readyz` answers where no run can begin."""


def content_of(answered: Content) -> dict[str, Any]:
    """Return what can be answered as the document has it."""
    return {
        kind: {"itemSchema" if kind == EVENTS else "schema": schema}
        for kind, schema in answered.items()
    }


def answered_by(method: str, path: str) -> Content:
    """Return what a route answers where all is well."""
    return ANSWERS.get((method, path), {JSON: OBJECT})
