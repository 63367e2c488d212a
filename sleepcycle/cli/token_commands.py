"""The commands of tokens: let other programs reach the service, and end that."""

from typing import Annotated

import typer

from sleepcycle.cli.app import Json, app, home_of

token = typer.Typer(
    no_args_is_help=True,
    help="Let other programs reach the service, by tokens.",
)
app.add_typer(token, name="token")


@token.command()
def new(
    ctx: typer.Context,
    scope: Annotated[
        str,
        typer.Option(help="Any of feed, talk, read and admin, divided by commas."),
    ],
    name: Annotated[str, typer.Option(help="What it is for, to know it by.")] = "",
    as_json: Json = False,
) -> None:
    """Make a token and print it alone; it is shown only now."""
    from sleepcycle.cli.render import show_json
    from sleepcycle.home.scoped_tokens import new_token, scopes_of
    from sleepcycle.server.command_json import token_json

    made, kept = new_token(home_of(ctx).paths, scopes_of(scope), name)
    if as_json:
        return show_json({"token": made, **token_json(kept)})
    print(made)


@token.command("list")
def list_all(ctx: typer.Context, as_json: Json = False) -> None:
    """List the tokens by id, name, scopes and time, and never the token."""
    from sleepcycle.cli.render import show_json, show_table
    from sleepcycle.home.scoped_tokens import list_tokens
    from sleepcycle.server.command_json import token_json

    kept = list_tokens(home_of(ctx).paths)
    if as_json:
        return show_json([token_json(each) for each in kept])
    show_table(
        ("id", "name", "scopes", "made"),
        [
            (each.id, each.name or None, ", ".join(each.scopes), each.made_at)
            for each in kept
        ],
    )


@token.command()
def revoke(
    ctx: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: Json = False,
) -> None:
    """Let a token open nothing any more, in a service that runs from now on."""
    from sleepcycle.cli.render import one_line, show_json
    from sleepcycle.home.scoped_tokens import revoke_token
    from sleepcycle.server.command_json import token_json

    kept = revoke_token(home_of(ctx).paths, id)
    if as_json:
        return show_json(token_json(kept))
    named = f" ({one_line(kept.name)})" if kept.name else ""
    print(f"revoked {kept.id}{named}")
