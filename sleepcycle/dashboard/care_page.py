"""Care: how the home and its machine are, and what keeps them well."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Form, Request
from starlette.responses import Response

from sleepcycle.backup.backup import back_up, list_backups
from sleepcycle.dashboard.doctor_page import Examination
from sleepcycle.dashboard.journal_words import line_of
from sleepcycle.dashboard.readable import size
from sleepcycle.dashboard.site import Site
from sleepcycle.errors import BackupError, ConfigError
from sleepcycle.files import disk
from sleepcycle.home.disk_space import wanted_bytes
from sleepcycle.home.scoped_tokens import TokenScope, list_tokens
from sleepcycle.model.device_memory import host_memory
from sleepcycle.server.access import needs
from sleepcycle.server.request_parts import LARGEST, expect_path, whole

LAST = 5  # entries of the journal, and backups, that the page shows
SECTION = "care"

ShowPage = Callable[..., Response]
"""Returns the page for a request, with what was typed into its form."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much of something there is."""

    free_bytes: int
    wanted_bytes: int
    """By the next run, on top of all else."""

    @property
    def is_enough(self) -> bool:
        """Whether a run may begin."""
        return self.free_bytes >= self.wanted_bytes


def add_care_page(app: FastAPI, site: Site, last: Examination) -> None:
    """Add the first page of the section, and the forms on it."""
    page = partial(_page, site, last)
    _act(app, site, page)
    _backup(app, site, page)

    @app.get("/care", include_in_schema=False)
    @needs(TokenScope.READ)
    def care(request: Request) -> Response:
        """Show how the home and its machine are."""
        return page(request)


def _page(
    site: Site,
    last: Examination,
    request: Request,
    *,
    folder: str = "",
    fault: str = "",
) -> Response:
    """Return the page, with what was typed into its form."""
    home, paths = site.home, site.parts.paths
    kept = list_backups(paths)
    free, total = host_memory()
    room = Room(disk.free_bytes(paths.root), wanted_bytes(paths, home.settings.engine))
    return site.page(
        request,
        "care.html",
        section=SECTION,
        status=422 if fault else 200,
        state=site.parts.scheduler.state(),
        disk=room,
        database_bytes=_size(paths.database),
        memory_free_bytes=free,
        memory_total_bytes=total,
        memory=last.said_of("memory"),
        backups=kept[:LAST],
        more_backups=max(0, len(kept) - LAST),
        backups_folder=paths.backups,
        entries=[line_of(one) for one in home.journal(LARGEST, LAST)],
        tokens=len(list_tokens(paths)),
        config=paths.config,
        folder=folder,
        fault=fault,
    )


def _size(file: Path) -> int:
    """Return the size of a file with those that SQLite has beside it."""
    beside = file.parent.glob(f"{file.name}*")
    return sum(one.stat().st_size for one in beside if one.is_file())


def _act(app: FastAPI, site: Site, page: ShowPage) -> None:
    """Add what pauses, resumes and reads the settings again."""
    scheduler = site.parts.scheduler

    @app.post("/care/pause", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def pause() -> Response:
        """Let nothing begin by itself any more."""
        scheduler.pause()
        told = "Paused: nothing begins by itself."
        return site.done("/care", told, undo="/care/resume")

    @app.post("/care/resume", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def resume() -> Response:
        """Let things begin by themselves again."""
        scheduler.resume()
        told = "It goes on by itself again."
        return site.done("/care", told, undo="/care/pause")

    @app.post("/care/reload", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def reload(request: Request) -> Response:
        """Read the settings again."""
        try:
            scheduler.reload()
        except ConfigError as error:
            return page(request, fault=f"{error}; all stay as they were")
        return site.done("/care/settings", "The settings were read again.")


def _backup(app: FastAPI, site: Site, page: ShowPage) -> None:
    """Add what makes a backup."""

    @app.post("/care/backups", include_in_schema=False)
    @needs(TokenScope.ADMIN)
    def backup(request: Request, folder: Annotated[str, Form()] = "") -> Response:
        """Write the home's database, versions and settings into one file."""
        home, typed = site.home, folder.strip()
        try:
            file = whole(expect_path(typed), "a folder") if typed else None
            made = back_up(home.paths, home.settings.store, file, actor=home.actor)
        except (BackupError, ConfigError, ValueError) as error:
            return page(request, folder=folder, fault=str(error))
        return site.done("/care", _made(made.file, made.size_bytes, made.left_out))


def _made(file: Path, size_bytes: int, left_out: tuple[str, ...]) -> str:
    """Return what a backup has become, in a sentence."""
    missing = f"; damaged and left out: {', '.join(left_out)}" if left_out else ""
    return f"Backed up into {file}, {size(size_bytes)}, and read back{missing}."
