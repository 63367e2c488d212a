"""The command that keeps a home: the service, in the foreground."""

import os
import sys

import typer

from sleepcycle.cli.app import app


@app.command()
def run(ctx: typer.Context) -> None:
    """Keep the home: learn and sleep when it is time, until Ctrl-C or SIGTERM."""
    from sleepcycle.daemon.main import serve
    from sleepcycle.server.server import start

    code = serve(ctx.obj, start, _announce)
    sys.stdout.flush()
    os._exit(code)  # no thread writes another byte, or keeps the process waiting


def _announce(line: str) -> None:
    """Print a line at once, for whoever reads a pipe."""
    print(line)
    sys.stdout.flush()
