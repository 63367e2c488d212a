"""Conversations that were kept, to be judged: whether they are learned, and how."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Form, Request
from starlette.responses import Response

from sleepcycle.dashboard.site import Site
from sleepcycle.errors import CaptureError, FeedError, NotFoundError, RunError
from sleepcycle.home.capture import CapturedRegistry
from sleepcycle.home.scoped_tokens import TokenScope
from sleepcycle.records.captured import Captured, CapturedState, turn_text
from sleepcycle.records.content import plain_json
from sleepcycle.server.access import needs
from sleepcycle.store.captured_table import Wanted

ALL = "all"
STATES = {
    CapturedState.WAITING: "Waiting",
    CapturedState.ACCEPTED: "Accepted",
    CapturedState.REJECTED: "Rejected",
    ALL: "All",
}
PER_PAGE = 50
REVIEW = "/data/review"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says."""

    role: str
    text: str
    is_learned: bool = False


@dataclass(frozen=True, slots=True)
class ShownConversation:
    """A kept completion, as a page shows it."""

    kept: Captured
    asked: str
    """What the user said last."""

    answer: str
    """What would be learned."""

    turns: tuple[Turn, ...]


def add_review_page(app: FastAPI, site: Site) -> None:
    """Add what shows kept conversations, and judges them."""
    _look(app, site)
    _judge(app, site)
    _correct(app, site)
    _delete(app, site)


def shown(kept: Captured) -> ShownConversation:
    """Return a kept completion as a page shows it."""
    users = [turn for turn in kept.messages if turn.get("role") == "user"]
    tools = [Turn("tools", plain_json(kept.tools))] if kept.tools else []
    before = [
        Turn(str(turn.get("role") or "nobody"), turn_text(turn))
        for turn in kept.messages
    ]
    last = [Turn("assistant", turn_text(kept.answer), kept.correction is None)]
    if kept.correction is not None:
        last.append(Turn("corrected to", turn_text(kept.correction), is_learned=True))
    return ShownConversation(
        kept,
        turn_text(users[-1]) if users else "",
        turn_text(kept.wanted),
        (*tools, *before, *last),
    )


def _look(app: FastAPI, site: Site) -> None:
    """Add the list, and the page of one conversation."""

    @app.get(REVIEW, include_in_schema=False)
    @needs(TokenScope.READ, TokenScope.FEED)
    def review(
        request: Request, state: str = CapturedState.WAITING, after: str = ""
    ) -> Response:
        """Show kept conversations, newest first."""
        if state not in STATES:
            raise NotFoundError(
                f"expected one of {', '.join(STATES)}, got {state[:80]!r}"
            )
        home = site.home
        only = None if state == ALL else CapturedState(state)
        wanted = Wanted(state=only, after=after or None, newest_first=True)
        found = home.captured.listing(wanted, PER_PAGE + 1)
        return site.page(
            request,
            "review.html",
            section="data",
            state=state,
            states=STATES,
            rows=[shown(one) for one in found[:PER_PAGE]],
            older=found[PER_PAGE - 1].id if len(found) > PER_PAGE else None,
            is_first=not after,
            capture=home.settings.capture,
            config=site.parts.paths.config,
        )

    @app.get(REVIEW + "/{name}", include_in_schema=False)
    @needs(TokenScope.READ, TokenScope.FEED)
    def one(request: Request, name: str) -> Response:
        """Show one conversation, and what would be learned of it."""
        return _page(site, request, site.home.captured.get(name))


def _page(
    site: Site,
    request: Request,
    kept: Captured,
    typed: str | None = None,
    fault: str = "",
) -> Response:
    """Return the page of a conversation, with the answer that is typed."""
    seen = shown(kept)
    return site.page(
        request,
        "conversation.html",
        section="data",
        status=422 if fault else 200,
        one=seen,
        kept=kept,
        typed=seen.answer if typed is None else typed,
        fault=fault,
    )


def _judge(app: FastAPI, site: Site) -> None:
    """Add what accepts and rejects."""

    @app.post(REVIEW + "/{name}/accept", include_in_schema=False)
    @needs(TokenScope.FEED)
    def accept(name: str) -> Response:
        """Let a conversation be learned."""
        kept = _captured(site).accept(name)
        told = f"Accepted: its answer is learned, as batch {kept.batch}."
        return _judged(site, kept, told)

    @app.post(REVIEW + "/{name}/reject", include_in_schema=False)
    @needs(TokenScope.FEED)
    def reject(name: str) -> Response:
        """Let a conversation never be learned."""
        return _judged(
            site, _captured(site).reject(name), "Rejected: it is never learned."
        )

    @app.post(REVIEW + "/{name}/reopen", include_in_schema=False)
    @needs(TokenScope.FEED)
    def reopen(name: str) -> Response:
        """Let a conversation wait again."""
        kept = _captured(site).reopen(name)
        return site.done(f"{REVIEW}/{kept.id}", "It waits for your review again.")


def _captured(site: Site) -> CapturedRegistry:
    """Return the kept completions."""
    return site.home.captured


def _judged(site: Site, kept: Captured, told: str) -> Response:
    """Go back to what waits, with a way to take the judgement back."""
    return site.done(REVIEW, told, undo=f"{REVIEW}/{kept.id}/reopen")


def _correct(app: FastAPI, site: Site) -> None:
    """Add what puts an answer right."""

    @app.post(REVIEW + "/{name}/edit", include_in_schema=False)
    @needs(TokenScope.FEED)
    def edit(
        request: Request, name: str, answer: Annotated[str, Form()] = ""
    ) -> Response:
        """Let a better answer be learned in the place of the one that was given."""
        captured = _captured(site)
        kept = captured.get(name)
        said = answer.replace("\r\n", "\n").strip()
        if not said:
            fault = "expected the answer that should have been given, got none"
            return _page(site, request, kept, answer, fault)
        try:
            kept = captured.edit(name, said)
        except (CaptureError, FeedError, RunError) as error:
            return _page(site, request, captured.get(name), answer, str(error))
        told = f"Corrected: your answer is learned, as batch {kept.batch}."
        return _judged(site, kept, told)


def _delete(app: FastAPI, site: Site) -> None:
    """Add what deletes, once it was asked whether to."""

    @app.get(REVIEW + "/{name}/delete", include_in_schema=False)
    @needs(TokenScope.FEED)
    def ask(request: Request, name: str) -> Response:
        """Ask whether a conversation is to be deleted, which nothing undoes."""
        kept = _captured(site).get(name)
        return site.page(
            request, "delete_conversation.html", section="data", one=shown(kept)
        )

    @app.post(REVIEW + "/{name}/delete", include_in_schema=False)
    @needs(TokenScope.FEED)
    def delete(name: str) -> Response:
        """Delete a conversation, and the text of the example that it became."""
        done = _captured(site).delete(name)
        told = "Deleted, with its example." if done.erased else "Deleted."
        if done.tainted:
            names = ", ".join(done.tainted)
            told += f" Learned by {names}, which stay until you roll back."
        if done.batch is not None:
            told += f" The same is in batch {done.batch}, which stays."
        return site.done(REVIEW, told)
