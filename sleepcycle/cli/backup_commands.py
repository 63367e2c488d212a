"""The commands that keep a home: back up, restore, clear what nothing needs."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcycle.cli.app import Json, app, home_of
from sleepcycle.cli.version_commands import versions


@app.command()
def backup(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="A new file, compressed if it ends in .gz, or a folder; none for the "
            "home's own backups."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the home's database, versions and settings into one file."""
    from loguru import logger

    from sleepcycle.backup.backup import back_up
    from sleepcycle.cli.render import counted, show_json

    home = home_of(ctx)
    done = back_up(home.paths, home.settings.store, file, actor=home.actor)
    logger.info(
        "backed up to {file}, sha256 {sha256}", file=str(done.file), sha256=done.sha256
    )
    if as_json:
        return show_json(done)
    print(
        f"wrote {counted(done.versions, 'version')} and "
        f"{counted(done.examples, 'example')} to {done.file} "
        f"({done.size_bytes:,} bytes, sha256 {done.sha256})"
    )
    for name in done.left_out:
        print(f"left out {name}: its files are not what was sealed")


@app.command()
def restore(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A backup.")],
    at: Annotated[
        Path | None, typer.Option("--at", help="Where to; --home if not given.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Set aside the home that is there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a home of a backup, all of which is checked first."""
    from sleepcycle.backup.restore import restore as put_back
    from sleepcycle.cli.render import counted, show_json
    from sleepcycle.home.opening import actor

    root = at.expanduser() if at else ctx.obj
    done = put_back(file, root, in_place=replace, actor=actor())
    if as_json:
        return show_json(done)
    print(
        f"{done.home} is as it was when {done.file} was made: {done.live} is live, "
        f"with {counted(done.versions, 'version')} and "
        f"{counted(done.examples, 'example')}"
    )
    for run in done.undone:
        print(f"run {run}, which was open then, is undone; its examples are pending")
    if done.replaced:
        print(f"what was there before is in {done.replaced}")


@versions.command()
def gc(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
    keep: Annotated[
        int, typer.Option(min=0, help="Accepted nights behind live to keep.")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Remove the files of versions that nothing needs; what they were stays known."""
    from loguru import logger

    from sleepcycle.backup.gc import clear
    from sleepcycle.cli.render import counted, show_json, show_table

    done = clear(home_of(ctx).versions, keep=keep, dry_run=dry_run)
    if not dry_run:
        logger.info(
            "removed the files of {versions} versions and {runs} runs, {freed} bytes",
            versions=len(done.removed),
            runs=done.runs,
            freed=done.freed_bytes,
        )
    if as_json:
        return show_json(done)
    show_table(
        ["version", "files", "why"],
        [
            *([name, "kept", reason] for name, reason in done.kept.items()),
            *([name, "gone", "nothing needs them"] for name in done.removed),
        ],
    )
    word = "would free" if dry_run else "freed"
    print(
        f"{word} {done.freed_bytes:,} bytes: {counted(len(done.removed), 'version')}, "
        f"{counted(done.runs, 'old run folder')}"
    )
