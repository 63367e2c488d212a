"""The commands on versions: list, show, diff, verify, promote, export, import."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcycle.cli.app import Json, app, home_of
from sleepcycle.home.export_formats import ExportFormat

versions = typer.Typer(no_args_is_help=True, help="Look at versions, and move them.")
app.add_typer(versions, name="versions")

Name = Annotated[str, typer.Argument(help="Version or alias, such as v3 or live.")]


@versions.command("list")
def list_versions(ctx: typer.Context, as_json: Json = False) -> None:
    """List all versions, oldest first."""
    from sleepcycle.cli.render import show_json, show_table
    from sleepcycle.server.command_json import names_of, version_json

    listing = home_of(ctx).versions.listing()
    if as_json:
        return show_json([version_json(listed) for listed in listing])
    show_table(
        [
            "version",
            "kind",
            "parents",
            "rank",
            "accepted",
            "tainted",
            "aliases",
            "created",
            "files",
        ],
        [
            [
                listed.version.name,
                listed.version.kind,
                " ".join(names_of(listed.version.parents)),
                listed.version.rank,
                "yes" if listed.version.accepted else "no",
                "yes" if listed.tainted else "no",
                " ".join(listed.aliases),
                listed.version.created_at,
                "gone" if listed.removed_at else "there",
            ]
            for listed in listing
        ],
    )


@versions.command()
def show(ctx: typer.Context, version: Name, as_json: Json = False) -> None:
    """Show a version's card: where it comes from, and why it was accepted."""
    from sleepcycle.cli.version_tables import show_card
    from sleepcycle.server.command_json import card_json

    show_card(card_json(home_of(ctx).versions, version), as_json=as_json)


@versions.command()
def diff(ctx: typer.Context, first: Name, second: Name, as_json: Json = False) -> None:
    """Compare what two versions change, layer by layer, and their held-out loss."""
    from sleepcycle.cli.version_tables import show_difference

    comparison = home_of(ctx).versions.diff(first, second)
    show_difference(comparison, as_json=as_json)


@versions.command()
def verify(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(help="All and the journal, if none.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every byte of versions, and every entry of the journal; exit 1 on a fault.

    A version is held against its manifest, an entry against the one before it.
    """
    from sleepcycle.cli.render import counted, one_line, show_json
    from sleepcycle.server.command_json import verified_json

    found = verified_json(home_of(ctx).versions, names or [])
    failed = found["failed"]
    if as_json:
        show_json(found)
    else:
        for fault in failed:
            print(one_line(f"{fault['version']}: {fault['fault']}"))
        checked = counted(found["checked"], "version") + " and the journal" * (
            not names
        )
        print(f"{checked} checked, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


@versions.command()
def promote(ctx: typer.Context, version: Name, as_json: Json = False) -> None:
    """Make a version live."""
    from sleepcycle.cli.day_output import show_switch
    from sleepcycle.cli.service_link import promote as switch_to

    show_switch(switch_to(ctx, version), as_json=as_json)


@versions.command()
def alias(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="A name of your own.")],
    version: Annotated[
        str | None, typer.Argument(help="Version or alias, such as v3 or live.")
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Forget the name.")] = False,
    as_json: Json = False,
) -> None:
    """Let a name of your own point at a version, or forget it."""
    from sleepcycle.cli.render import show_json

    if drop == (version is not None):
        raise typer.BadParameter("expected a version, or --drop and none")
    registry = home_of(ctx).versions
    if version is None:
        registry.drop_alias(name)
        if as_json:
            return show_json({"alias": name, "version": None})
        return print(f"{name} is forgotten")
    found = registry.alias(name, version)
    if as_json:
        return show_json({"alias": name, "version": found.name})
    print(f"{name} is {found.name}")


@versions.command()
def export(
    ctx: typer.Context,
    version: Name,
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    form: Annotated[
        ExportFormat,
        typer.Option(
            "--format",
            help="The adapter for PEFT or llama.cpp, the whole model, or for Ollama.",
        ),
    ] = ExportFormat.PEFT,
) -> None:
    """Write a version for use elsewhere."""
    home_of(ctx).versions.export(version, folder, form)
    print(f"wrote {version} to {folder}")


@versions.command("import")
def import_version(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A PEFT LoRA in safetensors.")],
    force: Annotated[
        bool,
        typer.Option("--force", help="Take one that was made for another base, too."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Take in a LoRA adapter made elsewhere; promote it to make it live."""
    from sleepcycle.cli.render import show_json
    from sleepcycle.cli.service_link import import_adapter

    version, made_for = import_adapter(ctx, folder, force=force)
    if as_json:
        return show_json(
            {
                "version": version.name,
                "rank": version.rank,
                "made_for": made_for.base,
                "warning": made_for.warning,
            }
        )
    print(
        f"{version.name} is {folder}; make it live: sleepcycle versions promote "
        f"{version.name}"
    )
    if made_for.warning:
        print(f"note: {made_for.warning}")
