"""Routes of kept completions: OpenAI's, feedback in TensorZero's shape, and review."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from starlette.responses import Response

from sleepcycle.errors import CaptureError
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.captured import Captured, CapturedState, Feedback
from sleepcycle.server.access import needs
from sleepcycle.server.responses import answer, page_of
from sleepcycle.server.talk import Talk
from sleepcycle.store.captured_table import Wanted

MOST_LISTED = 100
COMPLETIONS = "/v1/chat/completions"
DEMONSTRATION, COMMENT = "demonstration", "comment"
CORRECTED = ("content", "answer", "output", "text")
"""Keys under which a correction as an object has its text."""

Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]


class MetadataBody(BaseModel):
    """What may be changed of a kept completion."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    metadata: dict[str, str]


class EditBody(BaseModel):
    """What the answer should have been."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer: str | dict[str, Any]


class FeedbackBody(BaseModel):
    """What is said of an answer, in TensorZero's shape or LangSmith's."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    inference_id: Annotated[
        str, Field(validation_alias=AliasChoices("inference_id", "run_id"))
    ]
    metric_name: Annotated[
        str, Field(validation_alias=AliasChoices("metric_name", "key"))
    ] = ""
    value: Any = None
    score: bool | float | None = None
    correction: str | dict[str, Any] | None = None
    dryrun: bool = False

    def said(self) -> tuple[Feedback, object] | None:
        """Return what of it counts; None where it is a comment alone.

        Raises:
            CaptureError: It says neither what is right, nor whether it is good.
        """
        if self.correction is not None:
            return Feedback.DEMONSTRATION, _text_of(self.correction)
        if self.metric_name == DEMONSTRATION:
            return Feedback.DEMONSTRATION, self.value
        if self.metric_name == COMMENT:
            return None
        mark = self.value if self.score is None else self.score
        if isinstance(mark, bool) or mark in (0, 1):
            return Feedback.THUMB, bool(mark)
        raise CaptureError(
            f"invalid 'value': expected true or false of {self.metric_name or 'it'!r}, "
            f"1 or 0, or a demonstration, got {str(mark)[:40]!r}"
        )


def add_captured_routes(app: FastAPI, talk: Talk) -> None:
    """Add what looks at kept completions, and judges them."""
    _openai(app, talk)
    _feedback(app, talk)
    _review(app, talk)


def _openai(app: FastAPI, talk: Talk) -> None:
    """Add OpenAI's addresses of stored completions."""

    @app.get(COMPLETIONS)
    @needs(TokenScope.READ)
    def stored(
        request: Request,
        after: str | None = None,
        limit: Limit = 20,
        order: Literal["asc", "desc"] = "asc",
    ) -> Response:
        """Return kept completions, by their metadata where that is given."""
        wanted = Wanted(
            metadata=_pairs(request.query_params),
            after=after,
            newest_first=order == "desc",
        )
        found = talk.captured.listing(wanted, limit + 1)
        return answer(page_of([_completion(one) for one in found], limit))

    @app.get(COMPLETIONS + "/{name}")
    @needs(TokenScope.READ)
    def one(name: str) -> Response:
        """Return one kept completion."""
        return answer(_completion(talk.captured.get(name)))

    @app.get(COMPLETIONS + "/{name}/messages")
    @needs(TokenScope.READ)
    def messages(name: str) -> Response:
        """Return what was said before the answer."""
        kept = talk.captured.get(name)
        rows = [{"id": f"{name}-{n}", **said} for n, said in enumerate(kept.messages)]
        return answer(page_of(rows, len(rows)))

    @app.post(COMPLETIONS + "/{name}")
    @needs(TokenScope.FEED)
    def mark(name: str, body: MetadataBody) -> Response:
        """Replace the metadata of one."""
        return answer(_completion(talk.captured.set_metadata(name, body.metadata)))

    @app.delete(COMPLETIONS + "/{name}")
    @needs(TokenScope.FEED)
    def delete(name: str) -> Response:
        """Delete one, with the example that it became."""
        talk.captured.delete(name)
        gone = {"object": "chat.completion.deleted", "id": name, "deleted": True}
        return answer(gone)


def _feedback(app: FastAPI, talk: Talk) -> None:
    """Add what takes in feedback."""

    @app.post("/v1/feedback")
    @needs(TokenScope.FEED)
    def feedback(body: FeedbackBody) -> Response:
        """Take in what is said of an answer that was kept."""
        said, kept = body.said(), talk.captured.get(body.inference_id)
        if said and not body.dryrun:
            talk.captured.feedback(kept.id, *said)
        return answer({"feedback_id": secrets.token_hex(16)})


def _review(app: FastAPI, talk: Talk) -> None:
    """Add the twins of `sleepcycle inbox`."""

    @app.get("/api/inbox")
    @needs(TokenScope.READ, TokenScope.FEED)
    def listing(
        state: CapturedState | None = None,
        after: str | None = None,
        limit: Limit = 20,
    ) -> Response:
        """Return kept completions, oldest first; `after` ends the page before."""
        wanted = Wanted(state=state, after=after)
        return answer(talk.captured.listing(wanted, limit))

    @app.get("/api/inbox/{name}")
    @needs(TokenScope.READ, TokenScope.FEED)
    def show(name: str) -> Response:
        """Return one kept completion."""
        return answer(asdict(talk.captured.get(name)))

    @app.post("/api/inbox/{name}/accept")
    @needs(TokenScope.FEED)
    def accept(name: str) -> Response:
        """Let one be learned."""
        return answer(asdict(talk.captured.accept(name)))

    @app.post("/api/inbox/{name}/reject")
    @needs(TokenScope.FEED)
    def reject(name: str) -> Response:
        """Let one never be learned."""
        return answer(asdict(talk.captured.reject(name)))

    @app.post("/api/inbox/{name}/edit")
    @needs(TokenScope.FEED)
    def edit(name: str, body: EditBody) -> Response:
        """Let a corrected answer be learned."""
        return answer(asdict(talk.captured.edit(name, body.answer)))

    @app.delete("/api/inbox/{name}")
    @needs(TokenScope.FEED)
    def erase(name: str) -> Response:
        """Delete one and the example that it became; tell who learned it."""
        return answer(asdict(talk.captured.delete(name)))


def _completion(kept: Captured) -> dict[str, Any]:
    """Return a kept completion in OpenAI's shape."""
    reason = "tool_calls" if kept.answer.get("tool_calls") else "stop"
    choice = {
        "index": 0,
        "message": kept.answer,
        "logprobs": None,
        "finish_reason": reason,
    }
    return {
        "id": kept.id,
        "object": "chat.completion",
        "created": int(kept.created_at.timestamp()),
        "model": kept.version,
        "choices": [choice],
        "metadata": kept.metadata,
    }


def _pairs(query: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs that `metadata[KEY]=VALUE` asks for."""
    return {
        name.removeprefix("metadata[").removesuffix("]"): value
        for name, value in query.items()
        if name.startswith("metadata[") and name.endswith("]")
    }


def _text_of(correction: str | dict[str, Any]) -> str | dict[str, Any]:
    """Return a correction's text, where an object has it under a usual key."""
    if isinstance(correction, str) or "role" in correction:
        return correction
    found = [correction[key] for key in CORRECTED if key in correction]
    if len(found) == 1 and isinstance(found[0], str):
        return found[0]
    raise CaptureError(
        "invalid 'correction': expected a text, or an object with one of "
        f"{', '.join(CORRECTED)}, got {', '.join(sorted(map(str, correction)))[:80]!r}"
    )
