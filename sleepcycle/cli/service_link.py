"""The way to the running service: commands go through it where there is one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sleepcycle.cli.app import home_of
from sleepcycle.files.paths import HomePaths
from sleepcycle.records.progress import OnProgress
from sleepcycle.records.run_order import RunKind
from sleepcycle.records.version import MadeFor, Version

if TYPE_CHECKING:
    from sleepcycle.home.home import Answer
    from sleepcycle.home.versions import Switch
    from sleepcycle.runs.context import Outcome
    from sleepcycle.server.client import LocalClient

CHAT = "/v1/chat/completions"


def service_of(ctx: typer.Context) -> "LocalClient | None":
    """Return the service of the home that the command line names, if one runs.

    Raises:
        ServiceError: It runs, but does not answer.
    """
    paths = HomePaths(ctx.obj)
    if not paths.daemon.exists():
        return None
    from sleepcycle.server.client import reach

    return reach(paths)


def expect_service(ctx: typer.Context) -> "LocalClient":
    """Return the service of the home that the command line names.

    Raises:
        ServiceError: None runs, or it does not answer.
    """
    service = service_of(ctx)
    if service is None:
        from sleepcycle.errors import ServiceError

        raise ServiceError(
            f"expected a running service of {ctx.obj}, got none; start it: "
            "sleepcycle run"
        )
    return service


def run_now(ctx: typer.Context, kind: RunKind, on_progress: OnProgress) -> "Outcome":
    """Run a wake or a night now."""
    service = service_of(ctx)
    if service is None:
        home = home_of(ctx)
        return (home.wake if kind is RunKind.WAKE else home.sleep)(on_progress)
    return (service.wake if kind is RunKind.WAKE else service.sleep)(on_progress)


def ask(
    ctx: typer.Context, prompt: str, *, version: str, max_new_tokens: int
) -> "Answer":
    """Let a version answer a prompt, greedily."""
    service = service_of(ctx)
    if service is None:
        home = home_of(ctx)
        return home.ask(prompt, version=version, max_new_tokens=max_new_tokens)
    return service.ask(prompt, version=version, max_new_tokens=max_new_tokens)


def roll_back(ctx: typer.Context, version: str, *, requeue: bool) -> "Switch":
    """Make an older version live again."""
    service = service_of(ctx)
    if service is None:
        return home_of(ctx).rollback(version, requeue=requeue)
    return service.rollback(version, requeue=requeue)


def promote(ctx: typer.Context, version: str) -> "Switch":
    """Make a version live."""
    service = service_of(ctx)
    if service is None:
        return home_of(ctx).promote(version)
    return service.promote(version)


def import_adapter(
    ctx: typer.Context, folder: Path, *, force: bool
) -> tuple[Version, MadeFor]:
    """Take in an adapter made elsewhere; return also which base it was made for."""
    service = service_of(ctx)
    if service is None:
        from loguru import logger

        home = home_of(ctx)
        version = home.import_adapter(folder, force=force)
        logger.info(
            "imported {folder} as {version}", folder=str(folder), version=version.name
        )
        return version, home.versions.made_for(version)
    return service.import_adapter(folder.absolute(), force=force)


def cancel(ctx: typer.Context, run: int) -> int | None:
    """Stop a run, or undo a paused one.

    Returns:
        How many examples are pending again; None where a run that is on was asked to
        stop, and will.
    """
    service = service_of(ctx)
    if service is None:
        return home_of(ctx).cancel(run)
    return service.cancel(run)


def pause(ctx: typer.Context, *, flag: bool) -> bool:
    """Let nothing begin by itself, or let it again; return whether a service runs."""
    service = service_of(ctx)
    if service is None:
        from sleepcycle.daemon.nightlog import NightLog

        home = home_of(ctx)
        NightLog(home.store).pause(flag, home.actor)
        return False
    (service.pause if flag else service.resume)()
    return True


def status_of_home(root: Path) -> dict[str, Any]:
    """Return what `status` shows of a home, asked of its service where one runs."""
    from sleepcycle.errors import ServiceError
    from sleepcycle.files.inbox_files import not_fed
    from sleepcycle.server.status import status_of
    from sleepcycle.store.snapshot import read_snapshot

    paths, banner = HomePaths(root), None
    if paths.daemon.exists():
        from sleepcycle.server.client import reach

        try:
            service = reach(paths)
            if service is not None:
                return service.status()
        except ServiceError as error:
            banner = str(error)
    fields = status_of(read_snapshot(paths), not_fed(paths.inbox))
    return {**fields, "banner": banner}


def answers(paths: HomePaths) -> bool:
    """Return whether the service of a home answers."""
    from sleepcycle.errors import ServiceError
    from sleepcycle.server.client import reach

    try:
        return reach(paths) is not None
    except ServiceError:
        return False
