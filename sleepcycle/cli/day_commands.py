"""The commands of a day: init, feed, wake, sleep, pause, status, ask, chat, demo."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcycle.cli.app import Json, app, home_of
from sleepcycle.errors import ConfigError
from sleepcycle.feed.shapes import Format
from sleepcycle.files.paths import HomePaths
from sleepcycle.settings.choices import Tool


@app.command()
def init(
    ctx: typer.Context,
    base: Annotated[
        str | None,
        typer.Option(
            help="Base model: builtin:nano, builtin:smollm2, a path to a folder or "
            "a .gguf file, ollama:NAME, or a hub id."
        ),
    ] = None,
) -> None:
    """Make a home; an existing one stays as it is."""
    from sleepcycle.cli.day_output import show_memory
    from sleepcycle.home.opening import create_home
    from sleepcycle.settings.configfile import load_settings

    if create_home(ctx.obj, base=base):
        print(f"made a home at {ctx.obj}; its settings are in config.toml")
        show_memory(load_settings(HomePaths(ctx.obj).config))
    else:
        print(f"{ctx.obj} is a home already; nothing was changed")


@app.command()
def demo(
    base: Annotated[
        str,
        typer.Option(help="Base model; any other than builtin:nano is taught facts."),
    ] = "builtin:nano",
    keep: Annotated[
        Path | None,
        typer.Option(help="Use this new directory as the home, and leave it there."),
    ] = None,
) -> None:
    """Watch a small model without sleep beside with sleep, or teach a real one."""
    from sleepcycle.files.quick_import import without_collections

    with without_collections():
        from sleepcycle.cli import demo, demo_facts

    if base == "builtin:nano":
        demo.run(keep)
    else:
        demo_facts.run(base, keep)


@app.command()
def feed(  # noqa: PLR0913 - one for each option
    ctx: typer.Context,
    files: Annotated[
        list[str],
        typer.Argument(
            help="Files (also compressed), folders of datasets, or - for stdin."
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(help="Name of where it comes from (default: the file)."),
    ] = None,
    shape: Annotated[
        Format | None,
        typer.Option("--format", help="Shape of every row (default: detected)."),
    ] = None,
    key_map: Annotated[
        str,
        typer.Option("--map", help="Own keys, as prompt=question,completion=answer."),
    ] = "",
    ignored: Annotated[
        list[str] | None,
        typer.Option("--ignore", help="Key that is as if it were not there; again."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Store nothing; show how rows will be learned."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Take in examples from files of JSON, CSV, TSV, YAML, text, Parquet or Arrow."""
    from sleepcycle.cli.feed_output import show_feed
    from sleepcycle.cli.progress_bar import row_counter
    from sleepcycle.feed.ingest import FeedOptions
    from sleepcycle.feed.keys import parse_map
    from sleepcycle.feed.shapes import RowOptions
    from sleepcycle.records.example import DryRunReport

    try:
        renamed = parse_map(key_map)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from error
    with row_counter(visible=not as_json) as on_rows:
        rows = RowOptions(shape, renamed, frozenset(ignored or ()))
        options = FeedOptions(source, rows, dry_run, on_rows)
        home = home_of(ctx)
        report = home.feed(*files, options=options)
    samples = report.samples if isinstance(report, DryRunReport) else ()
    shown = home.show_examples(samples) if samples else ()
    show_feed(report, shown, as_json=as_json)


@app.command()
def wake(ctx: typer.Context, as_json: Json = False) -> None:
    """Learn what is pending now."""
    from sleepcycle.cli.day_output import show_wake
    from sleepcycle.cli.progress_bar import progress_bar
    from sleepcycle.cli.service_link import run_now
    from sleepcycle.records.run_order import RunKind

    with progress_bar(visible=not as_json) as on_progress:
        outcome = run_now(ctx, RunKind.WAKE, on_progress)
    show_wake(outcome, as_json=as_json)


@app.command()
def sleep(ctx: typer.Context, as_json: Json = False) -> None:
    """Run one night now: consolidate, ask the gate, publish."""
    from sleepcycle.cli.day_output import show_sleep
    from sleepcycle.cli.progress_bar import progress_bar
    from sleepcycle.cli.service_link import run_now
    from sleepcycle.records.run_order import RunKind

    with progress_bar(visible=not as_json) as on_progress:
        outcome = run_now(ctx, RunKind.SLEEP, on_progress)
    show_sleep(outcome, as_json=as_json)


@app.command()
def pause(ctx: typer.Context) -> None:
    """Let no wake and no night begin by itself; what you ask for still runs."""
    from sleepcycle.cli.service_link import pause as switch

    there = switch(ctx, flag=True)
    more = "" if there else "; no service is running, and one that starts stays so"
    print(f"paused until: sleepcycle resume{more}")


@app.command()
def resume(ctx: typer.Context) -> None:
    """Let wakes and nights begin by themselves again."""
    from sleepcycle.cli.service_link import pause as switch

    there = switch(ctx, flag=False)
    print("resumed" if there else "resumed; no service is running")


@app.command()
def status(
    ctx: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every 2 seconds, until Ctrl-C.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show where the home stands."""
    from sleepcycle.cli.service_link import status_of_home
    from sleepcycle.cli.status_screen import show_status, watch_status

    if watch and as_json:
        raise typer.BadParameter("expected --watch or --json, got both")
    if watch:
        return watch_status(lambda: status_of_home(ctx.obj))
    show_status(status_of_home(ctx.obj), as_json=as_json)


@app.command()
def ask(
    ctx: typer.Context,
    prompt: str,
    version: Annotated[str, typer.Option(help="Version or alias.")] = "live",
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 64,
    tool: Annotated[
        Tool, typer.Option(help="What answers the calls that the version writes.")
    ] = Tool.NONE,
    as_json: Json = False,
) -> None:
    """Ask the live version, or another one, a question."""
    from sleepcycle.cli import service_link
    from sleepcycle.cli.day_output import show_answer

    prompt.encode()  # or raises: it came in bytes that are no UTF-8
    if tool is Tool.NONE:
        answer = service_link.ask(
            ctx, prompt, version=version, max_new_tokens=max_new_tokens
        )
    else:  # the service has none
        answer = home_of(ctx).ask(
            prompt, version=version, max_new_tokens=max_new_tokens, tool=tool
        )
    show_answer(answer, as_json=as_json)


@app.command()
def chat(
    ctx: typer.Context,
    version: Annotated[str, typer.Option(help="Version or alias.")] = "live",
    max_new_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Longest answer (default: as far as there is room)."),
    ] = None,
    temperature: Annotated[
        float, typer.Option(min=0, max=2, help="0 answers what is likeliest.")
    ] = 0.0,
) -> None:
    """Talk to a version through the running service; /help lists what can be typed."""
    from sleepcycle.cli.service_link import expect_service
    from sleepcycle.cli.terminal_chat import TerminalChat

    options: dict[str, object] = {"temperature": temperature}
    if max_new_tokens is not None:
        options["max_tokens"] = max_new_tokens
    TerminalChat(lambda: expect_service(ctx), version, options).talk()


@app.command()
def rollback(
    ctx: typer.Context,
    version: Annotated[
        str, typer.Argument(help="Version or alias to go back to.")
    ] = "previous",
    requeue: Annotated[
        bool,
        typer.Option(
            "--requeue", help="Let what that version never learned be learned again."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make an older version live again; nothing is deleted."""
    from sleepcycle.cli.day_output import show_switch
    from sleepcycle.cli.service_link import roll_back

    switch = roll_back(ctx, version, requeue=requeue)
    show_switch(switch, as_json=as_json)
