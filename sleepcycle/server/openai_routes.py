"""Routes by OpenAI's addresses: models, chat completions, completions."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from fastapi import FastAPI, Request
from loguru import logger
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from sleepcycle.errors import SleepcycleError
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.home.versions import VersionListing
from sleepcycle.records.captured import Exchange
from sleepcycle.server.access import needs
from sleepcycle.server.openai_answers import DONE, Envelope, WrittenAnswer, event, whole
from sleepcycle.server.openai_errors import openai_error_body
from sleepcycle.server.openai_requests import ChatRequest, Sampled, TextRequest
from sleepcycle.server.responses import answer
from sleepcycle.server.talk import Talk
from sleepcycle.server.unless_gone import unless_gone
from sleepcycle.serving.messages import Ask, Reason

OWNER = "sleepcycle"
MAX_BODY = 16_000_000  # bytes of a conversation; a guess
STREAM = "text/event-stream"


def add_openai_routes(app: FastAPI, talk: Talk) -> None:
    """Add what OpenAI's clients ask."""

    @app.get("/v1/models")
    @needs(TokenScope.TALK, TokenScope.READ)
    def models() -> Response:
        """Return every version that can be asked, by its name and its aliases."""
        found = [one for each in talk.listing() for one in _models(each)]
        return answer({"object": "list", "data": found})

    @app.get("/v1/models/{name}")
    @needs(TokenScope.TALK, TokenScope.READ)
    def model(name: str) -> Response:
        """Return one version, by its name or an alias."""
        version, _ = talk.find(name)
        [found] = [o for o in talk.listing() if o.version.name == version]
        return answer(_model(name, found))

    @app.post("/v1/chat/completions")
    @needs(TokenScope.TALK, max_body_bytes=MAX_BODY)
    async def chat(request: Request, body: ChatRequest) -> Response:
        """Answer a conversation."""
        content = await run_in_threadpool(body.content)  # may be long
        return await _respond(request, talk, body, [content])

    @app.post("/v1/completions")
    @needs(TokenScope.TALK, max_body_bytes=MAX_BODY)
    async def complete(request: Request, body: TextRequest) -> Response:
        """Go on from a text."""
        return await _respond(request, talk, body, body.prompts)


async def _respond(
    request: Request, talk: Talk, body: Sampled, contents: Sequence[str]
) -> Response:
    """Answer whole, or as a stream."""
    if not body.stream:
        envelope, answers = await answered(request, talk, body, contents)
        return answer(envelope.whole(answers))
    envelope, asks = await _prepared(talk, body, contents)
    events = _events(talk, envelope, asks, body)
    first = await anext(events)  # what cannot be answered has a status of its own
    return StreamingResponse(_from(first, events), media_type=STREAM)


async def answered(
    request: Request, talk: Talk, body: Sampled, contents: Sequence[str]
) -> tuple[Envelope, list[WrittenAnswer]]:
    """Return whole answers in their envelope; they are kept where that is wanted.

    Raises:
        SleepcycleError: One cannot be answered, or who asked has gone.
    """
    envelope, asks = await _prepared(talk, body, contents)
    task = asyncio.create_task(_all(talk, asks))
    answers = await unless_gone(request, task, task.cancel)
    await run_in_threadpool(_keep, talk, envelope, answers, body)
    return envelope, answers


async def _prepared(
    talk: Talk, body: Sampled, contents: Sequence[str]
) -> tuple[Envelope, list[Ask]]:
    """Return what all parts of an answer have alike, and what is asked for it."""
    talk.expect_free()
    version, folder = await run_in_threadpool(talk.find, body.model)
    asks = [one for content in contents for one in body.asks(version, folder, content)]
    is_chat = isinstance(body, ChatRequest)
    offered = body.offered if isinstance(body, ChatRequest) else ()
    return Envelope(version, is_chat, offered, body.n or 1), asks


async def _all(talk: Talk, asks: Sequence[Ask]) -> list[WrittenAnswer]:
    """Return all answers, which are written side by side."""
    tasks = [asyncio.create_task(whole(talk.answer(one))) for one in asks]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:  # where one cannot be answered, no other is written on
            task.cancel()


async def _events(
    talk: Talk, envelope: Envelope, asks: Sequence[Ask], body: Sampled
) -> AsyncIterator[str]:
    """Yield events; an error on the way is the last of them."""
    answers = [talk.answer(one) for one in asks]
    written = [WrittenAnswer() for _ in asks]
    begun = False
    try:
        async for one in envelope.events(answers, written, has_usage=body.has_usage):
            yield one
            begun = True
        await run_in_threadpool(_keep, talk, envelope, written, body)
        yield DONE
    except SleepcycleError as error:
        if not begun:
            raise
        yield event(openai_error_body(error))
    finally:
        for each in answers:
            await each.aclose()  # type: ignore[attr-defined]


def _keep(
    talk: Talk, envelope: Envelope, answers: Sequence[WrittenAnswer], body: Sampled
) -> None:
    """Keep a conversation with the first answer to it, where that is wanted.

    What cannot be kept is in the log: the answer is given all the same.
    """
    if not isinstance(body, ChatRequest) or answers[0].reason == Reason.LENGTH:
        return  # an answer that was cut off would teach to break off
    exchange = Exchange(
        id=envelope.name,
        version=int(envelope.model.removeprefix("v")),
        model=body.model,
        messages=body.messages,
        answer=envelope.message(answers[0]),
        tools=body.tools or (),
        metadata=body.metadata or {},
    )
    try:
        talk.captured.capture(exchange, asked=bool(body.store))
    except SleepcycleError as error:
        logger.error("{id} was not kept: {error}", id=exchange.id, error=str(error))


async def _from(first: str, rest: AsyncIterator[str]) -> AsyncIterator[str]:
    """Yield a first event, and the rest."""
    yield first
    async for one in rest:
        yield one


def _models(found: VersionListing) -> list[dict[str, object]]:
    """Return a version by all of its names."""
    return [_model(name, found) for name in (*found.aliases, found.version.name)]


def _model(name: str, found: VersionListing) -> dict[str, object]:
    """Return a version as a model."""
    created = int(found.version.created_at.timestamp())
    return {"id": name, "object": "model", "created": created, "owned_by": OWNER}
