"""The command line's root: global options, and the home they name.

Nothing heavy is imported here or at the top of the command modules, so that
`--help` and `status` answer at once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from sleepcycle.records.plain_text import one_line

if TYPE_CHECKING:
    from sleepcycle.home.home import Home

WrongUsage: Any = typer.BadParameter.__base__  # of every release of typer


class SafeGroup(TyperGroup):
    """The root of all commands: no word of a command line that is wrong steers."""

    def make_context(self, *words: Any, **more: Any) -> Any:  # noqa: ANN401 - as typer
        """Read the words up to the command."""
        with _safe_usage():
            return super().make_context(*words, **more)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as typer
        """Run the command."""
        with _safe_usage():
            return super().invoke(ctx)


@contextmanager
def _safe_usage() -> Iterator[None]:
    """Make what is said of wrong usage in a block one line that is safe to print."""
    try:
        yield
    except WrongUsage as error:
        error.message = one_line(error.message)
        raise


app = typer.Typer(
    name="sleepcycle",
    cls=SafeGroup,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def show_version(asked: bool) -> None:
    """Print the version of the package and end, if that was asked for."""
    if asked:
        from sleepcycle import __version__

        print(f"sleepcycle {__version__}")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            envvar="SLEEPCYCLE_HOME",
            help="The state directory (default: ~/.local/share/sleepcycle).",
            show_default=False,
        ),
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=show_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """Let a language model keep learning on your machine, without forgetting."""
    ctx.obj = (home or default_home()).expanduser().absolute()


def default_home() -> Path:
    """Return where the home is when nobody says."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "sleepcycle"


def home_of(ctx: typer.Context) -> "Home":
    """Open the home that the command line names."""
    return open_logged(ctx.obj)


def open_logged(root: Path) -> "Home":
    """Open a home, and let records go where its settings say."""
    from sleepcycle import log
    from sleepcycle.home.opening import open_home

    home = open_home(root)
    log.set_up(home.paths.log, **home.settings.log.model_dump())
    return home
