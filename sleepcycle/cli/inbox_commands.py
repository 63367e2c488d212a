"""The commands on kept completions: which of them are learned, and as what."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sleepcycle.cli.app import Json, app, home_of
from sleepcycle.records.captured import CapturedState

if TYPE_CHECKING:
    from sleepcycle.records.captured import Captured

R = TypeVar("R")

inbox = typer.Typer(
    no_args_is_help=True,
    help="Review conversations that were kept ([capture]); the folder inbox/ of a "
    "home, in which files are fed, is another thing.",
)
app.add_typer(inbox, name="inbox")

Name = Annotated[str, typer.Argument(metavar="ID", help="The completion's id.")]
Names = Annotated[list[str], typer.Argument(metavar="ID...", help="Their ids.")]


class Shown(StrEnum):
    """Which completions a list has."""

    WAITING = CapturedState.WAITING
    ACCEPTED = CapturedState.ACCEPTED
    REJECTED = CapturedState.REJECTED
    ALL = "all"


@inbox.command("list")
def list_inbox(
    ctx: typer.Context,
    state: Annotated[Shown, typer.Option(help="Those alone.")] = Shown.WAITING,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    after: Annotated[
        str | None, typer.Option(help="Go on after this one.", metavar="ID")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what waits to be reviewed, oldest first."""
    from sleepcycle.cli.inbox_output import show_inbox
    from sleepcycle.store.captured_table import Wanted

    only = None if state is Shown.ALL else CapturedState(state)
    found = home_of(ctx).captured.listing(Wanted(state=only, after=after), limit)
    show_inbox(found, as_json=as_json)


@inbox.command("show")
def show_one(ctx: typer.Context, name: Name, as_json: Json = False) -> None:
    """Show one conversation, its answer, and what was said of it."""
    from sleepcycle.cli.inbox_output import show_captured

    show_captured(home_of(ctx).captured.get(name), as_json=as_json)


@inbox.command()
def accept(ctx: typer.Context, names: Names, as_json: Json = False) -> None:
    """Let conversations be learned: each is fed as a batch of its own."""
    _judge(home_of(ctx).captured.accept, names, as_json=as_json)


@inbox.command()
def reject(ctx: typer.Context, names: Names, as_json: Json = False) -> None:
    """Let conversations never be learned; versions that learned one stay."""
    _judge(home_of(ctx).captured.reject, names, as_json=as_json)


@inbox.command()
def edit(
    ctx: typer.Context,
    name: Name,
    answer: Annotated[
        str | None, typer.Option(help="What the answer should have been.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Take the answer from this file; - for stdin.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a better answer be learned; without one, $VISUAL or $EDITOR opens."""
    from sleepcycle.cli.editor import edited, read_answer
    from sleepcycle.cli.inbox_output import show_judged
    from sleepcycle.errors import CaptureError

    if answer is not None and file is not None:
        raise CaptureError("expected --answer or --file, got both")
    captured = home_of(ctx).captured
    kept = captured.get(name)
    if answer is None:
        answer = edited(kept.wanted) if file is None else read_answer(file)
    show_judged([captured.edit(name, answer)], as_json=as_json)


@inbox.command()
def delete(ctx: typer.Context, names: Names, as_json: Json = False) -> None:
    """Delete conversations and the examples they became; taint who learned them."""
    from sleepcycle.cli.inbox_output import show_deleted

    _each(home_of(ctx).captured.delete, names, show_deleted, as_json=as_json)


def _judge(
    judge: "Callable[[str], Captured]", names: list[str], *, as_json: bool
) -> None:
    """Judge one completion after the other, and print what became of them."""
    from sleepcycle.cli.inbox_output import show_judged

    _each(judge, names, show_judged, as_json=as_json)


def _each(
    act: Callable[[str], R],
    names: list[str],
    show: Callable[..., None],
    *,
    as_json: bool,
) -> None:
    """Act on one completion after the other; what was done is printed in any case."""
    done: list[R] = []
    try:
        for name in names:
            done.append(act(name))
    finally:
        show(done, as_json=as_json)
