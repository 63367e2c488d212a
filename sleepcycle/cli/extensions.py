"""Commands that other packages bring, by entry point."""

import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import typer

from sleepcycle.errors import ExtensionError
from sleepcycle.records.plain_text import one_line

GROUP = "sleepcycle.commands"
STUDY = "study"
ANY_WORDS = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}


def installed() -> Iterable[EntryPoint]:
    """Return where installed packages keep groups of commands."""
    return entry_points(group=GROUP)


def add_extensions(app: typer.Typer, points: Iterable[EntryPoint]) -> None:
    """Add each group of commands that an installed package brings.

    One that cannot be loaded is left out, with a line on standard error; all other
    commands work. The study's, where it is not installed, is a command that refuses.
    """
    found = {point.name: point for point in points}
    for name, point in sorted(found.items()):
        _add(app, name, point)
    if STUDY not in found:
        app.command(STUDY, hidden=True, context_settings=ANY_WORDS)(refuse_study)


def refuse_study() -> None:
    """Compare ways to learn; comes with the package sleepcycle-study.

    Raises:
        ExtensionError: Always, since that package is not installed.
    """
    raise ExtensionError(
        "expected the package sleepcycle-study, which brings this command, got none; "
        "install it from the repository of sleepcycle: pip install ./study"
    )


def _add(app: typer.Typer, name: str, point: EntryPoint) -> None:
    """Add one group of commands."""
    try:
        group = point.load()
    except (ImportError, AttributeError) as error:
        said = one_line(f"sleepcycle: {name} cannot be loaded: {error}")
        print(said, file=sys.stderr)
        return
    if not isinstance(group, typer.Typer):
        print(f"sleepcycle: {name} is no group of commands", file=sys.stderr)
        return
    app.add_typer(group, name=name)
