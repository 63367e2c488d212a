"""The commands that look for what is wrong: doctor and bug report."""

from pathlib import Path
from typing import Annotated

import typer

from sleepcycle.cli.app import Json, app
from sleepcycle.cli.service_link import answers
from sleepcycle.files.paths import HomePaths


@app.command()
def doctor(ctx: typer.Context, as_json: Json = False) -> None:
    """Look for whatever is wrong, and change nothing; exit 1 if something fails."""
    from sleepcycle.cli.render import one_line, show_json
    from sleepcycle.doctor.doctor import examine, is_healthy
    from sleepcycle.server.command_json import doctor_json

    found = examine(ctx.obj, answers=lambda: answers(HomePaths(ctx.obj)))
    healthy = is_healthy(found)
    if as_json:
        show_json(doctor_json(found, healthy=healthy))
    else:
        for name, one in found.items():
            print(one_line(f"{one.level.upper():<5} {name}: {one.message}"))
            if one.fix:
                print(one_line(f"      {one.fix}"))
    if not healthy:
        raise typer.Exit(1)


@app.command()
def bugreport(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="A new .tar.gz (default: here, by the time).")
    ] = None,
) -> None:
    """Gather what others need to find a fault; no example, dream or token is in it."""
    from sleepcycle.doctor.bugreport import default_name, write_report

    target = file or Path(default_name())
    paths = HomePaths(ctx.obj)
    parts = write_report(ctx.obj, target, answers=lambda: answers(paths))
    print(f"wrote {target} ({', '.join(parts)})")
    print("names, paths and texts are taken out; look into it before you send it")
