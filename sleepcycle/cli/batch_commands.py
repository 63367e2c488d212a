"""The commands on batches: what was fed, and what could not be."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcycle.cli.app import Json, app, home_of

batches = typer.Typer(no_args_is_help=True, help="Look at what was fed.")
app.add_typer(batches, name="batches")

Batch = Annotated[int, typer.Argument(help="The batch's number.")]


@batches.command("list")
def list_batches(ctx: typer.Context, as_json: Json = False) -> None:
    """List all batches, oldest first."""
    from sleepcycle.cli.batch_tables import show_batches

    show_batches(home_of(ctx).batches.listing(), as_json=as_json)


@batches.command("show")
def show_batch(
    ctx: typer.Context,
    batch: Batch,
    rendered: Annotated[
        bool, typer.Option("--rendered", help="Show examples as the model sees them.")
    ] = False,
    line: Annotated[
        int | None, typer.Option(help="With --rendered: the row of its file alone.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show where the examples of a batch are now, or how some are learned."""
    from sleepcycle.cli.batch_tables import show_batch as show
    from sleepcycle.cli.feed_output import show_stored

    home = home_of(ctx)
    if not rendered:
        return show(*home.batches.get(batch), as_json=as_json)
    stored = home.batches.examples(batch, line)
    shown = home.show_examples([one.content for one in stored])
    show_stored(stored, shown, as_json=as_json)


@batches.command()
def quarantine(
    ctx: typer.Context,
    batch: Annotated[int | None, typer.Argument(help="All, if none.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the rows to this file, to be mended.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the rows that could not become examples, or not be learned, and why."""
    from sleepcycle.cli.batch_tables import show_bad_rows
    from sleepcycle.cli.render import counted

    registry = home_of(ctx).batches
    if export is not None:
        written, cut = registry.export_bad(batch, export)
        print(f"wrote {counted(written, 'row')} to {export}; mend and feed that file")
        if cut:
            print(
                f"{counted(cut, 'row')} of them longer than feed.preview_bytes is cut: "
                "take those from the file that was fed"
            )
        return
    show_bad_rows(registry.bad_rows(batch), as_json=as_json)


@batches.command()
def exclude(ctx: typer.Context, batch: Batch, as_json: Json = False) -> None:
    """Never learn or replay a batch again; versions that learned it stay."""
    from sleepcycle.cli.batch_tables import show_moved
    from sleepcycle.server.command_json import excluded_json

    moved = home_of(ctx).batches.exclude(batch)
    show_moved(excluded_json(batch, moved), as_json=as_json)


@batches.command()
def requeue(ctx: typer.Context, batch: Batch, as_json: Json = False) -> None:
    """Let a batch be learned again."""
    from sleepcycle.cli.batch_tables import show_moved
    from sleepcycle.server.command_json import requeued_json

    states = home_of(ctx).batches.requeue(batch)
    show_moved(requeued_json(batch, states), as_json=as_json)
