"""The command on the database: bring it up to this version's schema."""

import typer

from sleepcycle.cli.app import app

db = typer.Typer(no_args_is_help=True, help="Care for the database.")
app.add_typer(db, name="db")


@db.command()
def upgrade(ctx: typer.Context) -> None:
    """Bring the database to this version's schema; a backup is made first."""
    from sleepcycle.home.opening import upgrade_home

    done = upgrade_home(ctx.obj)
    if done.backup is None:
        print(f"the schema is {done.after} already; nothing was changed")
    else:
        print(f"schema {done.before} is now {done.after}; backup: {done.backup}")
