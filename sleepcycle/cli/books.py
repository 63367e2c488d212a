"""The commands on the books: batches, runs, and the database."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcycle.cli.app import Json, app, home_of

batches = typer.Typer(no_args_is_help=True, help="Look at what was fed.")
runs = typer.Typer(no_args_is_help=True, help="Look at wakes and nights.")
db = typer.Typer(no_args_is_help=True, help="Care for the database.")
app.add_typer(batches, name="batches")
app.add_typer(runs, name="runs")
app.add_typer(db, name="db")

Batch = Annotated[int, typer.Argument(help="The batch's number.")]
Run = Annotated[int, typer.Argument(help="The run's number.")]

REQUEUED = ("pending", "trained", "held_out")


@batches.command("list")
def list_batches(ctx: typer.Context, as_json: Json = False) -> None:
    """List all batches, oldest first."""
    from sleepcycle.cli.ledger import show_batches

    show_batches(home_of(ctx).books.batches(), as_json=as_json)


@batches.command("show")
def show_batch(ctx: typer.Context, batch: Batch, as_json: Json = False) -> None:
    """Show where the examples of a batch are now."""
    from sleepcycle.cli.ledger import show_batch as show

    show(*home_of(ctx).books.batch(batch), as_json=as_json)


@batches.command()
def quarantine(
    ctx: typer.Context,
    batch: Annotated[int | None, typer.Argument(help="All, if none.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the rows to this file, to be mended.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the rows that could not become examples, and why."""
    from sleepcycle.cli.ledger import show_bad_rows
    from sleepcycle.cli.render import counted

    books = home_of(ctx).books
    if export is not None:
        written = books.export_bad(batch, export)
        print(f"wrote {counted(written, 'row')} to {export}; mend and feed that file")
        return
    show_bad_rows(books.bad_rows(batch), as_json=as_json)


@batches.command()
def exclude(ctx: typer.Context, batch: Batch, as_json: Json = False) -> None:
    """Never learn or replay a batch again; versions that learned it stay."""
    from sleepcycle.cli.ledger import show_moved

    moved = home_of(ctx).books.exclude(batch)
    show_moved(batch, {"excluded": moved}, as_json=as_json)


@batches.command()
def requeue(ctx: typer.Context, batch: Batch, as_json: Json = False) -> None:
    """Let a batch be learned again."""
    from sleepcycle.cli.ledger import show_moved

    states = home_of(ctx).books.requeue(batch)
    now = {str(state): count for state, count in states.items()}
    show_moved(batch, {state: now[state] for state in REQUEUED}, as_json=as_json)


@runs.command("list")
def list_runs(ctx: typer.Context, as_json: Json = False) -> None:
    """List the last 100 wakes and nights, newest first."""
    from sleepcycle.cli.ledger import show_runs

    show_runs(home_of(ctx).books.runs(), as_json=as_json)


@runs.command("show")
def show_run(
    ctx: typer.Context,
    run: Run,
    dreams: Annotated[bool, typer.Option("--dreams", help="What was dreamt.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a run reported, or what a night dreamt."""
    from sleepcycle.cli.ledger import show_dreams
    from sleepcycle.cli.ledger import show_run as show

    books = home_of(ctx).books
    if dreams:
        return show_dreams(books.dreams(run), as_json=as_json)
    show(books.run(run), books.phase(run), as_json=as_json)


@runs.command()
def logs(
    ctx: typer.Context,
    run: Run,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends.")
    ] = False,
) -> None:
    """Print how far a run came, and what its worker printed."""
    from sleepcycle.cli.runlog import show_log

    show_log(home_of(ctx).books, run, follow=follow)


@runs.command()
def cancel(ctx: typer.Context, run: Run, as_json: Json = False) -> None:
    """Stop a run that is on, or give up one that is paused; nothing is lost."""
    from sleepcycle.cli.render import show_json
    from sleepcycle.cli.service_link import cancel as stop

    released = stop(ctx, run)
    if as_json:
        return show_json({"run": run, "released": released})
    if released is None:
        print(f"run {run} was asked to stop; see: sleepcycle runs show {run}")
    else:
        print(f"run {run} is cancelled: {released} examples are pending again")


@db.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring the database to this version's schema; a backup is made first."""
    from sleepcycle.home.opening import upgrade_home

    done = upgrade_home(ctx.obj)
    if done.backup is None:
        print(f"the schema is {done.after} already; nothing was changed")
    else:
        print(f"schema {done.before} is now {done.after}; backup: {done.backup}")
