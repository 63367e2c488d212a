"""Talk with any version, or with several side by side."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import FastAPI, Form, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sleepcycle.dashboard.conversation import (
    MOST_VERSIONS,
    Answered,
    Exchanged,
    Turns,
    messages_of,
    read_conversation,
    versions_of,
    write_conversation,
)
from sleepcycle.dashboard.site import Notice, Site
from sleepcycle.errors import SleepcycleError, TextBaseError
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.server.access import needs
from sleepcycle.server.openai_requests import ChatRequest, TextRequest
from sleepcycle.server.openai_routes import answered
from sleepcycle.serving.messages import Reason

LISTED = 50  # versions to choose from, the newest

Text = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class Beside:
    """What a page says beside the conversation."""

    message: str = ""
    """What was typed, where it was not answered."""

    fault: str = ""
    notice: Notice | None = None
    status: int = 200


NOTHING = Beside()


def show_talk(
    site: Site,
    request: Request,
    names: Sequence[str],
    turns: Turns = (),
    beside: Beside = NOTHING,
) -> Response:
    """Return the page with a conversation."""
    return site.page(
        request,
        "talk.html",
        section="talk",
        status=beside.status,
        notice=beside.notice,
        names=names,
        turns=turns,
        carried=write_conversation(turns),
        choices=_choices(site),
        most_versions=MOST_VERSIONS,
        message=beside.message,
        fault=beside.fault,
        capture=site.parts.scheduler.settings.capture,
    )


def add_talk_page(app: FastAPI, site: Site) -> None:
    """Add the page, and the form by which something is said."""

    @app.get("/talk", include_in_schema=False)
    @needs(TokenScope.READ, TokenScope.TALK)
    def talk_page(
        request: Request,
        versions: str = "",
        version: Annotated[list[str], Query()] = [],  # noqa: B006 - FastAPI copies it
    ) -> Response:
        """Show a new conversation with one version, or with several."""
        names = _known(site, ",".join([versions, *version]))
        return show_talk(site, request, names)

    @app.post("/talk", include_in_schema=False)
    @needs(TokenScope.TALK)
    async def say(
        request: Request,
        versions: Text = "live",
        conversation: Text = "",
        message: Text = "",
        keep: Text = "",
    ) -> Response:
        """Let each version answer, and show the conversation with the answers."""
        turns = read_conversation(conversation)
        names = await run_in_threadpool(_known, site, versions)
        asked = [
            _request(one, messages_of(turns, one, message), store=bool(keep))
            for one in names
        ]
        try:
            answers = await _answers(site, request, asked)
        except SleepcycleError as error:
            beside = Beside(message, str(error), status=409)
        else:
            turns = [*turns, Exchanged(said=message, answers=answers)]
            beside = NOTHING
        return await run_in_threadpool(show_talk, site, request, names, turns, beside)

    @app.post("/talk/turns", include_in_schema=False)
    @needs(TokenScope.TALK)
    def turns_of(
        request: Request, versions: Text = "live", conversation: Text = ""
    ) -> Response:
        """Show a conversation whose answers came as streams."""
        turns = read_conversation(conversation)
        return show_talk(site, request, versions_of(versions), turns)


def _choices(site: Site) -> list[tuple[str, str]]:
    """Return the versions that can be asked, by name, each with what is said of it."""
    found = site.parts.talk.listing()
    aliases = [
        (alias, f"{alias} (now {one.version.name})")
        for one in found
        for alias in one.aliases
    ]
    aliases.sort(key=lambda choice: choice[0] != "live")
    numbers = [
        (one.version.name, f"{one.version.name} ({one.version.kind})")
        for one in reversed(found)
    ]
    return [*aliases, *numbers[:LISTED]]


def _known(site: Site, versions: str) -> list[str]:
    """Return the versions that are named, all of which can be asked.

    Raises:
        VersionError: One cannot.
        ConfigError: There are too many.
    """
    names = versions_of(versions)
    for name in names:
        site.parts.talk.find(name)
    return names


def _request(name: str, messages: list[dict[str, Any]], *, store: bool) -> ChatRequest:
    """Return what one version is asked: greedily, so that it says the same again."""
    return ChatRequest.model_validate(
        {
            "model": name,
            "messages": messages,
            "temperature": 0,
            "store": store,
        }
    )


async def _answers(
    site: Site, request: Request, asked: Sequence[ChatRequest]
) -> tuple[Answered, ...]:
    """Return what all versions answer, which they write side by side.

    Raises:
        SleepcycleError: One cannot.
    """
    tasks = [asyncio.create_task(_answer(site, request, one)) for one in asked]
    try:
        return tuple(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


async def _answer(site: Site, request: Request, body: ChatRequest) -> Answered:
    """Return what one version answers; without a template it goes on from a text.

    Raises:
        SleepcycleError: It cannot.
    """
    talk = site.parts.talk
    content = await run_in_threadpool(body.content)
    try:
        envelope, [written] = await answered(request, talk, body, [content])
    except TextBaseError:
        said = body.messages[-1]["content"]
        text = TextRequest(model=body.model, prompt=said, temperature=0)
        envelope, [written] = await answered(request, talk, text, [said])
    return Answered(
        name=body.model,
        version=envelope.model,
        text=written.text,
        completion=envelope.name,
        cut_off=written.reason == Reason.LENGTH,
    )
