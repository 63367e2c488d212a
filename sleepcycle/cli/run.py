"""The command that keeps a home: the service, in the foreground."""

import os
import sys

import typer

from sleepcycle.cli.app import app


@app.command()
def run(ctx: typer.Context) -> None:
    """Keep the home: learn and sleep when it is time, until Ctrl-C or SIGTERM."""
    from sleepcycle.daemon.service import DISK_FAILED, serve
    from sleepcycle.serve.server import start

    code = serve(ctx.obj, start, _announce)
    if code == DISK_FAILED:
        os._exit(code)  # no thread writes another byte to a disk that failed
    raise typer.Exit(code)


def _announce(line: str) -> None:
    """Print a line at once, for whoever reads a pipe."""
    print(line)
    sys.stdout.flush()
