"""The route of `sleepcycle ask`: one question, one answer, nothing to know of chats."""

from typing import Annotated

from fastapi import FastAPI, Request
from pydantic import Field
from starlette.responses import Response

from sleepcycle.errors import TextBaseError
from sleepcycle.home.home import Answer
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.server.command_json import answer_json
from sleepcycle.server.openai_requests import ChatRequest, Sampled, TextRequest
from sleepcycle.server.openai_routes import MAX_BODY, answered
from sleepcycle.server.request_parts import LARGEST, Body
from sleepcycle.server.responses import answer
from sleepcycle.server.talk import Talk


class AskBody(Body):
    """What is asked, and of whom."""

    prompt: str
    version: str = "live"
    """Version or alias."""

    max_new_tokens: Annotated[int, Field(ge=1, le=LARGEST)] = 64


def add_ask_routes(app: FastAPI, talk: Talk) -> None:
    """Add the question."""

    @app.post("/api/ask")
    @needs(TokenScope.TALK, max_body_bytes=MAX_BODY)
    async def ask(request: Request, body: AskBody) -> Response:
        """Let a version answer a question, greedily.

        A base without a chat template goes on from the question as a text.
        """
        asked = {
            "model": body.version,
            "max_tokens": body.max_new_tokens,
            "temperature": 0,
        }
        turn = {"role": "user", "content": body.prompt}
        chat = ChatRequest.model_validate({**asked, "messages": [turn]})
        try:
            found = await _said(request, talk, chat, chat.content())
        except TextBaseError:
            text = TextRequest.model_validate({**asked, "prompt": body.prompt})
            found = await _said(request, talk, text, body.prompt)
        return answer(answer_json(found))


async def _said(request: Request, talk: Talk, body: Sampled, content: str) -> Answer:
    """Return what a version says."""
    envelope, [written] = await answered(request, talk, body, [content])
    if isinstance(body, TextRequest):
        return Answer(envelope.model, written.text)
    return Answer(envelope.model, str(envelope.message(written)["content"]))
