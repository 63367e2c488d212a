"""The commands on runs: list, show, read along, cancel."""

from typing import Annotated

import typer

from sleepcycle.cli.app import Json, app, home_of

runs = typer.Typer(no_args_is_help=True, help="Look at wakes and nights.")
app.add_typer(runs, name="runs")

Run = Annotated[int, typer.Argument(help="The run's number.")]


@runs.command("list")
def list_runs(ctx: typer.Context, as_json: Json = False) -> None:
    """List the last 100 wakes and nights, newest first."""
    from sleepcycle.cli.batch_tables import show_runs

    show_runs(home_of(ctx).runs.listing(), as_json=as_json)


@runs.command("show")
def show_run(
    ctx: typer.Context,
    run: Run,
    dreams: Annotated[bool, typer.Option("--dreams", help="What was dreamt.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a run reported, or what a night dreamt."""
    from sleepcycle.cli.batch_tables import show_dreams
    from sleepcycle.cli.batch_tables import show_run as show

    history = home_of(ctx).runs
    if dreams:
        return show_dreams(history.dreams(run), as_json=as_json)
    show(history.get(run), history.phase(run), as_json=as_json)


@runs.command()
def logs(
    ctx: typer.Context,
    run: Run,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends.")
    ] = False,
) -> None:
    """Print how far a run came, and what its worker printed."""
    from sleepcycle.cli.run_log import show_log

    show_log(home_of(ctx).runs, run, follow=follow)


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
