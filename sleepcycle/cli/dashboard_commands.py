"""The command that opens the dashboard of a running service."""

import os
import sys
import webbrowser
from typing import Annotated

import typer

from sleepcycle.cli.app import Json, app
from sleepcycle.cli.service_link import expect_service

SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")
"""One of them is set on Linux where a browser can show itself."""


@app.command("open")
def open_dashboard(
    ctx: typer.Context,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the link, and open no browser.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Open the dashboard in a browser, signed in by a link that works once."""
    from sleepcycle.cli.render import show_json

    made = expect_service(ctx).sign_in_link()
    if as_json:
        return show_json(made)
    print(made["url"])
    if not only_print and has_screen() and webbrowser.open(made["url"]):
        return
    print("it signs one browser in, within ten minutes", file=sys.stderr)


def has_screen() -> bool:
    """Return whether a browser started here would be seen."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in SCREENS)
