"""Let versions learn from a conversation: what was good, and what was corrected."""

import json
import re
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sleepcycle.dashboard.conversation import (
    Answered,
    Exchanged,
    messages_of,
    read_conversation,
    versions_of,
)
from sleepcycle.dashboard.site import Notice, Site
from sleepcycle.dashboard.talk_page import Beside, Text, show_talk
from sleepcycle.errors import ConfigError, FeedError, NotFoundError
from sleepcycle.feed.ingest import FeedOptions
from sleepcycle.feed.shapes import Format, RowOptions
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.captured import Captured, Feedback, Thumb
from sleepcycle.server.access import needs

PLACE = re.compile(r"(\d{1,6})-(\d{1,6})")
SOURCE = "dashboard: {what} answer of {version}"


@dataclass(frozen=True, slots=True)
class Spot:
    """One answer in its conversation."""

    turns: list[Exchanged]
    turn: int
    answer: Answered


def add_talk_feedback(app: FastAPI, site: Site) -> None:
    """Add the forms below each answer."""

    @app.post("/talk/correct", include_in_schema=False)
    @needs(TokenScope.FEED)
    async def correct(
        request: Request,
        versions: Text = "live",
        conversation: Text = "",
        place: Text = "",
        better: Text = "",
    ) -> Response:
        """Let what should have been answered be learned."""
        spot = _pick(read_conversation(conversation), place)
        if not better.strip():
            raise ConfigError("expected the answer as it should have been, got nothing")
        notice = await _corrected(site, spot, better)
        names = versions_of(versions)
        beside = Beside(notice=notice)
        return await run_in_threadpool(
            show_talk, site, request, names, spot.turns, beside
        )

    @app.post("/talk/rate", include_in_schema=False)
    @needs(TokenScope.FEED)
    async def rate(
        request: Request,
        versions: Text = "live",
        conversation: Text = "",
        place: Text = "",
        thumb: Annotated[Thumb, Form()] = Thumb.DOWN,
    ) -> Response:
        """Let an answer that was good be learned, and one that was bad never."""
        spot = _pick(read_conversation(conversation), place)
        notice = await _rated(site, spot, is_up=thumb is Thumb.UP)
        names = versions_of(versions)
        beside = Beside(notice=notice)
        return await run_in_threadpool(
            show_talk, site, request, names, spot.turns, beside
        )


async def _corrected(site: Site, spot: Spot, better: str) -> Notice:
    """Let a corrected answer be learned, and return what is said of it."""
    kept = await run_in_threadpool(_kept, site, spot.answer)
    if kept is None:
        batch: int | None = await _feed(site, spot, better, "corrected")
    else:
        edit = site.parts.talk.captured.edit
        batch = (await run_in_threadpool(edit, kept.id, better)).batch
    return _learned("The corrected answer is learned next.", batch)


async def _rated(site: Site, spot: Spot, *, is_up: bool) -> Notice:
    """Take in a thumb, and return what is said of it."""
    kept, batch = await run_in_threadpool(_kept, site, spot.answer), None
    if kept is not None:
        give = partial(site.parts.talk.captured.feedback, reviewed=True)
        rated = await run_in_threadpool(give, kept.id, Feedback.THUMB, is_up)
        batch = rated.batch
    elif is_up:
        batch = await _feed(site, spot, spot.answer.text, "good")
    if is_up:
        return _learned("The good answer is learned next.", batch)
    return Notice("That answer is never learned. Below it you can correct it.")


def _pick(turns: list[Exchanged], place: str) -> Spot:
    """Return one answer of a conversation.

    Args:
        turns: The conversation.
        place: Numbers of the turn and of the answer in it, such as `0-1`.

    Raises:
        ConfigError: There is none.
    """
    found = PLACE.fullmatch(place)
    turn, answer = (int(found[1]), int(found[2])) if found else (len(turns), 0)
    if turn >= len(turns) or answer >= len(turns[turn].answers):
        raise ConfigError(
            "expected an answer of the conversation, got none; begin a new one"
        )
    return Spot(turns, turn, turns[turn].answers[answer])


def _kept(site: Site, answer: Answered) -> Captured | None:
    """Return the completion of an answer, where it was kept."""
    try:
        return site.parts.talk.captured.get(answer.completion)
    except NotFoundError:
        return None


async def _feed(site: Site, spot: Spot, text: str, what: str) -> int:
    """Feed an answer as the one example of a batch; what was said before is context.

    Returns:
        The batch.

    Raises:
        FeedError: It cannot become an example, or is one already.
    """
    asked = spot.turns[spot.turn].said
    before = messages_of(spot.turns[: spot.turn], spot.answer.name, asked)
    messages: list[dict[str, Any]] = [
        {**one, "train": False} if one["role"] == "assistant" else one for one in before
    ]
    row = {"messages": [*messages, {"role": "assistant", "content": text}]}
    stream = BytesIO(json.dumps(row).encode())
    stream.name = "talk.jsonl"
    source = SOURCE.format(what=what, version=spot.answer.version)
    options = FeedOptions(source=source, rows=RowOptions(shape=Format.MESSAGES))
    outcome = await site.parts.feeds.feed(lambda: nullcontext(stream), options)
    report = outcome.report
    if report.batch is None or not report.accepted:
        raise FeedError(
            "expected an answer that was not fed before and that the base can learn, "
            "got another"
        )
    return report.batch


def _learned(text: str, batch: int | None) -> Notice:
    """Return what is said of an answer that will be learned, and how to undo that."""
    if batch is None:
        return Notice(text)
    return Notice(text, f"/data/batches/{batch}/exclude", "Do not learn it")
