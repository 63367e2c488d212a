"""How kept completions look."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from sleepcycle.cli.render import (
    console,
    one_line,
    printable,
    show_facts,
    show_json,
    show_table,
)
from sleepcycle.records.captured import turn_text
from sleepcycle.records.content import plain_json
from sleepcycle.server.command_json import judged_json

if TYPE_CHECKING:
    from sleepcycle.records.captured import Captured, Deleted

PREVIEW_CHARS = 50


def show_inbox(found: "Sequence[Captured]", *, as_json: bool) -> None:
    """Print completions, a row each."""
    if as_json:
        return show_json(found)
    show_table(
        ["id", "kept", "by", "state", "thumb", "asked", "answer"],
        [
            [
                one.id,
                one.created_at,
                one.version,
                one.state,
                one.thumb,
                _preview(_asked(one)),
                _preview(turn_text(one.wanted)),
            ]
            for one in found
        ],
    )


def show_captured(one: "Captured", *, as_json: bool) -> None:
    """Print one completion with the whole conversation."""
    if as_json:
        return show_json(one)
    show_facts(
        {
            "id": one.id,
            "kept": one.created_at,
            "answered by": f"{one.version}, asked as {one.model}",
            "state": one.state,
            "thumb": one.thumb,
            "batch": one.batch,
            **{f"metadata {key}": value for key, value in one.metadata.items()},
        }
    )
    if one.tools:
        _show_turn("tools", plain_json(one.tools))
    for turn in one.messages:
        _show_turn(str(turn.get("role")), turn_text(turn))
    _show_turn("answer", turn_text(one.answer))
    if one.correction is not None:
        _show_turn("correction", turn_text(one.correction))


def show_judged(done: "Sequence[Captured]", *, as_json: bool) -> None:
    """Print what became of completions that were judged."""
    if as_json:
        return show_json([judged_json(one) for one in done])
    for one in done:
        batch = "" if one.batch is None else f", batch {one.batch}"
        print(f"{one_line(one.id)} is {one.state}{batch}")


def show_deleted(done: "Sequence[Deleted]", *, as_json: bool) -> None:
    """Print what became of completions that were deleted."""
    if as_json:
        return show_json(done)
    for one in done:
        what = "and its example are" if one.erased else "is"
        print(f"{one_line(one.id)} {what} deleted")
        if one.tainted:
            names = ", ".join(one.tainted)
            print(f"learned by {names}, which stay: see sleepcycle rollback")
        if one.batch is not None:
            print(
                f"the same is in batch {one.batch}, which stays: see sleepcycle "
                f"batches exclude {one.batch}"
            )


def _show_turn(name: str, text: str) -> None:
    """Print what one speaker says, over as many lines as it has."""
    console.print(f"\n[bold]{escape(one_line(name))}[/bold]")
    console.print(escape(printable(text)))


def _asked(one: "Captured") -> str:
    """Return what the user said last."""
    users = [turn for turn in one.messages if turn.get("role") == "user"]
    return turn_text(users[-1]) if users else ""


def _preview(text: str) -> str:
    """Return how a text begins."""
    return text if len(text) <= PREVIEW_CHARS else f"{text[:PREVIEW_CHARS]}..."
