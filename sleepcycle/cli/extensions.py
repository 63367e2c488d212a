"""Commands that other packages bring, by entry point."""

import sys
from importlib.metadata import EntryPoint, entry_points

import typer

from sleepcycle.cli.app import app
from sleepcycle.errors import ExtensionError

GROUP = "sleepcycle.commands"
STUDY = "study"
ANY_WORDS = {"allow_extra_args": True, "ignore_unknown_options": True}


def add_extensions() -> None:
    """Add each command group that an installed package brings.

    One that cannot be loaded is left out and told of; all other commands work.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    for name, point in sorted(found.items()):
        _add(name, point)
    if STUDY not in found:
        app.command(STUDY, hidden=True, context_settings=ANY_WORDS)(refuse_study)


def refuse_study() -> None:
    """Refuse the command of a package that is not installed.

    Raises:
        ExtensionError: Always.
    """
    raise ExtensionError(
        "expected the package sleepcycle-study, which brings this command, got none; "
        "install it: pip install sleepcycle-study"
    )


def _add(name: str, point: EntryPoint) -> None:
    """Add one command group."""
    try:
        group = point.load()
    except (ImportError, AttributeError) as error:
        print(f"sleepcycle: {name} cannot be loaded: {error}", file=sys.stderr)
        return
    if not isinstance(group, typer.Typer):
        print(f"sleepcycle: {name} is no group of commands", file=sys.stderr)
        return
    app.add_typer(group, name=name)
