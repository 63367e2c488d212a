"""The commands of the service: run it, install, remove and look at its unit."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sleepcycle.cli.app import Json, app
from sleepcycle.cli.service_link import answers
from sleepcycle.files.paths import HomePaths

if TYPE_CHECKING:
    from sleepcycle.daemon.systemd_unit import Installed, SystemdUnit

service = typer.Typer(no_args_is_help=True, help="Let systemd keep the service up.")
app.add_typer(service, name="service")

System = Annotated[
    bool, typer.Option("--system", help="A unit of the machine, not of the user.")
]
Root = Annotated[
    Path | None,
    typer.Option(help="A directory that stands for /; systemd is left alone."),
]


@app.command()
def run(ctx: typer.Context) -> None:
    """Keep the home: learn and sleep when it is time, until Ctrl-C or SIGTERM."""
    from sleepcycle.daemon.main import serve
    from sleepcycle.dashboard.pages import start

    code = serve(ctx.obj, start, _announce)
    sys.stdout.flush()
    os._exit(code)  # no thread writes another byte, or keeps the process waiting


def _announce(line: str) -> None:
    """Print a line at once, for whoever reads a pipe."""
    print(line)
    sys.stdout.flush()


@service.command()
def install(
    ctx: typer.Context,
    system: System = False,
    now: Annotated[bool, typer.Option(help="Start it now, too.")] = True,
    root: Root = None,
) -> None:
    """Write the service's systemd unit, and let it start by itself from now on."""
    units = _units(ctx, system, root)
    done = units.install(now=now)
    verb = "wrote" if done.changed else "unchanged:"
    _show(f"{verb} {done.unit}", done)
    if not done.left and root is None:
        print("it runs; look at it: sleepcycle service status" if now else "enabled")
    if not units.lingers():
        print(
            "it runs while you are logged in; to have it run from boot on: "
            "loginctl enable-linger"
        )


@service.command()
def uninstall(ctx: typer.Context, system: System = False, root: Root = None) -> None:
    """Stop the service and remove its unit; the home stays as it is."""
    units = _units(ctx, system, root)
    done = units.uninstall()
    verb = "removed" if done.changed else "there is no"
    _show(f"{verb} {done.unit}; {ctx.obj} stays as it is", done)


@service.command()
def status(ctx: typer.Context, system: System = False, as_json: Json = False) -> None:
    """Show whether there is a unit, what systemd reports of it, and whether it runs."""
    from sleepcycle.cli.render import show_facts, show_json
    from sleepcycle.home.address import find_service

    paths = HomePaths(ctx.obj)
    unit = _units(ctx, system, None).status()
    running = find_service(paths)
    facts = {
        **asdict(unit),
        "home": str(paths.root),
        "pid": None if running is None else running.pid,
        "answers": running is not None and answers(paths),
    }
    if as_json:
        return show_json(facts)
    show_facts(facts)


def _units(ctx: typer.Context, system: bool, root: Path | None) -> "SystemdUnit":
    """Return the unit that the command line means."""
    from sleepcycle.daemon.systemd_unit import SystemdUnit

    return SystemdUnit(HomePaths(ctx.obj), system, root.absolute() if root else None)


def _show(headline: str, done: "Installed") -> None:
    """Print what was done, and what is left to do by hand."""
    print(headline)
    if done.left:
        print(f"systemd did not take note: {done.trouble}")
        print("when it runs:")
        for command in done.left:
            print(f"  {command}")
